# Histograms, times, and what else tgbot_status tells of metrics.  For blocks
# with steps see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotRedis;
use TgbotSteps;

use JSON::PP;
use List::Util qw(sum);
use Time::HiRes qw(time sleep);

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value("config", ($block->config // '') . <<'_EOC_');
    location = /idle {
        return 200;
    }
_EOC_
});

TgbotRedis::start();

TgbotSteps::start(request => 'GET /idle', real_time => 1);

# what there is in the buckets of a histogram, each by itself

sub buckets {
    my ($histogram) = @_;

    my %buckets = %{$histogram->{buckets}};
    my ($before, @got) = 0;

    for my $le (sort { $a <=> $b } grep { $_ ne '+Inf' } keys %buckets) {
        push @got, "$le=" . ($buckets{$le} - $before)
            if $buckets{$le} != $before;
        $before = $buckets{$le};
    }

    push @got, "+Inf=" . ($buckets{'+Inf'} - $before)
        if $buckets{'+Inf'} != $before;

    is($buckets{'+Inf'}, $histogram->{count}, $block->name . " - count");

    return "@got";
}

# the samples of a scrape by name and labels, after a look at their order

sub scrape {
    my (undef, undef, $text) = get('/status?format=prometheus');

    my (%sample, %done, $family, $type);
    my $name = $block->name;

    for my $line (split /\n/, $text) {

        if ($line =~ /^# HELP (\w+) \S.*\.$/) {
            $family = $1;
            fail("$name - $family twice") if $done{$family}++;

        } elsif ($line =~ /^# TYPE (\w+) (counter|gauge|histogram)$/) {
            is($1, $family, "$name - type") if $1 ne $family;
            $type = $2;

        } elsif ($line =~ /^(\w+)(\{.*\})? (\d+(?:\.\d{3})?)$/) {
            my ($series, $of, $value) = ($1 . ($2 // ''), $1, $3);

            $of =~ s/_(?:bucket|sum|count)$// if $type eq 'histogram';

            fail("$name - $line under $family") if $of ne $family;
            fail("$name - $line twice") if defined $sample{$series};

            $sample{$series} = $value;

        } else {
            fail("$name - line $line");
        }
    }

    cmp_ok(scalar keys %done, '>', 20, "$name - families");
    is(scalar(grep { !/^nginx_tgbot_/ } keys %done), 0, "$name - prefix");

    return \%sample;
}

# what JSON has of a metric, as a scrape has it

sub flat {
    my ($name, $labels, $value, @of) = @_;

    if (ref $value && exists $value->{buckets}) {
        return (flat("${name}_bucket", $labels, $value->{buckets}, 'le'),
                flat("${name}_sum", $labels, sprintf("%.3f", $value->{sum})),
                flat("${name}_count", $labels, $value->{count}));
    }

    if (ref $value) {
        my $label = shift @of;

        return map { flat($name, CORE::join(',', $labels || (),
                                            "$label=\"$_\""),
                          $value->{$_}, @of) } keys %$value;
    }

    return ($name . ($labels ? "{$labels}" : ''), $value);
}

# the labels of metrics; the others have none, or "le"

our %labels = (
    deliveries_total => ['verdict'], rejected_total => ['reason'],
    calls_total => ['kind', 'event'], calls_inflight => ['kind'],
    handler_calls_total => ['outcome'], api_calls_total => ['method', 'result'],
    limit_decisions_total => ['zone', 'outcome'], cache_total => ['result'],
    dead_letters_total => ['cause'], queue_items_total => ['event'],
    queue_depth => ['state'], zone_bytes => ['state'], build_info => ['version'],
    redis_commands_total => ['result'], answers_ignored_total => ['reason'],
    idempotency_total => ['result'],
    broadcasts => ['state'], broadcast_chats => ['state'],
    pace_waiting => ['reason'], pace_waits_total => ['reason'],
    pace_used => ['bucket'], pace_allowed => ['bucket'],
);

# JSON without what is no metric, as a scrape

sub expected {
    my ($status) = @_;

    my %no_metric = map { $_ => 1 }
        qw(version now start_time write payload bots zones queue queue_lanes
           queue_blocks queue_allowed dedup dead_letters broadcast_list machines kind size used total
           entries items broken orphaned);
    my %expected;

    my $add = sub {
        my ($labels, $of) = @_;

        for (grep { !$no_metric{$_} } keys %$of) {
            %expected = (%expected,
                         flat("nginx_tgbot_$_", $labels, $of->{$_},
                              @{$labels{$_} // []}));
        }
    };

    $add->('', $status);

    for my $kind (qw(bot zone)) {
        for my $name (keys %{$status->{"${kind}s"}}) {
            $add->("$kind=\"$name\"", $status->{"${kind}s"}{$name});
        }
    }

    # methods that were never called

    for my $call (grep { /^nginx_tgbot_api_calls_total/ && !$expected{$_} }
                  keys %expected)
    {
        my ($bot, $method) = $call =~ /bot="(.*?)",method="(.*?)"/;
        my $of = $status->{bots}{$bot}{api_calls_total}{$method};

        delete $expected{$call}
            if $method ne 'other' && !grep { $_ } values %$of;
    }

    return \%expected;
}

# until workers are connected to Redis, or none is: ten answers in a row say so

sub connected {
    my ($up) = @_;

    my $said = 0;

    becomes(1, "redis_up=$up", sub {
        $said = status()->{redis_up} == $up ? $said + 1 : 0;

        return $said == 10 ? 1 : 0;
    });
}


master_on();
workers(2);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: how long updates and calls of the program take
--- config eval: main::bot() . main::bot('tgbot_handler off;', 'none')
--- then
deliver('done', 'b', text => "sleep/0.7/say/$_") for 1 .. 2;
deliver('failed', 'b', text => 'sleep/0.3/status/500');
deliver('rejected', 'b', body => '{') for 1 .. 3;
deliver('ignored', 'none');

my $bots = status()->{bots};

# nothing is faster than it sleeps; where everything takes its time it is slower

for my $of (['update_duration_seconds', 6], ['handler_duration_seconds', 3]) {
    my ($name, $count) = @$of;
    my $histogram = $bots->{b}{$name};
    my $buckets = $histogram->{buckets};

    buckets($histogram);
    is($histogram->{count}, $count, "count of $name");
    cmp_ok($buckets->{60}, '==', $count, "$name within a minute");
    cmp_ok($count - $buckets->{0.5}, '>=', 2, "$name of 0.7 s");
    cmp_ok($count - $buckets->{0.2}, '>=', 3, "$name of 0.3 s and more");
    cmp_ok($histogram->{sum}, '>', 1.69, "sum of $name");
}

is($bots->{none}{update_duration_seconds}{count}, 1, 'ignored');
is($bots->{none}{handler_duration_seconds}{count}, 0, 'not called');
is(CORE::join(' ', sort { $a <=> $b }
                   keys %{$bots->{b}{update_duration_seconds}{buckets}}),
   '0.001 0.002 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 2 5 10 30 60 +Inf',
   'bounds');



=== TEST 2: a call of the program that is aborted, and one in a queue
--- config eval
main::bot('tgbot_hold_timeout 300ms;')
. main::bot('tgbot_queue zone=updates:4m;', 'q')
--- then
deliver('busy', 'b', text => 'sleep/0.6/wait/late/say/x');
deliver('queued', 'q', text => 'sleep/1/say/x');
TgbotProgram::go('late');

my $bots = until_status(sub {
    my $bots = $_[0]{bots};
    return 2 == grep { $bots->{$_}{handler_duration_seconds}{count} } qw(b q);
})->{bots};

for (['b', 'update', 0.2], ['b', 'handler', 0.5], ['q', 'handler', 0.2]) {
    my ($bot, $of, $le) = @$_;
    my $histogram = $bots->{$bot}{"${of}_duration_seconds"};

    buckets($histogram);
    is($histogram->{count}, 1, "$bot: count of $of");
    is($histogram->{buckets}{$le}, 0, "$bot: $of takes longer");
}

cmp_ok($bots->{q}{update_duration_seconds}{sum}, '<',
       $bots->{q}{handler_duration_seconds}{sum}, 'not held');



=== TEST 3: the time of the last update
--- config eval: main::bot() . main::bot('', 'c')
--- then
is(status()->{bots}{b}{last_update_timestamp_seconds}, 0, 'none yet');

deliver('rejected', 'b', body => '{');
is(status()->{bots}{b}{last_update_timestamp_seconds}, 0, 'that was none');

deliver('done', 'b');
my $bots = status()->{bots};
cmp_ok(abs($bots->{b}{last_update_timestamp_seconds} - time), '<', 5, 'now');
is($bots->{c}{last_update_timestamp_seconds}, 0, 'of another bot');



=== TEST 4: workers with a refused token are counted
--- config eval
main::bot('tgbot_token 1:TOKEN; tgbot_api /_api/status/401;')
. main::bot('tgbot_token 2:TOKEN; tgbot_api /_api/say/x;', 'c')
--- then
my $held = begin();

my $bots = until_status(sub { $_[0]{bots}{b}{unauthorized_workers} })->{bots};

is($bots->{b}{unauthorized_workers}, 1, 'one of the workers knows');
is($bots->{c}{unauthorized_workers}, 0, 'of another bot');
close $held;



=== TEST 5: bytes of zones
--- main_config: worker_shutdown_timeout 1s;
--- shutdown_error_log
is abandoned with 1 updates
--- no_shutdown_error_log
[crit]
[emerg]
--- config eval
main::bot('tgbot_limit $tgbot_chat_id zone=one:1m rate=1r/m burst=9;
           tgbot_queue zone=updates:4m; tgbot_attempts 9 backoff=1m max_backoff=1m;')
--- then
deliver('queued', 'b', text => 'status/500');

my $zones = until_status(sub {
    $_[0]{bots}{b}{queue_depth}{delayed}
})->{zones};

for (sort keys %$zones) {
    my ($zone, $bytes) = ($zones->{$_}, $zones->{$_}{zone_bytes});

    is($bytes->{used} + $bytes->{free}, $zone->{size}, "$_ - sum");
    is($bytes->{used}, $zone->{total}
                       ? int($zone->{size} * $zone->{used} / $zone->{total})
                       : $zone->{size}, "$_ - used");
}

cmp_ok($zones->{$_}{zone_bytes}{used}, '>', 0, $_) for qw(one updates);
cmp_ok($zones->{$_}{zone_bytes}{free}, '>', 0, $_) for qw(one updates);
is($zones->{tgbot_slots}{zone_bytes}{free}, 0, 'slots');



=== TEST 6: updates of a bot that has another token, which nobody works on
--- config eval
main::bot('tgbot_queue zone=updates:4m; tgbot_token_file $TEST_NGINX_SERVER_ROOT/html/token;
           tgbot_api /_api/say/x;', 'a')
. main::bot('tgbot_queue zone=updates;')
. main::bot('tgbot_queue zone=others:4m;', 'c')
--- user_files
>>> token
1:TOKEN
--- then
deliver('queued', 'a', text => 'wait/orphaned/say/x', chat => $_)
    for 1 .. 2;
until_status(sub { $_[0]{bots}{a}{queue_depth}{inflight} == 2 });
is(status()->{bots}{$_}{queue_depth}{orphaned}, 0, "none of $_") for qw(a b c);

my $file = "$Test::Nginx::Util::HtmlDir/token";
open my $out, ">", $file or die "token: $!\n";
print $out "2:TOKEN\n";
close $out;

TgbotProgram::signal('HUP');

# an old worker that still answers knows them by the old token

my $status = until_status(sub {
    $_[0]{zones}{updates}{orphaned}
    && !$_[0]{bots}{a}{queue_depth}{inflight}
});
my $bots = $status->{bots};

is($status->{zones}{updates}{orphaned}, 2, 'in the zone');
is(CORE::join(' ', map { $bots->{$_}{queue_depth}{orphaned} } qw(a b c)),
   '2 0 0', 'with the first bot of the zone');
is($bots->{a}{queue_depth}{inflight}, 0, 'not those of the name');

TgbotProgram::go('orphaned');
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]



=== TEST 7: Prometheus and JSON say the same
--- config eval
main::bot('tgbot_limit $tgbot_chat_id zone=one:1m rate=1r/m burst=3;
           tgbot_limit all zone=two:1m rate=1r/m burst=99;
           tgbot_cache $tgbot_command zone=answers:1m;
           tgbot_token 1:TOKEN; tgbot_retry attempts=1;
           tgbot_api /_api/status/200;')
. main::bot('tgbot_queue zone=updates:4m; tgbot_attempts 1;', 'q')
. main::bot('tgbot_handler off; tgbot_dedup off;
                     tgbot_dead_letters off;', 'none')
--- then
deliver('done', 'b') for 1 .. 2;
deliver('failed', 'b', text => 'status/500');
deliver('limited', 'b');
deliver('rejected', 'b', body => '{');
deliver('queued', 'q', text => 'sleep/0.1/say/x', chat => 1);
deliver('queued', 'q', text => 'status/500', chat => 2);
deliver('ignored', 'none');

until_status(sub {
    my $depth = $_[0]{bots}{q}{queue_depth};
    return $depth->{dead} && !$depth->{waiting} && !$depth->{inflight};
});

my $expected = expected(status());
my $got = scrape();

is_deeply($got, $expected, 'samples');

is($got->{'nginx_tgbot_deliveries_total{bot="b",verdict="done"}'}, 2, 'done');
is($got->{'nginx_tgbot_deliveries_total{bot="b",verdict="stale"}'}, 0, 'zero');
is($got->{'nginx_tgbot_limit_decisions_total{bot="b",zone="one",'
          . 'outcome="dropped"}'}, 1, 'two labels');
is($got->{'nginx_tgbot_queue_depth{bot="q",state="dead"}'}, 1, 'of a queue');
ok(!exists $got->{'nginx_tgbot_queue_depth{bot="b",state="dead"}'},
   'without a queue');
is($got->{'nginx_tgbot_update_duration_seconds_bucket{bot="b",le="+Inf"}'},
   5, 'the last bucket');
is($got->{'nginx_tgbot_update_duration_seconds_count{bot="b"}'}, 5, 'count');
is($got->{'nginx_tgbot_zone_bytes{zone="one",state="used"}'}
   + $got->{'nginx_tgbot_zone_bytes{zone="one",state="free"}'}, 1048576,
   'a zone');



=== TEST 8: methods of the Bot API
--- config eval
main::bot('tgbot_token 1:TOKEN; tgbot_api /_api/json/%7B%7D;')
. main::bot('tgbot_token 2:TOKEN; tgbot_api /_api/json/%7B%7D;', 'c')
--- then
deliver('done', 'b', text => 'json/[{"method":"sendPhoto","photo":"x"}]');
deliver('done', 'b', text => 'json/[{"method":"sendFog"}]');

my $got = scrape();
my $name = 'nginx_tgbot_api_calls_total';

is($got->{"$name\{bot=\"b\",method=\"$_\",result=\"ok\"}"}, 1, $_)
    for qw(sendPhoto other);

is(scalar(grep { /^$name\{bot="b"/ } keys %$got), 10, 'no other ones');
is(CORE::join(' ', sort map { /^$name\{bot="c",method="(\w+)"/ } keys %$got),
   'other other other other other', 'of a bot without calls');



=== TEST 9: no bots
--- then
my ($status, $head, $body) = get('/status?format=prometheus');

is($status, 200, 'status');
like($head, qr{^Content-Type: text/plain; version=0\.0\.4; charset=utf-8\r$}m,
     'type');
like($head, qr/^Cache-Control: no-store\r$/m, 'not kept');
like($body, qr/^# HELP nginx_tgbot_received_total \S/m, 'help');
like($body, qr/^# TYPE nginx_tgbot_update_duration_seconds histogram$/m,
     'a histogram');
is_deeply([ sort keys %{scrape()} ],
          [ 'nginx_tgbot_build_info{version="'
            . status()->{version} . '"}', 'nginx_tgbot_start_time_seconds' ],
          'of the module');



=== TEST 10: a zone's name is escaped
--- config eval
main::bot("tgbot_limit \$tgbot_chat_id 'zone=o\\\"n\\\\e{}, \xe9\x01\xd1\x8b:1m'
                            rate=1r/m burst=1;")
--- then
my ($status, undef, $body) = get('/status?format=prometheus');

like($body, qr/zone="o\\"n\\\\e\{\}, \? \xd1\x8b",outcome="passed"\} 0$/m,
     'as a label');
like($body, qr/zone_bytes\{zone="o\\"n\\\\e\{\}, \? \xd1\x8b",state="used"\}/,
     'as a zone');



=== TEST 11: the format by argument and Accept
--- config
    location /json { tgbot_status format=json; }
    location /prometheus { tgbot_status format=prometheus; }
--- then
my $browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
my $server = 'application/openmetrics-text;version=1.0.0,'
             . 'application/openmetrics-text;version=0.0.1;q=0.75,'
             . 'text/plain;version=0.0.4;q=0.5,*/*;q=0.1';

for my $row (
    [ '/status', undef, 'json' ],
    [ '/status', '', 'json' ],
    [ '/status', '*/*', 'json' ],
    [ '/status', 'application/json', 'json' ],
    [ '/status', 'text/plain', 'json' ],
    [ '/status', 'text/plain; charset=utf-8', 'json' ],
    [ '/status', 'text/plain;version=0.0.4', 'plain' ],
    [ '/status', 'TEXT/Plain ; Version=0.0.4;q=0.5', 'plain' ],
    [ '/status', 'text/plainer;version=0.0.4', 'json' ],
    [ '/status', 'text/plain;version=0.0', 'json' ],
    [ '/status', 'application/json, application/openmetrics-text', 'plain' ],
    [ '/status', ',, ,;', 'json' ],
    [ '/status', $server, 'plain' ],
    [ '/status?format=json', $server, 'json' ],
    [ '/status?format=json', $browser, 'json' ],
    [ '/status?format=prometheus', $browser, 'plain' ],
    [ '/status?a=b&format=prometheus', undef, 'plain' ],
    [ '/json', $server, 'json' ],
    [ '/json?format=prometheus', $server, 'json' ],
    [ '/json?format=x', undef, 'json' ],
    [ '/prometheus', $browser, 'plain' ],
    [ '/prometheus?format=json', undef, 'plain' ],
) {
    my ($uri, $accept, $want) = @$row;

    my ($status, $head) = get($uri, defined $accept ? ["Accept: $accept"] : []);

    is($status, 200, "$uri - status");
    like($head, qr{^Content-Type: \w+/$want\b}m,
         "$uri - " . ($accept // 'no Accept'));
}

my ($status, $head) = get('/status', ['Accept: application/json',
                                      'Accept: text/plain;version=0.0.4']);
like($head, qr{^Content-Type: text/plain}m, 'two of them');

for my $format ('xml', '', 'JSON', 'prom', 'json1') {
    my ($status, $head, $body) = get("/status?format=$format");

    is($status, 400, "format $format");
    like($head, qr{^Content-Type: application/json\r$}m, 'type of the error');
    is(decode_json($body)->{error},
       'expected "json", "prometheus" or "html" as "format"', 'error');
}



=== TEST 12: HEAD gets the length of Prometheus' format
--- config eval: main::bot()
--- then
my ($status, $head, $body) = get('/status?format=prometheus', [], 'HEAD');
my ($length) = $head =~ /^Content-Length: (\d+)/m;

is($status, 200, 'status');
is($body, '', 'no body');
is($length, length((get('/status?format=prometheus'))[2]), 'length');



=== TEST 13: health of a server that is ready
--- config eval
main::bot('tgbot_queue zone=updates:4m;') . main::bot('', 'c')
. 'location /slash/ { tgbot_status; } location = /exact { tgbot_status; }'
--- then
deliver('queued', 'b', text => 'sleep/0.5/say/x');
deliver('failed', 'c', text => 'status/500');

for my $uri (qw(/status/live /status/ready /slash/live /slash/ready)) {
    my ($status, $head, $body) = get($uri);

    is($status, 200, "$uri - status");
    like($head, qr{^Content-Type: application/json\r$}m, "$uri - type");
    like($head, qr/^Cache-Control: no-store\r$/m, "$uri - not kept");
    is($body, qq({"status":"ok","reasons":[]}\n), "$uri - body");

    my ($length) = $head =~ /^Content-Length: (\d+)/m;
    ($status, $head, $body) = get($uri, [], 'HEAD');

    is($status, 200, "HEAD $uri - status");
    is($body, '', "HEAD $uri - body");
    like($head, qr/^Content-Length: $length\r$/m, "HEAD $uri - length");

    ($status, $head) = get($uri, [], 'POST');

    is($status, 405, "POST $uri");
    like($head, qr/^Allow: GET, HEAD\r?$/m, "POST $uri - Allow");
}

is((get("/$_"))[0], 404, $_)
    for qw(status/liv status/lively status/live/ status/Ready statuslive
           statusready exact/live exact/ready);



=== TEST 14: not ready: an update waits for too long
--- config eval
main::bot('tgbot_queue zone=updates:4m;')
. main::bot('tgbot_queue zone=updates;', 'c')
. 'location /strict { tgbot_status ready_age=1s; }
   location /if { tgbot_status ready_age=1s; if ($arg_if) { set $x 1; } }'
--- then
deliver('queued', 'c', text => 'wait/long/say/x');

is((get('/strict/ready'))[0], 200, 'not for long yet');
sleep 1.2;

for my $uri ('/strict/ready', '/if/ready?if=1') {
    my ($status, $head, $body) = get($uri);

    is($status, 503, 'status');
    like($head, qr/^Cache-Control: no-store\r$/m, 'not kept');
    is($body =~ s/received \d+ s/received 1 s/r,
       '{"status":"fail","reasons":["bot \"c\": the oldest update in the queue '
       . 'was received 1 s ago, expected at most 1 s"]}' . "\n", 'reason');
}

is((get('/strict/live'))[0], 200, 'it lives');
is((get('/status/ready'))[0], 200, 'where more is allowed');
is((get('/strict/ready', [], 'HEAD'))[0], 503, 'HEAD');

TgbotProgram::go('long');
until_status(sub { !$_[0]{bots}{c}{queue_depth}{inflight} });
is((get('/strict/ready'))[0], 200, 'afterwards');



=== TEST 15: not ready: a full queue
--- main_config: worker_shutdown_timeout 1s;
--- config eval
main::bot('tgbot_queue zone=updates:4m concurrency=1;
           tgbot_handler /_program/wait/full/say/x;') . main::bot('', 'c')
--- then
my ($n, $answer) = 0;

do {
    $answer = end(begin(text => 'x' x 4000));
} while ($answer =~ /^X-Verdict: queued/m && $n++ < 2000);

like($answer, qr/^X-Verdict: busy/m, 'full');
cmp_ok($n, '>', 100, 'updates');

my ($status, undef, $body) = get('/status/ready');

is($status, 503, 'status');
is_deeply(decode_json($body),
          { status => 'fail', reasons => ['bot "b": the queue is full'] },
          'reason');
TgbotProgram::go('full');
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]



=== TEST 16: not ready: a refused token, in any worker
--- config eval
main::bot('tgbot_token 1:TOKEN; tgbot_api /_api/status/401;')
. main::bot('tgbot_token 2:TOKEN; tgbot_api /_api/say/x;', 'c')
--- then
is((get('/status/ready'))[0], 200, 'nobody knows yet');

my $held = begin();
until_status(sub { $_[0]{bots}{b}{unauthorized_workers} });

for (1 .. 20) {
    my ($status, undef, $body) = get('/status/ready');

    is($status, 503, 'status');
    is_deeply(decode_json($body)->{reasons},
              ['bot "b": the Bot API refuses its token'], 'reason');
}

close $held;



=== TEST 17: a delivery that comes again is timed by itself
--- config eval: main::bot()
--- then
deliver('failed', 'b', id => 9, text => 'status/500');
sleep 2.2;
deliver('done', 'b', id => 9);

my $histogram = status()->{bots}{b}{update_duration_seconds};

buckets($histogram);
is($histogram->{count}, 2, 'deliveries');
is($histogram->{buckets}{2}, 2, 'without the time between them');



=== TEST 18: Redis
--- http_config
    tgbot_redis  $TEST_NGINX_REDIS;
--- config eval
main::bot('tgbot_cache $arg_k zone=answers:1m redis;')
--- then
connected(1);

deliver('done', 'b') for 1 .. 3;

# the cache looks up and keeps

my $status = until_status(sub { $_[0]{redis_commands_total}{ok} == 2 });

is($status->{redis_commands_total}{ok}, 2, 'commands');
is($status->{redis_duration_seconds}{count}, 2, 'round trips');
is($status->{redis_reconnects_total}, 0, 'connected once');
is($status->{zones}{tgbot_redis}{kind}, 'statistics', 'in a zone');

my $got = scrape();

is_deeply($got, expected(status()), 'samples');
is($got->{'nginx_tgbot_redis_commands_total{result="ok"}'}, 2, 'a sample');

TgbotRedis::stop();
connected(0);

deliver('done', 'b', key => 2);

my $away = until_status(sub {
    my $of = $_[0]{redis_commands_total};
    return $of->{away} + $of->{unknown} == 2;
});
is($away->{redis_commands_total}{ok}, 2, 'none');
is($away->{redis_commands_total}{away} + $away->{redis_commands_total}{unknown},
   2, 'two without a reply');
is($away->{redis_duration_seconds}{count}, 2, 'without a round trip');

TgbotRedis::start();
connected(1);

becomes(2, 'each worker again', sub { status()->{redis_reconnects_total} });



=== TEST 19: a queue in Redis is shown as it is, by any worker
--- http_config
    tgbot_redis  $TEST_NGINX_REDIS timeout=20s connect_timeout=20s;
--- config eval
main::bot('tgbot_token 1:TOKEN; tgbot_api /_api; tgbot_handler /_closed;
           tgbot_attempts 10 backoff=5m; tgbot_queue redis;')
. main::bot('', 'c')
. 'location /strict { tgbot_status ready_age=1ms; }'
--- then
deliver('queued', 'b', chat => $_) for 1 .. 3;

# ten answers in a row, from both workers

my ($of, $said) = ({}, 0);

becomes(1, 'accepted', sub {
    $of = status()->{bots}{b};
    $said = $of->{queue_items_total}{accepted} == 3 ? $said + 1 : 0;

    return $said == 10 ? 1 : 0;
});

is($of->{queue}, 'redis', 'where it is');
is(sum(@{$of->{queue_depth}}{qw(waiting delayed inflight)}), 3, 'depth');

becomes(3, 'a sample', sub {
    scrape()->{'nginx_tgbot_queue_items_total{bot="b",event="accepted"}'};
});
becomes(1, 'an old update', sub {
    (get('/strict/ready'))[2]
    =~ /bot ."b.": the oldest update in the queue/ ? 1 : 0;
});
is((get('/strict/live'))[0], 200, 'it lives');

TgbotRedis::stop();
connected(0);

is((get('/strict/live'))[0], 200, 'without Redis');
is(status()->{bots}{b}{queue_items_total}{accepted} % 3, 0,
   'what was known last, or nothing');

# for the blocks that follow, in any order

TgbotRedis::start();
