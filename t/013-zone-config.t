#!/usr/bin/perl

# What nginx -t says of the directives of shared memory when they are wrong,
# and of some that are right; and what a reload makes of their zones.

use strict;
use warnings;

use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';

use TgbotConf;


my $limit = 'tgbot_limit $tgbot_user_id';
my $cache = 'tgbot_cache $tgbot_text';

my $shown = qr/is shown by "nginx -T"/;


# the value as it stands in the message

sub unquoted {
    my ($value) = @_;

    return $value =~ s/"//gr;
}


# tgbot_dedup

for my $value ('yes', '""', 'seen:1m', 'zone', 'ON', 'off:1m', 'window 5') {
    my ($word) = unquoted($value) =~ /(\S*)/;

    refused("dedup $value", shop("tgbot_dedup $value;"),
            qr/invalid value "\Q$word\E" in "tgbot_dedup" directive/,
            qr/expected "zone=", "redis" or "window=", or "on" or "off" alone/);
}

for my $value ('on off', 'zone=a:4m off', 'window=1024 on') {
    refused("dedup $value", shop("tgbot_dedup $value;"),
            qr/invalid value "(?:on|off)" in "tgbot_dedup" directive/,
            qr/"on" or "off" alone/);
}

for my $value (0, 1, 512, 1023, 1025, 4194303, 2147483648, -1024, '', '4m') {
    refused("dedup window=$value", shop("tgbot_dedup window=$value;"),
            qr/invalid value "window=\Q$value\E" in "tgbot_dedup" directive/,
            qr/expected a power of two between 1024 and 1073741824/);
}

for my $value ('zone=a:4m redis', 'redis zone=a:4m') {
    refused("dedup $value", shop("tgbot_dedup $value;"),
            qr/invalid value "redis" in "tgbot_dedup" directive/,
            qr/expected either it or "zone="/);
}

refused('dedup redis without tgbot_redis', shop('tgbot_dedup redis;'),
        qr/"tgbot_webhook" directive "shop" has "tgbot_dedup" with "redis"/,
        qr/expected "tgbot_redis" in http/);

accepted("dedup $_", "tgbot_redis 127.0.0.1;\n" . shop("tgbot_dedup $_;"))
    for 'redis', 'redis window=1024';

refused('dedup with a parameter twice',
        shop('tgbot_dedup window=1024 window=2048;'),
        qr/invalid value "window=2048" in "tgbot_dedup" directive/,
        qr/expected every parameter only once/);

refused('dedup twice', shop('tgbot_dedup on; tgbot_dedup on;'),
        qr/"tgbot_dedup" directive is duplicate/);

refused('dedup without a value', shop('tgbot_dedup;'),
        qr/number of arguments in "tgbot_dedup" directive/);

accepted("dedup $_", shop("tgbot_dedup $_;"))
    for 'on', 'off', 'window=1024', 'window=1073741824', 'zone=a:4m',
        'window=4194304 zone=a:4m';


# tgbot_limit

for my $case (['0r/s'], ['-1r/s'], ['r/s'], ['5'], ['5r'], ['5r/h'], ['5/s'],
              ['1000001r/s'], ['1.5r/s'], [''], ['5r/s '])
{
    my ($rate) = @$case;

    refused("limit rate=$rate", shop(qq($limit zone=a:1m "rate=$rate";)),
            qr/invalid value "rate=\Q$rate\E" in "tgbot_limit" directive/,
            qr/a number between 1 and 1000000 with "r\/s" or "r\/m"/);
}

for my $burst ('0', '-1', '', '5r', '1.5') {
    refused("limit burst=$burst",
            shop("$limit zone=a:1m rate=1r/s burst=$burst;"),
            qr/invalid value "burst=\Q$burst\E" in "tgbot_limit" directive/,
            qr/expected a number between 1 and 1000000/);
}

refused('limit burst=1000001',
        shop("$limit zone=a:1m rate=1r/s burst=1000001;"),
        qr/invalid value "burst=1000001" in "tgbot_limit" directive/,
        qr/expected a number between 1 and 1000000/);

for my $action ('', 'deny', 'Drop', 'drop,reject') {
    refused("limit action=$action",
            shop("$limit zone=a:1m rate=1r/s action=$action;"),
            qr/invalid value "action=$action" in "tgbot_limit" directive/,
            qr/expected "drop" or "reject"/);
}

refused('limit with an empty reply',
        shop("$limit zone=a:1m rate=1r/s reply=;"),
        qr/invalid value "reply=" in "tgbot_limit" directive/,
        qr/expected a text/);

for my $order ('action=reject "reply=Not so fast."',
               '"reply=Not so fast." action=reject')
{
    refused("limit $order", shop("$limit zone=a:1m rate=1r/s $order;"),
            qr/invalid value "reply=Not so fast\." in "tgbot_limit" direct/,
            qr/expected "action=drop" with it: a rejected update has no/);
}

refused('limit redis without a zone', shop("$limit rate=1r/s redis;"),
        qr/"tgbot_limit" directive stands without "zone="/);

refused('limit redis without tgbot_redis',
        shop("$limit zone=a:1m rate=1r/s redis;"),
        qr/"tgbot_webhook" directive "shop" has "tgbot_limit" with "redis"/,
        qr/expected "tgbot_redis" in http/);

refused('limit shared redis in a cluster',
        "tgbot_redis 127.0.0.1 cluster;\n"
        . shop("$limit zone=a:1m rate=1r/s shared redis;"),
        qr/"shop" has "tgbot_limit" with "shared" and "redis"/,
        qr/expected a "tgbot_redis" without "cluster"/);

accepted('limit redis in a cluster',
         "tgbot_redis 127.0.0.1 cluster;\n"
         . shop("$limit zone=a:1m rate=1r/s redis;"));

accepted("limit $_", "tgbot_redis 127.0.0.1;\n"
                     . shop("$limit zone=a:1m rate=1r/s $_;"))
    for 'redis', 'shared redis', 'redis burst=5 action=reject';

for my $word ('nodelay', 'share', 'shared=on', '""', 'Rate=1r/s', '5r/s') {
    my $text = unquoted($word);

    refused("limit $word", shop("$limit zone=a:1m rate=1r/s $word;"),
            qr/invalid value "\Q$text\E" in "tgbot_limit" directive/,
            qr/expected "zone=", "rate=", "burst=", "action=", "reply=", "shared" or/);
}

for my $twice ('rate=2r/s', 'shared shared', 'burst=1 burst=1') {
    my ($word) = $twice =~ /(\S+)$/;

    refused("limit with $word twice",
            shop("$limit zone=a:1m rate=1r/s $twice;"),
            qr/invalid value "\Q$word\E" in "tgbot_limit" directive/,
            qr/expected every parameter only once/);
}

refused('limit without a zone', shop("$limit rate=1r/s;"),
        qr/value "\$tgbot_user_id" in "tgbot_limit" directive stands without/,
        qr/without "zone=", expected "zone=name:size" and "rate=" with it/);

refused('limit without a rate', shop("$limit zone=a:1m;"),
        qr/value "\$tgbot_user_id" in "tgbot_limit" directive stands without/,
        qr/without "rate=", expected "zone=name:size" and "rate=" with it/);

refused('limit with a key alone', shop("$limit;"),
        qr/in "tgbot_limit" directive stands without "zone="/);

refused('limit with an empty key', shop('tgbot_limit "" zone=a:1m rate=1r/s;'),
        qr/invalid value "" in "tgbot_limit" directive, expected a key/);

refused('limit without a value', shop('tgbot_limit;'),
        qr/number of arguments in "tgbot_limit" directive/);

refused('limit and off', shop("$limit zone=a:1m rate=1r/s; tgbot_limit off;"),
        qr/"tgbot_limit" directive is duplicate, "off" stands alone/);

refused('off and limit', shop("tgbot_limit off; $limit zone=a:1m rate=1r/s;"),
        qr/"tgbot_limit" directive is duplicate, "off" stands alone/);

refused('off twice', shop('tgbot_limit off; tgbot_limit off;'),
        qr/"tgbot_limit" directive is duplicate, "off" stands alone/);

for my $second ('', 'burst=20', 'action=reject', 'reply=Slower!') {
    refused("two limits of the same buckets, $second",
            shop("$limit zone=a:1m rate=1r/s; $limit zone=a rate=1r/s "
                 . "$second;"),
            qr/duplicate value "\$tgbot_user_id" in "tgbot_limit" directive/,
            qr/expected another key, zone, rate or burst/);
}

accepted('several limits',
         shop("$limit zone=a:1m rate=1r/s; $limit zone=a rate=20r/m;\n"
              . "$limit zone=a rate=1r/s shared; $limit zone=b:1m rate=1r/s;\n"
              . "$limit zone=a rate=1r/s burst=5; $limit zone=a rate=1r/m;\n"
              . 'tgbot_limit $tgbot_chat_id zone=a rate=1r/s;'));

my @many = map "$limit zone=a rate=${_}r/m;", 1 .. 16;

accepted('sixteen limits', shop("@many", "$limit zone=a:1m rate=1r/s;"));

refused('seventeen limits',
        shop("@many $limit zone=a rate=17r/m;", "$limit zone=a:1m rate=1r/s;"),
        qr/value "\$tgbot_user_id" in "tgbot_limit" directive is one limit too/,
        qr/expected at most 16/);

accepted('limit with all',
         shop('tgbot_limit "$tgbot_bot $tgbot_user_id" zone=a:1m rate=30r/m '
              . 'burst=1000000 action=drop "reply=It is $5, slow down." '
              . 'shared;'));

accepted('limit with the highest rate',
         shop("$limit zone=a:1m rate=1000000r/s action=reject;"));

accepted('limit of all updates', shop('tgbot_limit all zone=a:1m rate=5r/s;'));


# tgbot_limit_dry_run

for my $value ('yes', '""', '1') {
    my $text = unquoted($value);

    refused("dry_run $value", shop("tgbot_limit_dry_run $value;"),
            qr/invalid value "$text" in "tgbot_limit_dry_run" directive/,
            qr/it must be "on" or "off"/);
}

refused('dry_run twice',
        shop('tgbot_limit_dry_run on; tgbot_limit_dry_run on;'),
        qr/"tgbot_limit_dry_run" directive is duplicate/);

accepted("dry_run $_", shop("tgbot_limit_dry_run $_;")) for 'on', 'off';


# tgbot_cache

for my $name ('valid', 'lock_timeout') {
    for my $value ('0', '', '-1', 'x', '5 s') {
        refused("cache $name=$value",
                shop(qq($cache zone=a:1m "$name=$value";)),
                qr/invalid value "$name=$value" in "tgbot_cache" directive/,
                qr/expected a time greater than 0/);
    }
}

for my $word ('shared', '""', 'rate=1r/s', 'valid', '60s', 'redis=1') {
    my $text = unquoted($word);

    refused("cache $word", shop("$cache zone=a:1m $word;"),
            qr/invalid value "\Q$text\E" in "tgbot_cache" directive/,
            qr/expected "zone=", "valid=", "lock_timeout=" or "redis"/);
}

refused('cache with a parameter twice',
        shop("$cache zone=a:1m valid=1s valid=1s;"),
        qr/invalid value "valid=1s" in "tgbot_cache" directive/,
        qr/expected every parameter only once/);

refused('cache with redis twice', shop("$cache zone=a:1m redis redis;"),
        qr/invalid value "redis" in "tgbot_cache" directive/,
        qr/expected every parameter only once/);

refused('cache with redis without tgbot_redis',
        shop("$cache zone=a:1m redis;"),
        qr/"shop" has "tgbot_cache" with "redis", expected "tgbot_redis"/);

refused('cache with redis without a zone',
        shop("$cache redis;", 'tgbot_redis unix:/s;'),
        qr/value "\$tgbot_text" in "tgbot_cache" directive stands without/,
        qr/without "zone=", expected "zone=name:size" with it/);

refused('cache without a zone', shop("$cache valid=5s;"),
        qr/value "\$tgbot_text" in "tgbot_cache" directive stands without/,
        qr/without "zone=", expected "zone=name:size" with it/);

refused('cache with an empty key', shop('tgbot_cache "" zone=a:1m;'),
        qr/invalid value "" in "tgbot_cache" directive, expected a key/);

refused('cache twice', shop("$cache zone=a:1m; $cache zone=a;"),
        qr/"tgbot_cache" directive is duplicate/);

refused('cache off and on', shop("tgbot_cache off; $cache zone=a:1m;"),
        qr/"tgbot_cache" directive is duplicate/);

refused('cache without a value', shop('tgbot_cache;'),
        qr/number of arguments in "tgbot_cache" directive/);

accepted('cache', shop("$cache zone=a:1m;"));
accepted('cache with all',
         shop("$cache valid=1d lock_timeout=100ms zone=a:1m;"));
accepted('cache with redis',
         shop("$cache zone=a:1m redis;", 'tgbot_redis unix:/s;'));
accepted('cache off', shop('tgbot_cache off;', "$cache zone=a:1m;"));

accepted('cache without a program', bare("tgbot_reply hi; $cache zone=a:1m;"),
         qr/"shop" has "tgbot_cache" without "tgbot_handler": there are no/);


# tgbot_attempts

for my $value ('0', '1001', '-1', '""', 'many', '5s', 'off') {
    my $text = unquoted($value);

    refused("attempts $value", shop("tgbot_attempts $value;"),
            qr/invalid value "$text" in "tgbot_attempts" directive/,
            qr/expected a number between 1 and 1000/);
}

for my $par ('backoff=0', 'backoff=', 'max_backoff=x', 'max_backoff=0s') {
    refused("attempts 5 $par", shop("tgbot_attempts 5 $par;"),
            qr/invalid value "\Q$par\E" in "tgbot_attempts" directive/,
            qr/expected a time greater than 0/);
}

for my $par ('life=1h', '5', 'attempts=5') {
    refused("attempts 5 $par", shop("tgbot_attempts 5 $par;"),
            qr/invalid value "\Q$par\E" in "tgbot_attempts" directive/,
            qr/expected "backoff=" or "max_backoff="/);
}

refused('attempts with a parameter twice',
        shop('tgbot_attempts 5 backoff=1s backoff=1s;'),
        qr/invalid value "backoff=1s" in "tgbot_attempts" directive/,
        qr/expected every parameter only once/);

refused('attempts, backoff above max_backoff',
        shop('tgbot_attempts 5 backoff=2s max_backoff=1s;'),
        qr/invalid value "backoff=2000ms" in "tgbot_attempts" directive/,
        qr/expected at most "max_backoff", which is 1000ms/);

refused('attempts, backoff above the default of max_backoff',
        shop('tgbot_attempts 5 backoff=6m;'),
        qr/expected at most "max_backoff", which is 300000ms/);

refused('attempts twice', shop('tgbot_attempts 5; tgbot_attempts 5;'),
        qr/"tgbot_attempts" directive is duplicate/);

refused('attempts without a value', shop('tgbot_attempts;'),
        qr/number of arguments in "tgbot_attempts" directive/);

accepted("attempts $_", shop("tgbot_attempts $_;"))
    for '1', '1000', '3 backoff=1ms max_backoff=1ms', '3 max_backoff=1h';


# tgbot_max_age

for my $value ('0', '-1', '""', 'old', '1x', '100ms') {
    my $text = unquoted($value);

    refused("max_age $value", shop("tgbot_max_age $value;"),
            qr/invalid value "$text" in "tgbot_max_age" directive/,
            qr/expected a time of 1s or more, or "off"/);
}

refused('max_age twice', shop('tgbot_max_age 1h; tgbot_max_age off;'),
        qr/"tgbot_max_age" directive is duplicate/);

refused('max_age off twice', shop('tgbot_max_age off; tgbot_max_age off;'),
        qr/"tgbot_max_age" directive is duplicate/);

accepted("max_age $_", shop("tgbot_max_age $_;")) for '1s', '1d', 'off';


# tgbot_status

refused('status twice', location('tgbot_status; tgbot_status;'),
        qr/"tgbot_status" directive is duplicate/);

refused('status in http', 'tgbot_status;',
        qr/"tgbot_status" directive is not allowed here/);

refused('status in a server', "server { listen unix:$home/s; tgbot_status; }",
        qr/"tgbot_status" directive is not allowed here/);

refused('proxy_pass before the status',
        location('proxy_pass http://127.0.0.1:1; tgbot_status;'),
        qr/"tgbot_status" directive stands in location "\/t" beside another/,
        qr/expected a location of its own/);

refused('proxy_pass behind the status',
        location("tgbot_status;\nproxy_pass http://127.0.0.1:1;"),
        qr/"tgbot_status" directive stands in location "\/t" beside another/,
        qr/expected a location of its own in \S+nginx\.conf:\d+/);

refused('a webhook before the status', shop('tgbot_status;'),
        qr/"tgbot_status" directive stands in location "\/t" beside another/);

refused('a webhook behind the status',
        location('tgbot_status; tgbot_webhook shop;'),
        qr/"tgbot_webhook" directive "shop" stands in location "\/t" beside/);

accepted('status', location('tgbot_status;'));
accepted('status with if and limit_except',
         location('tgbot_status; if ($arg_a) { return 403; } '
                  . 'limit_except GET { deny all; }'));


# where they stand

for my $line ('tgbot_dedup on', "$limit zone=a:1m rate=1r/s",
              'tgbot_limit_dry_run on', "$cache zone=a:1m",
              'tgbot_attempts 5', 'tgbot_max_age off', 'tgbot_queue zone=a:1m',
              'tgbot_dead_letters off', 'tgbot_status')
{
    my ($name) = split ' ', $line;

    refused("$name in if", shop("if (\$arg_a) { $line; }"),
            qr/"$name" directive is not allowed here/);

    refused("$name in limit_except", shop("limit_except GET { $line; }"),
            qr/"$name" directive is not allowed here/);

    next if $name eq 'tgbot_status';

    accepted("$name in http", shop('', "$line;"));

    accepted("$name in a server",
             "server {\nlisten unix:$home/s;\n$line;\nlocation /t {\n"
             . "tgbot_webhook shop;\ntgbot_secret_token off;\n"
             . "tgbot_handler /app;\n}\n}");
}


# tgbot_gateway idempotency=

sub gateway {
    my ($rest, $server) = @_;

    return shop('tgbot_token 1:' . 'a' x 35 . '; tgbot_api /api;',
                "server {\nlisten unix:$home/g;\n" . ($server // '')
                . "\nlocation /bot/ {\ntgbot_gateway shop $rest;\n}\n}");
}

for my $zone ('', ':4m', 'a:', 'a:0', 'a:4x', 'a:1k') {
    refused("gateway idempotency=$zone", gateway("idempotency=$zone"),
            qr/invalid zone "\Q$zone\E" in "tgbot_gateway" directive/);
}

refused('gateway, a zone without a size', gateway('idempotency=a'),
        qr/invalid zone "a" in "tgbot_gateway" directive: it has no size/);

refused('gateway, a zone of another kind', gateway('idempotency=a',
        "location /u {\ntgbot_webhook u;\ntgbot_secret_token off;\n"
        . "tgbot_handler /app;\ntgbot_dedup zone=a:4m;\n}"),
        qr/invalid zone "a" in "tgbot_gateway" directive: it is a dedup/);

accepted('gateway, one zone for two', gateway('idempotency=a:1m',
         "location /more/ {\ntgbot_gateway shop idempotency=a;\n}"),
         $shown);


# zones: the directive, what it needs besides, and what its zone is called

my @kinds = (['tgbot_dedup', '', 'dedup'],
             ['tgbot_limit', '$tgbot_user_id rate=1r/s', 'limit'],
             ['tgbot_cache', '$tgbot_text', 'cache'],
             ['tgbot_queue', '', 'queue'],
             ['tgbot_dead_letters', '', 'dead letters']);

for my $kind (@kinds) {
    my ($name, $rest, $is) = @$kind;

    my $with = sub {
        my ($zone) = @_;

        return "$name " . join(' ', $rest =~ /^(\S*)/, "zone=$zone",
                               $rest =~ /^\S+ (.*)/) . ';';
    };

    for my $zone ('', ':4m', 'a:', 'a:0', 'a:-4m', 'a:4x', 'a:8mb', 'a:1g',
                  'a:4m:4m')
    {
        refused("$name zone=$zone", shop($with->($zone)),
                qr/invalid zone "\Q$zone\E" in "$name" directive/,
                $zone =~ /^a:(.*)/
                    ? (qr/its size is "\Q$1\E", expected a number of bytes/,
                       qr/with "k" or "m", such as "zone=a:8m"/)
                    : qr/expected name:size where the zone is declared/);
    }

    refused("$name, a zone without a size", shop($with->('a')),
            qr/invalid zone "a" in "$name" directive: it has no size/,
            qr/expected "zone=a:size" in one place/);

    refused("$name, a zone with two sizes",
            shop($with->('a:8m'), $with->('a:4m')),
            qr/invalid zone "a:8m" in "$name" directive: its size is given/,
            qr/is given in \S+nginx\.conf:\d+, expected "zone=a"/);

    refused("$name, a zone with one size twice",
            shop($with->('a:4m'), $with->('a:4m')),
            qr/invalid zone "a:4m" in "$name" directive: its size is given/);

    for my $size ('1', '4k', '16k') {
        refused("$name, a zone of $size", shop($with->("a:$size")),
                qr/zone "a(?::$size)?" .*"$name" directive.* too small/,
                qr/expected .*\d+[km]/);
    }

    # the size that is asked for at last is enough, and no more than that

    my ($needed, $told) = (8);

    for (1 .. 3) {
        my (undef, $out) = test_conf(shop($with->("a:${needed}k")));

        ($told) = $out =~ /expected (?:a size of |"$name zone=a:)(\d+)k/
            or last;
        $needed = $told;
    }

    my (undef, $out) = test_conf(shop($with->('a:' . ($needed - 1) . 'k')));

    like($out, qr/\[emerg\].* too small/, "$name, ${needed}k without one");
    accepted("$name, a zone of the size told", shop($with->("a:${needed}k")));

    accepted("$name, declared below where it is used",
             "server {\nlisten unix:$home/s;\ntgbot_secret_token off;\n"
             . "tgbot_handler /app;\nlocation /a {\ntgbot_webhook one;\n"
             . $with->('a') . "\n}\nlocation /b {\n" . $with->('a:4m')
             . "\n}\n}");

    refused("$name, a zone of nginx",
            shop($with->('a:4m'),
                 'limit_req_zone $binary_remote_addr zone=a:1m rate=1r/s;'),
            qr/zone "a" is already declared for a different use/);

    refused("$name, a zone of the module's own",
            shop($with->('tgbot_slots:1m')),
            qr/zone "tgbot_slots" in "tgbot_webhook" directive: it is a/,
            qr/it is a $is zone in \S+conf:\d+, expected another name/);

    for my $other (grep { $_ != $kind } @kinds) {
        my ($name2, $rest2, $is2) = @$other;
        my ($first, $second) = split ' ', $rest2;

        $second //= '';
        $first //= '';

        refused("$name, a zone of $name2",
                shop($with->('a'), "$name2 $first zone=a:8m $second;"),
                qr/invalid zone "a" in "$name" directive: it is a $is2 zone/,
                qr/expected another name for a $is zone/);
    }
}

refused("a seen zone under the name of another bot's own",
        shop("$limit zone=tgbot_seen_shop:1m rate=1r/s;"),
        qr/zone "tgbot_seen_shop" in "tgbot_webhook" directive: it is a/);

accepted("the bot's own zone, declared",
         shop('tgbot_dedup zone=tgbot_seen_shop:4m;'));

refused("the bot's own zone, used by another one as well",
        shop('') . "server {\nlisten unix:$home/s2;\ntgbot_secret_token off;\n"
        . "location /u {\ntgbot_webhook other;\ntgbot_handler /app;\n"
        . "tgbot_dedup zone=tgbot_seen_shop;\n}\n}",
        qr/zone "tgbot_seen_shop" of 2048k is too small for the 2 bots/);

my $bots = join "\n", map "location /$_ { tgbot_webhook b$_; }", 1 .. 8;
$bots = "server {\nlisten unix:$home/s;\ntgbot_secret_token off;\n"
        . "tgbot_handler /app;\n$bots\n}";

accepted('bots with zones of their own', $bots);
accepted('bots that share a zone', "tgbot_dedup zone=all:16m;\n$bots");

refused('bots that share a zone, too many of them',
        "tgbot_dedup zone=all:4m;\n$bots",
        qr/zone "all".* too small/, qr/expected .*\d+[km]/);

my (undef, $small) = test_conf("tgbot_dedup zone=all:4m;\n$bots");
my ($size) = $small =~ /expected .*?(\d+[km])/;

accepted('bots that share a zone of the size told',
         "tgbot_dedup zone=all:$size;\n$bots");

# what the message of too small a zone says is enough

$bots = "server {\nlisten unix:$home/s;\ntgbot_secret_token off;\n"
        . "tgbot_handler /app;\n"
        . join("\n", map "location = /$_ { tgbot_webhook b$_; }", 1 .. 80)
        . "\n}";

for my $case (['tgbot_dedup', 'zone=all:2m'],
              ['tgbot_queue', 'zone=all:1m', ' share=100%'],
              ['tgbot_dead_letters', 'zone=all:100k'])
{
    my ($name, $zone, $rest) = @$case;
    $rest //= '';

    my $small = "$name $zone$rest;\n$bots";
    my $expected = qr/expected "$name zone=all:\d+[km]" or a larger size in /;

    refused("$name, 80 bots in a small zone", $small,
            qr/zone "all" .* the 80 (?:bots )?that use it, $expected/);

    my (undef, $out) = test_conf($small);
    my ($enough) = $out =~ /expected "$name (zone=all:\w+)"/;

    accepted("$name, 80 bots in the zone told", "$name $enough$rest;\n$bots");
}


# reload: what remains of a limit of one update a minute

my $error_log = "$home/logs/error.log";


sub reload_conf {
    my ($directives, $http) = @_;

    main_conf(join "\n", "error_log $error_log notice;",
              "daemon off;", "worker_processes 2;",
              http_block(($http || '')
                         . "server {\nlisten unix:$home/r;\n"
                         . "location = /t {\ntgbot_webhook shop;\n"
                         . "tgbot_secret_token off;\ntgbot_reply hi;\n"
                         . "$directives\n}\n}"));
}


sub log_size {
    return -s $error_log || 0;
}


# waits for a line in the log beyond an offset

sub logged {
    my ($offset, $re) = @_;

    my $text;

    for (1 .. 200) {
        if (open my $fh, '<', $error_log) {
            local $/;
            seek $fh, $offset, 0;
            $text = <$fh> // '';
            return $text if $text =~ $re;
        }

        sleep 0.05;
    }

    return "not logged: $re\n$text";
}


my $update_id = 1000;


sub post {
    my $s;

    for (1 .. 100) {
        $s = IO::Socket::UNIX->new(Peer => "$home/r") and last;
        sleep 0.05;
    }

    return 'no connection' if !$s;

    $update_id++;

    my $body = qq({"update_id":$update_id,"message":{"message_id":2,)
        . qq("date":1700000000,"chat":{"id":7,"type":"private"},)
        . qq("from":{"id":8,"first_name":"Ann"},"text":"hi"}});

    print $s "POST /t HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
        . "Content-Type: application/json\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";

    local $/;
    my ($code) = (<$s> // '') =~ m{^HTTP/1\.1 (\d+)};

    return $code // 'no answer';
}


my $minute = 'tgbot_limit $tgbot_user_id rate=1r/m burst=1 action=reject';

reload_conf("$minute zone=a:1m;");

my $pid = fork();
die "fork: $!" if !defined $pid;

if ($pid == 0) {
    open STDERR, '>', "$home/logs/out" or die "out: $!";
    exec $nginx, '-p', "$home/", '-c', 'conf/nginx.conf', '-e', $error_log
        or die "$nginx: $!";
}

END { local $?; kill 'QUIT', $pid if $pid }


# a reload that is taken: its workers answer

sub reloaded {
    my ($name, $directives, $http) = @_;

    my $offset = log_size();

    reload_conf($directives, $http);
    kill 'HUP', $pid;

    my $out = logged($offset, qr/exited with code 0(?s:.*)exited with code 0/);

    $out =~ s/^.*deleting socket.*\n//mg;

    unlike($out, qr/not logged|\[(?:warn|error|crit|alert|emerg)\]/, $name);
}


is(post(), 200, 'the first update');
is(post(), 429, 'the second one is limited');

reloaded('reload', "$minute zone=a:1m;");

is(post(), 429, 'the zone is adopted');

reloaded('reload with another size', "$minute zone=a:2m;");

is(post(), 200, 'the zone begins empty');
is(post(), 429, 'and is kept');

reloaded('reload with another bot', "$minute zone=a:2m;",
         "server {\nlisten unix:$home/r2;\nlocation / {\n"
         . "tgbot_webhook other;\ntgbot_secret_token off;\n"
         . "tgbot_reply hi;\n$minute zone=a;\n}\n}\n");

is(post(), 429, 'the zone of two bots is adopted');

for my $case (['cache', 'tgbot_handler /a; tgbot_cache $tgbot_text zone=a:2m'],
              ['dedup', 'tgbot_dedup zone=a:2m'])
{
    my ($is, $directive) = @$case;

    my $offset = log_size();

    reload_conf("$directive;");
    kill 'HUP', $pid;

    my $out = logged($offset, qr/\[emerg\]/);

    like($out, qr/zone "a" is a limit zone now, expected another name for a/,
         "reload with a $is zone of that name is refused");
    like($out, qr/for a $is zone in \S+nginx\.conf:\d+/, 'and tells where');

    unlike($out, qr/start worker process/, 'and starts nothing');

    is(post(), 429, 'what ran goes on');
}

reloaded('reload without the limit', '');

is(post(), 200, 'nothing is limited');

reloaded('reload with a zone of another kind now', 'tgbot_dedup zone=a:2m;');

is(post(), 200, 'updates are taken');

kill 'QUIT', $pid;
waitpid $pid, 0;

is($?, 0, 'nginx ends in peace');
$pid = 0;

open my $fh, '<', $error_log or die "$error_log: $!";
my $log = do { local $/; <$fh> };
$log =~ s/^.*is a limit zone now.*\n//mg;

unlike($log, qr/\[(?:alert|crit|emerg|error)\]/, 'nothing else is logged')
    or diag($log);

done_testing();
