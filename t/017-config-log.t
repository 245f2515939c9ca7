#!/usr/bin/perl

# What nginx -t says of tgbot_log when it is wrong, and when it is right.

use strict;
use warnings;

use Test::More;

use lib 't/lib';

use TgbotConf;

mkdir "$home/dir" or die "dir: $!";


for my $value ('""', 'syslog:server=127.0.0.1', '$tgbot_bot.log',
               "$home/\$host.log")
{
    (my $text = $value) =~ s/"//g;

    refused("log $value", shop("tgbot_log $value;"),
            qr/invalid value "\Q$text\E" in "tgbot_log" directive/,
            qr/expected the path of a file, without variables, or "off"/);
}

refused('log twice', shop("tgbot_log $home/a.log; tgbot_log off;"),
        qr/"tgbot_log" directive is duplicate/);

refused('log with two arguments', shop("tgbot_log $home/a.log buffer=4k;"),
        qr/number of arguments in "tgbot_log" directive/);

refused('log without arguments', shop('tgbot_log;'),
        qr/number of arguments in "tgbot_log" directive/);

refused('log of an access log with a buffer',
        shop("access_log $home/b.log combined buffer=4k;\n"
             . "tgbot_log $home/b.log;"),
        qr{invalid value "\Q$home\E/b.log" in "tgbot_log" directive},
        qr/expected a file that no other directive writes to/);

refused('access log with a buffer of a log',
        shop("tgbot_log $home/b.log;\n"
             . "access_log $home/b.log combined buffer=4k;"),
        qr/access_log "\S+b.log" already defined with conflicting parameters/);

accepted("log $_", shop("tgbot_log $_;"))
    for 'off', "$home/c.log", 'logs/c.log', '"logs/a b.log"';

accepted('log off of what is inherited, and a file for two',
         "tgbot_log $home/d.log;\nserver {\nlisten unix:$home/s;\n"
         . "tgbot_secret_token off;\ntgbot_handler /app;\n"
         . "location /1 {\ntgbot_webhook b1;\n}\n"
         . "location /2 {\ntgbot_webhook b2;\ntgbot_log off;\n}\n"
         . "location /3 {\ntgbot_webhook b3;\ntgbot_log $home/d.log;\n}\n}");


# what nginx itself says of a file that it cannot open names no line

my ($rc, $out) = test_conf(shop("tgbot_log $home/dir;"));

isnt($rc, 0, 'log of a directory');
like($out, qr/\[emerg\].* open\(\) "\Q$home\E\/dir" failed/,
     'log of a directory is told');

done_testing();
