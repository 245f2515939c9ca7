#!/usr/bin/perl

# What nginx -t says of tgbot_register when it is wrong, and when it is right;
# and that it calls nobody.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Test::More;

use lib 't/lib';

use TgbotConf;

my $token = '4711:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc';
my $token2 = '4712:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bd';
my $url = 'https://bot.example.com';

write_file('token', "$token\n");
write_file('b1.token', "$token\n");
write_file('b2.token', "$token2\n");

my $pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

write_file('cert.pem', $pem);
write_file('key.pem', "$pem-----BEGIN PRIVATE KEY-----\nMIIB\n"
                      . "-----END PRIVATE KEY-----\n");
write_file('none.pem', "no certificate\n");
write_file('large.pem', $pem . 'x' x (1024 * 1024));
mkdir "$home/conf/dir.pem" or die "dir.pem: $!";


# a webhook with a token

sub hook {
    return shop('tgbot_token_file token; ' . shift);
}

# bots of one server, each with what its location says

sub bots {
    my ($http, @directives) = @_;

    my $n = 0;

    return "tgbot_token_file \$tgbot_bot.token;\n$http\n"
        . "server {\nlisten unix:$home/s;\ntgbot_secret_token off;\n"
        . "tgbot_handler /app;\n"
        . join('', map { $n++; "location /$n {\ntgbot_webhook b$n;\n$_\n}\n" }
                   @directives)
        . "}\n";
}


# the URL

for my $value ('bot.example.com', 'http://bot.example.com', 'ftp://a', '""',
               'https://', 'https:///path', 'https://a:0', 'https://a:65536',
               'https://a:x', '"https://a b"', 'https://user@host', 'on',
               'https://[::1')
{
    my ($text) = $value =~ m{^"?([^"/]*(?://[^"/]*)?)};

    refused("register $value", hook("tgbot_register $value;"),
            qr/invalid value "\Q$text\E" in "tgbot_register" directive/,
            qr{expected "https://host", with a path or without one});
}

for my $path ('/a b', '/a\\"b', '/a?b', '/a#b', "/\xc3\xa4") {
    refused("register with path $path", hook("tgbot_register \"$url$path\";"),
            qr/invalid value "\Q$url\E" in "tgbot_register" directive/,
            qr/in ASCII and without spaces, quotes, "\?" and "#"/);
}

for my $port (1, 442, 8080, 8444, 65535) {
    refused("register port $port", hook("tgbot_register $url:$port/p;"),
            qr/invalid value "\Q$url:$port\E" in "tgbot_register" directive/,
            qr/expected one of the ports that Telegram connects to: 443, /);

    accepted("register port $port with another api",
             hook("tgbot_register $url:$port/p api=http://127.0.0.1:1;"));
}

for my $port (443, 80, 88, 8443) {
    accepted("register port $port", hook("tgbot_register $url:$port/p;"));
}

refused('register http with an api of Telegram',
        hook('tgbot_register http://a api=https://api.telegram.org;'),
        qr{invalid value "http://a" in "tgbot_register" directive});

accepted('register http with another api',
         hook('tgbot_register http://a:1/ api=http://127.0.0.1:1/;'));

accepted('register IPv6', hook('tgbot_register https://[2001:db8::1]/;'));

refused('register with a variable', hook("tgbot_register $url/\$host;"),
        qr/invalid value "\Q$url\E" in "tgbot_register" directive/,
        qr/expected a URL in which \$tgbot_bot is the only variable/);

refused('register a long URL',
        hook("tgbot_register $url/" . 'x' x 1010 . ';'),
        qr/"tgbot_register" directive of bot "shop" has a URL that is too /);

refused('register, the path may hold a token and is not shown',
        hook("tgbot_register $url:1/$token;"),
        qr{invalid value "\Q$url\E:1" in "tgbot_register" directive});


# a token in a path is a token in logs

accepted('register with the token in the URL',
         hook("tgbot_register $url/bot$token;"),
         qr/"tgbot_register" directive of bot "shop" has a token in its URL/);

my $said = qr/"tgbot_webhook" directive "shop" has a token in the path of its /;

for my $register ('', "tgbot_register $url;") {
    accepted('register with the token in the path of the location',
             "server {\nlisten unix:$home/s;\nlocation /bot$token {\n"
             . "tgbot_webhook shop; tgbot_secret_token off;\n"
             . "tgbot_handler /app; tgbot_token_file token; $register\n}\n}",
             $said);
}


# where it stands

refused('register twice', hook("tgbot_register $url; tgbot_register $url;"),
        qr/"tgbot_register" directive is duplicate/);

refused('register without arguments', hook('tgbot_register;'),
        qr/number of arguments in "tgbot_register" directive/);

refused('register off with more', hook('tgbot_register off interval=1m;'),
        qr/invalid value "off" in "tgbot_register" directive/);

accepted('register off', shop('tgbot_register off;'));

accepted('register in http, off in a location',
         bots("tgbot_register $url;", '', 'tgbot_register off;'));

refused('register without a token', shop("tgbot_register $url;"),
        qr/"tgbot_register" directive of bot "shop" has no token/,
        qr/expected "tgbot_token" or "tgbot_token_file"/);

accepted('register of two bots', bots("tgbot_register $url;", '', ''));

accepted('register of two bots by name',
         bots("tgbot_register $url/x/\$tgbot_bot;", '', ''));

refused('register of two bots with one path',
        bots("tgbot_register $url/x;", '', ''),
        qr/"tgbot_register" directive gives the bots "b1" and "b2" one URL/,
        qr{one URL "\Q$url\E/x", expected one of its own for every bot});

refused('register in a location with a regular expression',
        "server {\nlisten unix:$home/s;\nlocation ~ ^/t {\n"
        . "tgbot_webhook shop; tgbot_secret_token off; tgbot_handler /app;\n"
        . "tgbot_token_file token; tgbot_register $url;\n}\n}",
        qr/has a URL without a path in a location with a regular expression/);

accepted('register in a location with a regular expression, and a path',
         "server {\nlisten unix:$home/s;\nlocation ~ ^/t {\n"
         . "tgbot_webhook shop; tgbot_secret_token off; tgbot_handler /app;\n"
         . "tgbot_token_file token; tgbot_register $url/t;\n}\n}");

refused('register in a named location',
        "server {\nlisten unix:$home/s;\nlocation \@t {\n"
        . "tgbot_webhook shop; tgbot_secret_token off; tgbot_handler /app;\n"
        . "tgbot_token_file token; tgbot_register $url;\n}\n}",
        qr/has a URL without a path in a location without one/);


# parameters

for my $par ('path', 'interval', 'Interval=1m', 'drop_pending=on', 'off') {
    refused("register $par", hook("tgbot_register $url $par;"),
            qr/invalid value "\Q$par\E" in "tgbot_register" directive/,
            qr/expected "ip_address=", "certificate=", "max_connections=", /);
}

refused('register with a parameter twice',
        hook("tgbot_register $url interval=1m interval=2m;"),
        qr/invalid value "interval=2m" in "tgbot_register" directive/,
        qr/expected every parameter only once/);

for my $ip ('', '1.2.3', 'localhost', '1.2.3.4:5', '::1::') {
    refused("register ip_address=$ip",
            hook("tgbot_register $url ip_address=$ip;"),
            qr/invalid value "ip_address=$ip" in "tgbot_register" directive/,
            qr/expected an IP address/);
}

for my $n ('0', '-1', '', 'x', '1k') {
    refused("register max_connections=$n",
            hook("tgbot_register $url max_connections=$n;"),
            qr/invalid value "max_connections=$n" in "tgbot_register"/,
            qr/expected a number between 1 and 100/);
}

refused('register max_connections=101',
        hook("tgbot_register $url max_connections=101;"),
        qr/invalid value "max_connections=101" in "tgbot_register" directive/,
        qr/expected a number between 1 and 100, or up to 100000 with an "api="/);

accepted('register max_connections=100000 with another api',
         hook("tgbot_register $url max_connections=100000 "
              . "api=http://127.0.0.1:1;"));

refused('register max_connections=100001 with another api',
        hook("tgbot_register $url max_connections=100001 "
             . "api=http://127.0.0.1:1;"),
        qr/expected a number between 1 and 100000/);

for my $value ('', ',', 'message,', ',message', 'message,,poll', 'Message',
              'a-b', '"message, poll"')
{
    (my $text = $value) =~ s/"//g;

    my $list = $value =~ /"/ ? qq{"allowed_updates=$text"}
                             : "allowed_updates=$value";

    refused("register $list", hook("tgbot_register $url $list;"),
            qr/invalid value "allowed_updates=$text" in "tgbot_register"/,
            qr/expected types of updates with commas between/);
}

accepted('register a type of updates that is not known',
         hook("tgbot_register $url allowed_updates=message,news;"),
         qr/value "news" in "tgbot_register" directive is no type/);

for my $time ('0', '999ms', '-1', '', 'x') {
    refused("register interval=$time",
            hook("tgbot_register $url interval=$time;"),
            qr/invalid value "interval=$time" in "tgbot_register" directive/,
            qr/expected a time of 1s or more/);
}

for my $api ('', 'api.telegram.org', 'ftp://a', 'http://', 'http://$host',
             'http://a?b')
{
    refused("register api=$api", hook("tgbot_register $url api=$api;"),
            qr/invalid value "api=\Q$api\E" in "tgbot_register" directive/,
            qr{expected a URL such as "http://127.0.0.1:8081"});
}

for my $par ('certificate', 'ca') {
    refused("register $par=", hook("tgbot_register $url $par=;"),
            qr/invalid value "$par=" in "tgbot_register" directive/,
            qr/expected the path of a file, without variables/);

    refused("register $par with a variable",
            hook("tgbot_register $url $par=\$tgbot_bot.pem;"),
            qr/expected the path of a file, without variables/);

    for my $case (['missing.pem', 'cannot be read'],
                  ['dir.pem', 'is not a regular file'],
                  ['none.pem', 'holds no certificate'],
                  ['key.pem', 'holds a private key'],
                  ['large.pem', 'is larger than 1 MB'])
    {
        my ($file, $why) = @$case;

        refused("register $par=$file",
                hook("tgbot_register $url $par=$file;"),
                qr/file "\S+\Q$file\E" of "$par=" in "tgbot_register" dir/,
                qr/directive $why, expected certificates in PEM/);
    }
}

accepted('register with all there is',
         hook("tgbot_register $url/p ip_address=192.0.2.1 "
              . "certificate=cert.pem max_connections=40 "
              . "allowed_updates=message,poll drop_pending interval=1m "
              . "api=https://127.0.0.1:1 ca=cert.pem;"));

accepted("register allowed_updates=$_",
         hook("tgbot_register $url allowed_updates=$_;"))
    for 'all', 'default';


# nobody is called

my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
    or die "cannot listen: $!";
my $port = $server->sockport;

accepted('register, tested only',
         hook("tgbot_register $url api=http://127.0.0.1:$port;"));

ok(!IO::Select->new($server)->can_read(1), 'nobody is called');

for my $text ($token, $token2) {
    unlike($leaks, qr/\Q$text\E/, 'no token in what nginx says');
}

done_testing();
