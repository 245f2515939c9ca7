#!/usr/bin/perl

# What nginx -t says of the directives of the queue, of dead letters and of
# the parameters of tgbot_status when they are wrong, and of some that are
# right; where they are inherited, and what goes only together.

use strict;
use warnings;

use Test::More;

use lib 't/lib';

use TgbotConf;

my $token = '4711:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc';
my $queue = 'tgbot_queue zone=q:4m';
my $api = 'tgbot_api /api; tgbot_token_file token;';

write_file('token', "$token\n");
mkdir "$home/dir" or die "dir: $!";


# bots of one server, each with what its location says

sub bots {
    my ($http, @directives) = @_;

    my $n = 0;

    return "$http\nserver {\nlisten unix:$home/s;\ntgbot_secret_token off;\n"
        . "tgbot_handler /app;\n"
        . join('', map { $n++; "location /$n {\ntgbot_webhook b$n;\n$_\n}\n" }
                   @directives)
        . "}\n";
}


# tgbot_queue

for my $value ('q', 'on', '"" zone=a:4m', 'zone=a:4m off', 'off zone=a:4m',
               'zone=a:4m nolane', 'partitions=16',
               'zone=a:4m max=5', 'zone=a:4m Share=5%')
{
    my ($word) = map s/"//gr, grep !/^zone=/, split ' ', $value;

    refused("queue $value", shop("tgbot_queue $value;"),
            qr/invalid value "\Q$word\E" in "tgbot_queue" directive/,
            qr/expected "zone=", "concurrency=", "lane=", "share=", or /,
            qr/or "redis" with "concurrency=", "limit=", /,
            qr/"limit_size=", "lease=" or "lane=", or "off" alone/);
}

my $redis = 'tgbot_redis 127.0.0.1;';

refused('queue redis without tgbot_redis',
        shop('tgbot_queue redis concurrency=4;'),
        qr/directive "shop" has "tgbot_queue" with "redis"/,
        qr/expected "tgbot_redis" in http/);

for my $value ('zone=q:4m', 'share=10%') {
    my ($name) = $value =~ /^(\w+=)/;

    refused("queue redis $value", $redis . shop("tgbot_queue redis $value;"),
            qr/invalid value "$name" in "tgbot_queue" directive/,
            qr/expected it without "redis"/);
}

for my $value ('limit=5', 'limit_size=2m', 'lease=5s') {
    my ($name) = $value =~ /^(\w+=)/;

    refused("queue in a zone $value", shop("$queue $value;"),
            qr/invalid value "$name" in "tgbot_queue" directive/,
            qr/expected it only with "redis"/);
}

for my $value ('limit=0', 'limit=many', 'limit=100000001', 'limit_size=1023k',
               'limit_size=x', 'lease=2s', 'lease=61m', 'lease=soon')
{
    refused("queue redis $value", $redis . shop("tgbot_queue redis $value;"),
            qr/invalid value "$value" in "tgbot_queue" directive, expected a /);
}

refused('queue redis beside a zone of duplicates',
        $redis . shop('tgbot_queue redis; tgbot_dedup zone=d:4m;'),
        qr/has "tgbot_queue redis", which knows duplicates itself/,
        qr/expected "tgbot_dedup" without "zone="/);

accepted("queue redis $_", $redis . shop("tgbot_queue redis $_;"))
    for '', 'concurrency=1', 'limit=1', 'limit_size=1m', 'limit_size=64g',
        'lease=3s', 'lease=1h', 'limit=5 lane=$tgbot_user_id',
        'lease=5s; tgbot_dedup off', 'lease=5s; tgbot_dedup window=1048576';

for my $n ('0', '-1', '', 'many', '1.5', '4k') {
    refused("queue concurrency=$n", shop("$queue concurrency=$n;"),
            qr/invalid value "concurrency=$n" in "tgbot_queue" directive/,
            qr/expected a number between 1 and 4096/);
}

refused('queue concurrency=4097', shop("$queue concurrency=4097;"),
        qr/invalid value "concurrency=4097" in "tgbot_queue" directive/,
        qr/expected a number between 1 and 4096/);

for my $share ('0%', '101%', '25', '', '%', '-5%', '2.5%', '25%%', 'all') {
    refused("queue share=$share", shop("$queue share=$share;"),
            qr/invalid value "share=$share" in "tgbot_queue" directive/,
            qr/expected a number between 1% and 100%/);
}

refused('queue with an empty lane', shop("$queue lane=;"),
        qr/invalid value "lane=" in "tgbot_queue" directive/,
        qr/expected a key, such as "lane=\$tgbot_chat_id"/);

for my $state ("$queue state=$home/queue", 'tgbot_queue redis state=q') {
    refused("$state is gone", $redis . shop("$state;"),
            qr/invalid value "state=\S+" in "tgbot_queue" directive/,
            qr/expected the directive "tgbot_state", which keeps queues in/);
}

for my $twice ('zone=q', 'concurrency=2 concurrency=2', 'share=5% share=5%',
               'lane=a lane=b')
{
    my ($word) = $twice =~ /(\S+)$/;

    refused("queue with $word twice", shop("$queue $twice;"),
            qr/invalid value "\Q$word\E" in "tgbot_queue" directive/,
            qr/expected every parameter only once/);
}

refused('queue without a zone', shop('tgbot_queue concurrency=4;'),
        qr/value "concurrency=4" in "tgbot_queue" directive stands without/,
        qr/without "zone=", expected "zone=name:size" or "redis" with it/);

refused('queue without a value', shop('tgbot_queue;'),
        qr/number of arguments in "tgbot_queue" directive/);

refused("queue twice, $_", shop($_), qr/"tgbot_queue" directive is duplicate/)
    for "$queue; tgbot_queue zone=q;", "$queue; tgbot_queue off;",
        "tgbot_queue off; $queue;", 'tgbot_queue off; tgbot_queue off;';

accepted("queue with $_", shop("$queue $_;"))
    for '', 'concurrency=1', 'concurrency=4096', 'share=1%', 'share=100%',
        'lane=all', 'lane=$tgbot_chat_id:$arg_a',
        'concurrency=8 share=50% lane=$tgbot_user_id';

accepted('queue off', shop('tgbot_queue off;', "$queue;"));

accepted('queue without a program', bare("$queue;"),
         qr/"shop" has neither "tgbot_reply" nor "tgbot_handler"/);


# tgbot_state

for my $path ('""', '$tgbot_bot', "$home/\$tgbot_bot", 'a$') {
    my $value = $path =~ s/"//gr;

    refused("state $path", "tgbot_state $path;" . shop("$queue;"),
            qr/invalid value "\Q$value\E" in "tgbot_state" directive/,
            qr/expected the path of a directory, without variables/);
}

refused('a state with too long a path',
        'tgbot_state ' . 'a' x 600 . ';' . shop("$queue;"),
        qr/in "tgbot_state" directive, expected a shorter path/);

refused('state twice', 'tgbot_state a; tgbot_state b;' . shop("$queue;"),
        qr/"tgbot_state" directive is duplicate/);

refused('state in a location', shop("$queue; tgbot_state a;"),
        qr/"tgbot_state" directive is not allowed here/);

refused('state without a value', 'tgbot_state;' . shop("$queue;"),
        qr/number of arguments in "tgbot_state" directive/);

for my $name ('a/b', 'a b', 'a$b', "\xc3\xa9", 'n' x 129) {
    my $quoted = $name =~ / / ? qq{"zone=$name:4m"} : "zone=$name:4m";

    refused("a file named $name", 'tgbot_state a;'
                                  . shop("tgbot_queue $quoted;"),
            qr/invalid zone "\Q$name\E" in "tgbot_queue" directive: with /,
            qr/expected a name of up to 128 characters of "A-Za-z0-9_.-" in /);

    accepted("a zone named $name", shop("tgbot_queue $quoted;"));
}

accepted('the name of a cache, which is no file',
         'tgbot_state a;' . shop('tgbot_cache $arg_a zone=a/b:1m;'));

accepted("state $_", "tgbot_state $_;" . shop("$queue;"))
    for 'none', 'none/', 'none/none', "$home/none", "$home/dir", '.', './/';


# an update of 576k fits into the share of each bot

sub size_told {
    my ($conf) = @_;

    my (undef, $out) = test_conf($conf);

    return $out =~ /expected a size of (\d+)k or more/ ? $1 : 0;
}


my %enough;

for my $case ([100, ''], [100, 'share=100%'], [25, ''], [25, 'share=25%'],
              [10, 'share=10%'], [1, 'share=1%'])
{
    my ($share, $parameter) = @$case;
    my $bots = sub {
        bots('', "tgbot_queue zone=q:$_[0] $parameter;",
             $share == 100 && $parameter eq ''
             ? () : "tgbot_queue zone=q $parameter;");
    };

    my $what = "a share of $share%" . ($parameter ? '' : ' by default');

    refused("$what of 512k", $bots->('512k'),
            qr/invalid zone "q" in "tgbot_queue" directive: of 512k it is too/,
            qr/too small for an update of 576k in a share of $share%/,
            qr/expected a size of \d+k or more/);

    my $size = size_told($bots->('512k'));

    accepted("$what of $size" . 'k', $bots->("${size}k"));
    my $less = $size - 1;

    refused("$what of one less", $bots->("${less}k"),
            qr/of ${less}k it is too small/, qr/expected a size of ${size}k/);

    cmp_ok($size, '>', 576 * 100 / $share, "$what is enough");
    cmp_ok($size, '<', 576 * 100 / $share * 1.1 + 128, "$what is not more");

    $enough{$share} = $size;
}

my ($all, $quarter, $tenth) = map "${_}k", @enough{100, 25, 10};

accepted('a bot alone has all of its zone',
         bots('', "tgbot_queue zone=q:$all share=1%;"));

accepted('a bot without a queue does not count',
         bots('', "tgbot_queue zone=q:$all;", 'tgbot_queue off;', ''));

refused('the smallest share counts',
        bots('', "tgbot_queue zone=q:$quarter share=100%;",
             'tgbot_queue zone=q share=10%;'),
        qr/in a share of 10%, expected a size of $tenth or more/);

accepted('a zone that no bot uses may be small',
         bots('tgbot_queue zone=q:256k;', 'tgbot_queue off;'));


# what needs a way to the Bot API besides a response

my @together = (['tgbot_reply', 'tgbot_reply hi;', 'tgbot_reply off;'],
                ['tgbot_cache', 'tgbot_cache $tgbot_text zone=c:1m;',
                 'tgbot_cache off;'],
                ['tgbot_reply_via response', 'tgbot_reply_via response;',
                 'tgbot_reply_via auto;'],
                ['tgbot_limit" with "reply=',
                 'tgbot_limit all zone=l:1m rate=1r/s reply=Slower!;',
                 'tgbot_limit all zone=l rate=1r/s;']);

for my $case (@together) {
    my ($name, $with, $without) = @$case;

    my $both = qr/"shop" has "tgbot_queue" and (?:a )?"$name"/;
    my $needs = qr/without "tgbot_api", expected "tgbot_api" with them/;

    refused("queue and $name", shop("$queue;\n$with"), $both, $needs);
    refused("queue and $name of http", shop("$queue;", $with), $both, $needs);
    refused("queue of http and $name", shop($with, "$queue;"), $both, $needs);
    refused("queue and $name, tgbot_api off",
            shop("$queue;\n$with\ntgbot_api off;", $api), $both, $needs);

    accepted("queue and $name with tgbot_api", shop("$queue;\n$with\n$api"));
    accepted("$name without a queue", shop("$with\ntgbot_queue off;",
                                           "$queue;"));
    accepted("queue without $name", shop("$queue;\n$without", $with));
}

refused('the second of two limits has a reply',
        shop("$queue; tgbot_limit all zone=l:1m rate=1r/s;\n"
             . 'tgbot_limit all zone=l rate=2r/s reply=Slower!;'),
        qr/"shop" has "tgbot_queue" and a "tgbot_limit" with "reply="/);

accepted('queue and api, by api',
         shop("$queue;\ntgbot_reply_via api;\n$api"));


# where a queue is inherited: a reply without tgbot_api tells if there is one

my $reply = 'tgbot_reply hi;';
my $inherited = qr/has "tgbot_queue" and "tgbot_reply" without "tgbot_api"/;

sub server {
    my ($http, $server, $location) = @_;

    return "$http\nserver {\nlisten unix:$home/s;\ntgbot_secret_token off;\n"
        . "$server\nlocation /t {\ntgbot_webhook shop;\n$reply\n$location\n}\n"
        . "}\n";
}


my $q = 'tgbot_queue zone=q;';
my $off = 'tgbot_queue off;';

accepted('no queue by default', server('', '', ''));
refused('queue of http', server("$queue;", '', ''), $inherited);
refused('queue of a server', server('', "$queue;", ''), $inherited);
refused('queue of a location', server('', '', "$queue;"), $inherited);
accepted('off in a server', server("$queue;", $off, ''));
accepted('off in a location', server("$queue;", '', $off));
accepted('off in a location of such a server', server('', "$queue;", $off));
refused('off in http, on in a server', server($off, "$queue;", ''),
        $inherited);
refused('off in a server, on in a location', server("$queue;", $off, $q),
        $inherited);

refused('parameters are those of the level',
        bots('tgbot_queue zone=q:1m share=100%;', '', 'tgbot_queue zone=q;'),
        qr/too small for an update of 576k in a share of 25%/);

accepted('parameters of http', bots('tgbot_queue zone=q:1m share=100%;', '',
                                    ''));


# tgbot_dead_letters

for my $value ('on', 'max', '""', 'zone=a:1m off', 'off max=5', 'Max=5',
               'share=5%', '1000')
{
    my ($word) = map s/"//gr, grep !/^zone=/, split ' ', $value;

    refused("dead_letters $value", shop("tgbot_dead_letters $value;"),
            qr/invalid value "\Q$word\E" in "tgbot_dead_letters" directive/,
            qr/expected "zone=", "redis" or "max=", or "off" alone/);
}

refused('dead_letters redis without a Redis', shop('tgbot_dead_letters redis;'),
        qr/directive "shop" has "tgbot_dead_letters" with "redis"/,
        qr/expected "tgbot_redis" in http/);

refused("dead_letters $_", shop("tgbot_dead_letters $_;", $redis),
        qr/invalid value "redis" in "tgbot_dead_letters" directive/,
        qr/expected either it or "zone="/)
    for 'redis zone=d:1m', 'zone=d:1m redis', 'redis zone=d:1m max=5';

accepted("dead_letters $_", shop("tgbot_dead_letters $_;", $redis))
    for 'redis', 'redis max=50', 'max=50 redis';

for my $n ('0', '-1', '', 'all', '5%') {
    refused("dead_letters max=$n", shop("tgbot_dead_letters max=$n;"),
            qr/invalid value "max=$n" in "tgbot_dead_letters" directive/,
            qr/expected a number between 1 and 1000000/);
}

refused('dead_letters max=1000001', shop('tgbot_dead_letters max=1000001;'),
        qr/invalid value "max=1000001" in "tgbot_dead_letters" directive/,
        qr/expected a number between 1 and 1000000/);

refused("dead_letters with $_ twice", shop("tgbot_dead_letters $_ $_;"),
        qr/invalid value "$_" in "tgbot_dead_letters" directive/,
        qr/expected every parameter only once/)
    for 'max=5', 'zone=d';

refused('dead_letters without a value', shop('tgbot_dead_letters;'),
        qr/number of arguments in "tgbot_dead_letters" directive/);

refused("dead_letters twice, $_", shop($_),
        qr/"tgbot_dead_letters" directive is duplicate/)
    for 'tgbot_dead_letters max=1; tgbot_dead_letters max=1;',
        'tgbot_dead_letters off; tgbot_dead_letters max=1;',
        'tgbot_dead_letters off; tgbot_dead_letters off;';

accepted("dead_letters $_", shop("tgbot_dead_letters $_;"))
    for 'off', 'max=1', 'max=1000000', 'zone=d:1m', 'zone=d:1m max=50';


# the zone of all bots: it is in the way of another one of its name, or not

my $other = 'tgbot_limit all zone=tgbot_dead:1m rate=1r/s;';
my $taken = qr/zone "tgbot_dead" in "tgbot_webhook" directive: it is a limit /;
my $own = 'tgbot_dead_letters zone=d:1m;';

refused('dead letters by default', shop($other), $taken);
refused('dead letters with max=', shop("$other tgbot_dead_letters max=9;"),
        $taken);
accepted('dead letters off', shop("$other tgbot_dead_letters off;"));
accepted('dead letters off in http', shop($other, 'tgbot_dead_letters off;'));
accepted('dead letters in a zone', shop("$other $own"));
accepted('dead letters in a zone of http', shop($other, $own));

refused('dead letters off in http, on in a location',
        shop("$other tgbot_dead_letters max=9;", 'tgbot_dead_letters off;'),
        $taken);

refused('dead letters of one of two bots', bots($other, $own, ''), $taken);

accepted('dead letters of several bots',
         bots('', '', 'tgbot_dead_letters max=5;', ''));

accepted('the zone of all bots, declared',
         bots('', '', 'tgbot_dead_letters zone=tgbot_dead:16m;', ''));

accepted('the zone of all bots, named without a size',
         bots('', 'tgbot_dead_letters zone=tgbot_dead max=9;', ''));


# tgbot_status

for my $par ('on', '""', 'json', 'payload', 'Write=on', 'read=on', 'off') {
    my $text = $par =~ s/"//gr;

    refused("status $par", location("tgbot_status $par;"),
            qr/invalid value "\Q$text\E" in "tgbot_status" directive/,
            qr/expected "format=", "payload=", "write=" or "ready_age="/);
}

for my $format ('', 'JSON', 'html', 'jsonp') {
    refused("status format=$format", location("tgbot_status format=$format;"),
            qr/invalid value "format=$format" in "tgbot_status" directive/,
            qr/expected "json" or "prometheus"/);
}

for my $name ('payload', 'write') {
    for my $value ('', '1', 'yes', 'ON', 'onoff') {
        refused("status $name=$value", location("tgbot_status $name=$value;"),
                qr/invalid value "$name=$value" in "tgbot_status" directive/,
                qr/expected "on" or "off"/);
    }

    refused("status with $name= twice",
            location("tgbot_status $name=on $name=off;"),
            qr/invalid value "$name=off" in "tgbot_status" directive/,
            qr/expected every parameter only once/);
}

for my $age ('', '0', '0s', '-1s', '5x', 'off', 'm') {
    refused("status ready_age=$age",
            location("tgbot_status ready_age=$age;"),
            qr/invalid value "ready_age=$age" in "tgbot_status" directive/,
            qr/expected a time greater than 0/);
}

refused("status with ready_age= twice",
        location("tgbot_status ready_age=1m ready_age=2m;"),
        qr/invalid value "ready_age=2m" in "tgbot_status" directive/,
        qr/expected every parameter only once/);

accepted("status $_", location("tgbot_status $_;"))
    for '', 'format=json', 'format=prometheus', 'payload=on', 'write=off',
        'write=on payload=on format=json', 'ready_age=90s',
        'ready_age=1h write=on';

sub exact {
    return location($_[0]) =~ s{location /t}{location = /t}r;
}

accepted("status $_ of one URI", exact("tgbot_status $_;"),
         qr/"tgbot_status" directive has "payload=on" or "write=on" in/)
    for 'payload=on', 'write=on';

accepted('status of one URI', exact('tgbot_status payload=off write=off;'));

done_testing();
