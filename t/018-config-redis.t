#!/usr/bin/perl

# What nginx -t says of tgbot_redis when it is wrong, and when it is right.

use strict;
use warnings;

use Test::More;

use lib 't/lib';

use TgbotConf;

my $ca = "$home/ca";


sub redis {
    my ($text, $http) = @_;

    return "tgbot_redis $text;\n" . ($http // '') . shop('');
}

sub wrong {
    my ($text, $value, $expected) = @_;

    refused($text, redis($text),
            qr/invalid value "\Q$value\E" in "tgbot_redis" directive/,
            qr/expected \Q$expected\E/);
}

sub lacks {
    my ($text, $lacks, $expected) = @_;

    refused($text, redis($text),
            qr/"tgbot_redis" directive stands without \Q$lacks\E/,
            qr/expected \Q$expected\E/);
}

system("openssl req -x509 -newkey rsa:2048 -nodes -keyout $ca.key -days 2"
       . " -out $ca.crt -subj /CN=ca 2>/dev/null") == 0 or die "openssl\n";


# addresses

accepted("redis $_", redis($_))
    for '127.0.0.1', '127.0.0.1:7000', '[::1]:6379', 'localhost:6379',
        "unix:$home/redis.sock", "unix:$home/a=b", '127.0.0.1 127.0.0.2:7000';

for my $address ('127.0.0.1:', '127.0.0.1:x', '127.0.0.1:70000', '""',
                 'redis://127.0.0.1', 'unix:', '127.0.0.1/0')
{
    (my $text = $address) =~ s/"//g;
    wrong($address, $text, '"host", "host:port" or "unix:path"');
}

refused('no address at all', redis(''),
        qr/number of arguments in "tgbot_redis" directive/);

lacks('db=1', 'an address', '"host:port" or "unix:path" as the first');
wrong('db=1 127.0.0.1', '127.0.0.1', 'addresses, and then "sentinel="');

refused('a name that no server knows', redis('redis.invalid'),
        qr/host not found in "redis\.invalid" of the "tgbot_redis" directive/,
        qr/expected a name that is known now, or a "resolver" in http/);

accepted('a name, and a resolver below',
         redis('redis.invalid', "resolver 127.0.0.1:5353;\n"));

refused('redis twice', redis('127.0.0.1', "tgbot_redis 127.0.0.1;\n"),
        qr/"tgbot_redis" directive is duplicate/);

refused('redis in a server',
        "server { listen unix:$home/s; tgbot_redis 127.0.0.1; }",
        qr/"tgbot_redis" directive is not allowed here/);

refused('redis in a location', location('tgbot_redis 127.0.0.1;'),
        qr/"tgbot_redis" directive is not allowed here/);


# parameters

wrong("127.0.0.1 $_", $_, 'addresses, and then "sentinel="')
    for 'DB=1', '=', 'ssl=on', 'sentinels=master';

wrong("127.0.0.1 $_=1 $_=1", "$_=1", 'every parameter only once')
    for 'db', 'user', 'password_file', 'prefix', 'connect_timeout', 'timeout';

wrong("127.0.0.1 db=$_", "db=$_", 'a number between 0 and 65535')
    for '', '-1', 'x', '65536', '1.5';

wrong("127.0.0.1 replicas=$_", "replicas=$_", 'a number between 1 and 64')
    for '', '0', 'x', '65';

wrong("127.0.0.1 \"prefix=$_\"", "prefix=$_", '1 to 64 of [A-Za-z0-9_.:-]')
    for '', 'a{b', 'a}', 'a,b', "\xc3\xa4", 'a' x 65;

for my $name ('timeout', 'connect_timeout') {
    wrong("127.0.0.1 $name=$_", "$name=$_", 'a time greater than 0')
        for '', '0', '0s', 'x', '-1s';
}

wrong('127.0.0.1 sentinel=', 'sentinel=',
      'the name that the sentinels give the master');
wrong("127.0.0.1 $_=", "$_=", 'the name of a user')
    for 'user', 'sentinel_user';
wrong('127.0.0.1 ssl ssl_name=', 'ssl_name=', 'the name in the certificate');
wrong("127.0.0.1 ssl $_=", "$_=", 'the path of a file')
    for 'ssl_ca', 'ssl_certificate', 'ssl_certificate_key';
wrong("127.0.0.1 password_file=$_", "password_file=$_", 'the path of a file')
    for '', '$host';

lacks('127.0.0.1 user=nginx', '"password_file="', 'it with "user="');
lacks('127.0.0.1 sentinel=main sentinel_user=nginx password_file=x',
      '"sentinel_password_file="', 'it with "sentinel_user="');
lacks('127.0.0.1 sentinel_password_file=x', '"sentinel="',
      'it with "sentinel_password_file="');
lacks("127.0.0.1 $_", '"ssl"', 'it with the other parameters')
    for "ssl_ca=$ca.crt", 'ssl_name=redis',
        "ssl_certificate=$ca.crt ssl_certificate_key=$ca.key";
lacks("127.0.0.1 ssl ssl_certificate=$ca.crt", '"ssl_certificate_key="',
      'both of them or none');
lacks("127.0.0.1 ssl ssl_certificate_key=$ca.key", '"ssl_certificate="',
      'both of them or none');
lacks("unix:$home/s ssl ssl_ca=$ca.crt", '"ssl_name="',
      'it with "ssl" over a unix socket');

refused("cluster with $_",
        redis("127.0.0.1 cluster $_"),
        qr/"tgbot_redis" directive has "cluster" with "\w+=", expected only/)
    for 'sentinel=main', 'db=1', 'replicas=1';

accepted('cluster', redis('127.0.0.1 127.0.0.2 cluster'));
accepted('all of them',
         redis("127.0.0.1 sentinel=main db=0 prefix=a:b_c.d-1 connect_timeout=2s replicas=2"
               . " timeout=1500ms ssl ssl_name=redis ssl_ca=$ca.crt"
               . " ssl_certificate=$ca.crt ssl_certificate_key=$ca.key"));
accepted("the system's certificates", redis('127.0.0.1 ssl'));


# files

for my $files ("ssl_ca=$home/none", "ssl_ca=$ca.key",
               "ssl_certificate=$home/none ssl_certificate_key=$ca.key",
               "ssl_certificate=$ca.crt ssl_certificate_key=$ca.crt")
{
    my ($rc, $out) = test_conf(redis("127.0.0.1 ssl $files"));

    isnt($rc, 0, $files);
    like($out, qr/certificates of the "tgbot_redis" directive cannot be used/,
         "$files is told");
}

sub password {
    my ($name, $text, $mode) = @_;

    write_file($name, $text, $mode);

    return redis("127.0.0.1 user=nginx password_file=$name");
}

accepted('a password', password('password', "a b{}\xc3\xa4'\"\n"));
accepted('a password, CRLF', password('crlf', "secret\r\n"));
accepted('a password that all may read', password('open', "secret\n", 0644),
         qr/file "\S+open" of "tgbot_redis" directive is world-readable/);

accepted('a password of sentinels',
         redis("127.0.0.1 sentinel=main sentinel_user=nginx"
               . " sentinel_password_file=password"));

refused('a password that all may write', password('wild', "secret\n", 0602),
        qr/file "\S+wild" of "tgbot_redis" directive is world-writable/);
refused('no password', password('empty', ''),
        qr/file "\S+empty" of "tgbot_redis" directive is empty/);
refused('two passwords', password('two', "one\ntwo\n"),
        qr/file "\S+two" of "tgbot_redis" directive has more than one line/);
refused('a password with a tab', password('tab', "sec\tret\n"),
        qr/invalid line 1 of file "\S+tab" of "tgbot_redis" directive/,
        qr/character 4 of 7 is wrong, expected 1 to 512 characters/);
refused('a password of 513', password('long', 'x' x 513),
        qr/it ends after|character 513 of 513 is wrong/);
refused('no file of sentinels',
        redis("127.0.0.1 sentinel=main sentinel_password_file=$home/none"),
        qr/file "\S+none" of "tgbot_redis" directive cannot be read/);
refused('no file', redis("127.0.0.1 password_file=$home/none"),
        qr/file "\S+none" of "tgbot_redis" directive cannot be read/);

unlike($leaks, qr/secret|sec\tret|one\ntwo/, 'no password in a message');

done_testing();
