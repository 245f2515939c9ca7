# What tgbot_status tells, and that the books balance.  For blocks with steps
# see TgbotSteps.pm.
#
#   --- counts    "bot metric name=value ...": all of a metric's values that
#                 are not zero, as the status has them in the end; without a
#                 "=" the value of a metric that has no labels
#   --- like      pattern for the status in the end
#
# The first name of an update's sender is the path of its Bot API.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotSteps;

use JSON::PP;
use Time::HiRes qw(time sleep);

our $private = 4242424242;

TgbotSteps::start(
    request   => 'GET /status',
    real_time => 1,
    http      => 'tgbot_secret_token sekret; tgbot_dead_letters off;',
    headers   => [ 'Content-Type: application/json',
                   'X-Telegram-Bot-Api-Secret-Token: sekret' ],
    update    => { user => $private, name => 'status/200',
                   text => 'say/private_text' },
    before    => sub { parsed($_[0]) if $block->request =~ m{^GET /status} },
    after     => sub { balanced() if defined $block->counts
                                     || defined $block->like });

# with a Bot API; its calls are not repeated

our $api = 'tgbot_token_file $TEST_NGINX_TOKEN_FILE;
            tgbot_api /_api/$tgbot_first_name;
            tgbot_retry attempts=1; tgbot_retry_on error;';


# checks

sub parsed {
    my $text = shift;

    my $name = $block->name;
    my $status = eval { decode_json($text) };

    ok($status, "$name - JSON") or diag("$@ in: $text");

    unlike($text, qr/sekret|TOKEN|$private|private_text/,
           "$name - nothing private");

    balance($_, $status->{bots}{$_}) for sort keys %{$status->{bots}};

    return $status;
}


sub sum {
    my $sum = 0;

    $sum += ref $_ ? sum(values %$_) : $_ for @_;

    return $sum;
}


sub balance {
    my ($bot, $of) = @_;

    my $name = $block->name;

    is(sum($of->{deliveries_total}, $of->{held}), $of->{received_total},
       "$name - deliveries of $bot balance");

    is(sum($of->{rejected_total}), $of->{deliveries_total}{rejected},
       "$name - rejections of $bot balance");

    for my $kind (qw(handler api)) {
        my %calls = %{$of->{calls_total}{$kind}};
        my $started = delete $calls{started};

        is(sum(values %calls, $of->{calls_inflight}{$kind}), $started,
           "$name - calls of $bot\'s $kind balance");
    }
}


sub flat {
    my ($value, @path) = @_;

    if (ref $value) {
        return map { flat($value->{$_}, @path, $_) } sort keys %$value;
    }

    return @path ? $value ? CORE::join('.', @path) . "=$value" : ()
                 : $value;
}


sub balanced {
    my $name = $block->name;
    my $text = get('/status') =~ s/^.*?\r\n\r\n//sr;
    my $status = parsed($text);

    for my $line (split /\n/, $block->counts // '') {
        my ($bot, $metric, $values) = split / /, $line, 3;

        is(CORE::join(' ', flat($status->{bots}{$bot}{$metric})),
           $values // '', "$name - $metric of $bot");
    }

    if (defined(my $like = $block->like)) {
        like($text, qr/$like/, "$name - status");
    }
}


master_on();
workers(2);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: no bots
--- config
--- response_headers
Content-Type: application/json
Cache-Control: no-store
X-Content-Type-Options: nosniff
--- response_body_like eval
qr/^\{"version":"(\d+\.\d+\.\d+)","now":(\d{10}),"start_time":\2,"write":false,"payload":false,"build_info":\{"\1":1\},"start_time_seconds":\2,"bots":\{\},"zones":\{\}\}\n\z/



=== TEST 2: a bot to which nothing was sent
--- config eval: main::bot()
--- then
my $bot = status()->{bots}{b};

cmp_ok(abs($bot->{start_time} - time), '<', 60, 'start time');

is(sum(map { ref $_ eq 'HASH' ? values %$_ : $_ }
       @$bot{grep { !/^(?:start_time|dedup)$/ } keys %$bot}),
   0, 'nothing but zeros');

is(CORE::join(' ', sort keys %{$bot->{deliveries_total}}),
   'aborted busy dead done duplicate failed ignored limited queued rejected'
   . ' stale', 'each verdict');

is($bot->{$_}, 0, $_) for qw(received_total held dedup_rebased_total
                             leases_lost_total);

is($bot->{dedup}{$_}, 0, $_) for qw(records leased rides rides_evicted);
--- counts
b received_total 0
b held 0



=== TEST 3: HEAD gets the length
--- config eval: main::bot()
--- request
HEAD /status
--- response_headers
Content-Type: application/json
Cache-Control: no-store
--- response_body
--- then
my ($length) = get('/status', [], 'HEAD')
               =~ /^Content-Length: (\d+)/m;
is($length, length((get('/status'))[2]), 'the length that GET has');



=== TEST 4: other methods are refused
--- config eval: main::bot()
--- request
POST /status
{}
--- error_code: 405
--- response_headers
Allow: GET, HEAD
--- response_body_like: 405 (?:Method )?Not Allowed
--- then
for (qw(PUT DELETE PATCH OPTIONS)) {
    is((get('/status', [], $_))[0], 405, $_);
}



=== TEST 5: every verdict of one delivery
--- config eval
main::bot('tgbot_limit $tgbot_text zone=one:1m rate=1r/m burst=2;
           tgbot_max_age 1h;')
. main::bot('tgbot_handler off;', 'i')
--- then
deliver('done', 'b', id => 100) for 1;
deliver('duplicate', 'b', id => 100) for 1 .. 2;
deliver('done', 'b', id => 101);
deliver('limited', 'b', id => 102) for 1;
deliver('failed', 'b', id => 103, text => 'status/500');
deliver('busy', 'b', id => 104, text => 'status/503');
deliver('stale', 'b', id => 105, text => 'say/old', date => time - 7200);
deliver('ignored', 'i', id => 106);
deliver('rejected', 'b', headers => ['Content-Type: application/json']) for 1;
deliver('rejected', 'b', method => 'GET') for 1 .. 2;
deliver('rejected', 'b', headers => ['Content-Type: text/plain',
                    'X-Telegram-Bot-Api-Secret-Token: sekret']) for 1 .. 3;
deliver('rejected', 'b', body => '{') for 1 .. 4;
--- counts
b received_total 18
b held 0
b deliveries_total busy=1 done=2 duplicate=2 failed=1 limited=1 rejected=10 stale=1
b rejected_total json=4 method=2 secret=1 type=3
b handler_calls_total failed=1 handled=2 unavailable=1
b calls_total handler.failed=2 handler.ok=2 handler.started=4
b calls_inflight
b api_calls_total
b limit_decisions_total one.dropped=1 one.passed=4
i received_total 1
i deliveries_total ignored=1
i calls_total



=== TEST 6: calls are counted by outcome
--- config eval: main::bot($main::api)
--- then
deliver('done', 'b') for 1 .. 2;
deliver('done', 'b', name => 'status/400');
deliver('done', 'b', name => 'flood/1');
deliver('done', 'b', name => 'status/500');
deliver('done', 'b', name => 'close');
deliver('done', 'b',
        text => 'json/[{"method":"deletemessage","message_id":1},'
                . '{"method":"sendPhoto","photo":"x"},{"method":"sendFog"}]');
deliver('failed', 'b', text => 'close');
deliver('failed', 'b', text => 'status/400');
deliver('busy', 'b', text => 'status/502');
--- counts
b received_total 10
b deliveries_total busy=1 done=7 failed=2
b handler_calls_total failed=2 handled=7 unavailable=1
b calls_total api.failed=3 api.ok=5 api.started=9 api.unknown=1 handler.failed=2 handler.ok=7 handler.started=10 handler.unknown=1
b api_calls_total deleteMessage.ok=1 other.ok=1 sendMessage.429=1 sendMessage.4xx=1 sendMessage.5xx=1 sendMessage.error=1 sendMessage.ok=2 sendPhoto.ok=1
b api_calls_given_up_total 3
b api_calls_unsent_total 0



=== TEST 7: calls that are repeated are counted
--- config eval
main::bot($main::api =~ s/tgbot_retry .*//sr
               . 'tgbot_retry attempts=3 backoff=50ms max_backoff=50ms;')
--- then
deliver('done', 'b', name => 'close');
--- counts
b calls_total api.started=3 api.unknown=3 handler.ok=1 handler.started=1
b api_calls_total sendMessage.error=3
b api_calls_given_up_total 1



=== TEST 8: calls are counted as unsent without tgbot_api
--- config eval
main::bot('tgbot_reply_via response;')
--- then
deliver('done', 'b',
        text => 'json/[{"method":"sendMessage","text":"x"},'
                . '{"method":"sendMessage","text":"y"}]');

# what follows a call that rides comes after the answer

until_status(sub { $_[0]{bots}{b}{api_calls_unsent_total} });
--- counts
b deliveries_total done=1
b api_calls_unsent_total 1
b calls_total handler.ok=1 handler.started=1



=== TEST 9: answers that are thrown away are counted by reason
--- config eval
main::bot($main::api)
. main::bot(q(tgbot_reply json '{"method":$tgbot_text}'; tgbot_handler off;),
            'r')
--- then
deliver('done', 'b', text => 'header/Content-Type/text%2Fplain/json/'
                             . '{"method":"sendMessage","text":"x"}') for 1;
deliver('done', 'b', text => 'json/no') for 1 .. 2;
deliver('failed', 'b', text => 'header/Content-Encoding/br/json/no') for 1 .. 3;
deliver('done', 'b', text => 'json/['
        . CORE::join(',', ('{"method":"sendMessage"}') x 33) . ']') for 1 .. 4;
deliver('done', 'b', text => 'json/{"method":"close"}') for 1 .. 5;
deliver('done', 'b', text => 'json/{"method":1}') for 1 .. 6;
deliver('done', 'b', text => 'json/{"ok":true}');
deliver('ignored', 'r', text => 'x') for 1 .. 2;
deliver('ignored', 'r', text => '"close"');
deliver('done', 'b', in => { guest_message => {
    message_id => 2, guest_query_id => 'g', text => 'say/x',
    chat => { id => -5, type => 'supergroup' } } });
deliver('done', 'b', in => { guest_message => {
    message_id => 2, guest_query_id => 'g',
    text => 'json/{"method":"sendMessage","text":"y"}',
    chat => { id => -5, type => 'supergroup' } } }) for 1 .. 7;
--- counts
b answers_ignored_total bad_method=6 encoding=3 no_address=7 not_json=2 refused_method=5 too_many=4 type=1
b api_calls_total sendMessage.ok=1
r answers_ignored_total not_json=3



=== TEST 10: updates and calls in flight
--- config eval: main::bot($main::api)
--- then
my $slow = begin(text => 'wait/program/say/x', name => 'wait/api/status/200');

my $bot = until_status(sub { $_[0]{bots}{b}{calls_inflight}{handler} })
          ->{bots}{b};

is($bot->{held}, 1, 'held');
is($bot->{calls_inflight}{handler}, 1, 'a call of the program');
is($bot->{calls_inflight}{api}, 0, 'no call of the Bot API');
is($bot->{dedup}{records}, 1, 'a record');
is($bot->{dedup}{leased}, 1, 'a lease');
balance('b', $bot);
TgbotProgram::go('program');

$bot = until_status(sub { $_[0]{bots}{b}{calls_inflight}{api} })->{bots}{b};

is($bot->{held}, 1, 'held');
is($bot->{calls_inflight}{handler}, 0, 'no call of the program');
is($bot->{calls_inflight}{api}, 1, 'a call of the Bot API');
balance('b', $bot);
TgbotProgram::go('api');

like(end($slow), qr/^X-Verdict: done/m, 'done');
--- counts
b held 0
b calls_inflight
b deliveries_total done=1
--- like: "dedup":\{"records":0,"leased":0,



=== TEST 11: a client that hangs up is counted as aborted
--- config eval: main::bot()
--- then
my $client = begin(text => 'wait/left/say/x');

until_status(sub { $_[0]{bots}{b}{calls_inflight}{handler} });
close $client;
until_status(sub { !$_[0]{bots}{b}{held} });
TgbotProgram::go('left');
until_status(sub { !$_[0]{bots}{b}{calls_inflight}{handler} });
--- counts
b received_total 1
b held 0
b deliveries_total aborted=1
b calls_total handler.ok=1 handler.started=1



=== TEST 12: an update in work, delivered again
--- config eval: main::bot()
--- then
my $first = begin(id => 5, text => 'wait/first/say/x');

until_status(sub { $_[0]{bots}{b}{calls_inflight}{handler} });
like(deliver('busy', 'b', id => 5), qr/^HTTP\/1\.1 503 /, 'told to come again')
    for 1 .. 3;

TgbotProgram::go('first');
like(end($first), qr/^X-Verdict: done/m, 'done');
deliver('duplicate', 'b', id => 5);
--- counts
b received_total 5
b deliveries_total busy=3 done=1 duplicate=1
b calls_total handler.ok=1 handler.started=1



=== TEST 13: two workers count together
--- config eval: main::bot()
--- then
my (%workers, $n);

for my $round (1 .. 50) {
    my @sockets = map { begin(text => 'sleep/0.1/say/x') } 1 .. 4;

    for (map { end($_) } @sockets) {
        $n++ if /^X-Verdict: done/m;
        $workers{$1}++ if /^X-Worker: (\d+)/m;
    }

    last if keys %workers == 2 && $round > 4;
}

is(scalar keys %workers, 2, 'both workers had some');

my $bot = status()->{bots}{b};

is($bot->{received_total}, $n, 'received');
is($bot->{deliveries_total}{done}, $n, 'done');
is($bot->{calls_total}{handler}{ok}, $n, 'calls');
--- counts
b held 0
b calls_inflight



=== TEST 14: counters are kept over a reload
--- config eval
main::bot('tgbot_limit $tgbot_text zone=one:1m rate=1r/m burst=2;')
--- then
deliver('done', 'b', text => 'say/x');

my $before = status();
my $slow = begin(text => 'wait/old/say/y');
until_status(sub { $_[0]{bots}{b}{held} });

reload();


my $between = status();

is($between->{start_time}, $before->{start_time}, 'start time');
is($between->{bots}{b}{start_time}, $before->{bots}{b}{start_time},
   'start time of the bot');
is($between->{bots}{b}{received_total}, 2, 'received');
is($between->{bots}{b}{held}, 1, 'held by the old worker');
balance('b', $between->{bots}{b});

TgbotProgram::go('old');
like(end($slow), qr/^X-Verdict: done/m, 'done');

deliver('done', 'b', text => 'say/x');
deliver('limited', 'b', text => 'say/x');
--- counts
b received_total 4
b held 0
b deliveries_total done=3 limited=1
b limit_decisions_total one.dropped=1 one.passed=3



=== TEST 15: counters balance after workers are killed
--- config eval: main::bot($main::api)
--- then
deliver('done', 'b');

my @sockets = (
    (map { begin(text => 'stall') } 1 .. 3),
    (map { begin(name => 'stall') } 1 .. 2),
);

my $bot = until_status(sub {
    my $calls = $_[0]{bots}{b}{calls_inflight};
    return $calls->{handler} == 3 && $calls->{api} == 2;
})->{bots}{b};

is($bot->{held}, 5, 'held');
balance('b', $bot);

kill_workers();
status() for 1 .. 3;
deliver('done', 'b');
close $_ for @sockets;
--- counts
b received_total 7
b held 0
b deliveries_total aborted=5 done=2
b calls_inflight
b calls_total api.aborted=2 api.ok=2 api.started=4 handler.aborted=3 handler.ok=4 handler.started=7
--- no_error_log
[crit]
[emerg]
was locked by
--- no_shutdown_error_log
[crit]
[emerg]



=== TEST 16: the other worker settles the counters of a killed one
--- config eval: main::bot()
--- then
my $held = begin(text => 'stall');

until_status(sub { $_[0]{bots}{b}{calls_inflight}{handler} });

# one at a time, so that there is always one to ask

for my $worker (workers_of()) {
    kill KILL => $worker;
    until_status(sub { workers_of() == 2 && !kill 0, $worker });
}
--- counts
b received_total 1
b held 0
b deliveries_total aborted=1
b calls_total handler.aborted=1 handler.started=1
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]



=== TEST 17: limits, zones and dry runs
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;
           tgbot_limit all$tgbot_bot zone=one rate=1r/m burst=3;
           tgbot_limit $tgbot_chat_id zone=two:2m rate=1r/m burst=1
                            action=reject;', 'a')
. main::bot('tgbot_limit $tgbot_chat_id zone=two rate=1r/m burst=1
                              action=reject;
             tgbot_limit_dry_run on;')
--- then
deliver('done', 'a');
deliver('limited', 'a');
deliver('done', 'b') for 1 .. 3;

my $zones = status()->{zones};

is($zones->{one}{kind}, 'limit', 'kind');
is($zones->{one}{size}, 1048576, 'size');
is($zones->{one}{used}, 2, 'buckets');
is($zones->{two}{used}, 2, 'buckets of two bots');
cmp_ok($zones->{two}{total}, '>', $zones->{one}{total}, 'room');
is($zones->{one}{$_}, 0, $_) for qw(zone_evicted_total zone_repaired_total);
--- counts
a deliveries_total done=1 limited=1
a limit_decisions_total one.passed=4 two.passed=1 two.rejected=1
b deliveries_total done=3
b limit_decisions_total two.passed=1 two.rejected_dry_run=2



=== TEST 18: the counters of a cache
--- config eval
main::bot('tgbot_cache $tgbot_command zone=answers:1m;
           tgbot_handler /_program/$tgbot_args;')
--- then
my $text = '/start json/{"method":"sendMessage","text":"x"}';

deliver('done', 'b', text => $text) for 1 .. 3;
deliver('done', 'b', text => '/other say/of_another_chat') for 1 .. 2;
deliver('done', 'b', text => 'no command');

my $zone = status()->{zones}{answers};

is($zone->{kind}, 'cache', 'kind');
cmp_ok($zone->{entries}, '>', 0, 'entries');
cmp_ok($zone->{used}, '>', 0, 'used');
cmp_ok($zone->{total}, '>', $zone->{used}, 'total');
--- counts
b deliveries_total done=6
b cache_total bypass=2 hit=2 miss=2 stored=1 uncacheable=1
b calls_total handler.ok=4 handler.started=4



=== TEST 19: the state of de-duplication
--- config eval
main::bot() . main::bot('tgbot_dedup off;', 'off')
--- then
deliver('done', 'b', id => 77);
deliver('failed', 'b', id => 78, text => 'status/500');
deliver('duplicate', 'b', id => 77) for 1 .. 2;
deliver('done', 'off', id => 77) for 1 .. 2;

my $status = status();

is($status->{bots}{b}{dedup}{records}, 2, 'one comes again, one has a call');
is($status->{bots}{b}{dedup}{leased}, 0, 'none in work');
is($status->{bots}{b}{dedup}{rides}, 1, 'an answer that is repeated');
is($status->{bots}{b}{dedup}{top}[0], 77, 'highest id');
ok(!exists $status->{bots}{off}{dedup}, 'nothing is remembered without');
--- counts
b deliveries_total done=1 duplicate=2 failed=1
b rides_repeated_total 2
off deliveries_total done=2



=== TEST 20: an answer of several buffers
--- config eval
CORE::join('', map { main::bot('', "bot_number-$_") } 1 .. 9)
--- then
deliver('done', 'bot_number-9');
cmp_ok(length((get('/status'))[2]), '>', 16384, 'length');
--- counts
bot_number-1 received_total 0
bot_number-9 received_total 1



=== TEST 21: a zone's name is escaped
--- config eval
main::bot("tgbot_limit \$tgbot_user_id 'zone=o\\\"n\\\\e \xe9\x01:1m'
                            rate=1r/m burst=1;")
--- then
deliver('done', 'b');
deliver('limited', 'b');
--- counts
b limit_decisions_total o"n\e ? .dropped=1 o"n\e ? .passed=1



=== TEST 22: the access phase comes first
--- config
    location /private/ {
        location = /private/status {
            tgbot_status;
            deny all;
        }
    }
--- request
GET /private/status
--- error_code: 403
--- response_body_like: 403 Forbidden
--- error_log
access forbidden by rule



=== TEST 23: tgbot_status is refused beside tgbot_webhook
--- config eval: main::bot('tgbot_status;')
--- must_die
--- no_error_log
[alert]
[crit]
--- error_log
"tgbot_status" directive
