# tgbot_limit in Redis: all that it does in zones, over machines, and what
# happens without Redis.  Another machine is what the test itself does there.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotBlocks;
use TgbotLimit;
use TgbotRedis;
use TgbotSteps;

TgbotRedis::start();

TgbotSteps::start(
    request   => 'GET /status',
    http      => 'tgbot_secret_token off;
                  tgbot_redis $TEST_NGINX_REDIS prefix=t connect_timeout=5s
                                                timeout=5s;',
    update    => { user => 7 },
    real_time => 1,
    init      => sub { redis('FLUSHALL') });

my $zone = 'the smallest zone, and users whose buckets were evicted';
my $seen = 0;

TgbotBlocks::add('t/080-limit.t', sub {
    $seen += my $other = /^=== TEST \d+: \Q$zone\E$/m;

    s/(tgbot_limit\s+[^;]*zone=[^;]*);/$1 redis;/g;
    return !$other;
});

die "no block \"$zone\" in t/080-limit.t\n" if !$seen;


# names of the keys of buckets

sub buckets { @{redis('KEYS', '*limit:*')} }

master_on();
workers(2);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: a bucket has no text of a user in its name, and goes when it is full
--- config eval
main::bot('tgbot_limit "$tgbot_text by $tgbot_user_id" zone=one:1m rate=10r/m redis;
           tgbot_limit $tgbot_chat_id zone=all:1m rate=1r/m shared redis;')
--- request eval: main::post(text => 'say/private')
--- response_headers
X-Verdict: done
--- then
is(scalar(grep { /^\{t:b\}:limit:[0-9a-f]{32}$/ } buckets()), 1,
   $block->name . ' - of the bot');
is(scalar(grep { /^t:limit:[0-9a-f]{32}$/ } buckets()), 1,
   $block->name . ' - of all bots');
becomes(1, 'buckets', sub { scalar(buckets()) });



=== TEST 2: a bucket that another machine has emptied
--- config eval
main::bot('tgbot_limit all zone=one:1m rate=1r/m burst=2 action=reject redis;')
--- then
check(end(begin(text => 'say/x')), 'done');

my ($key) = buckets();
my ($s, $us) = @{redis('TIME')};

redis('SET', $key, ($s + 100) * 1000000 + $us, 'PX', 100000);

my $answer = end(begin(text => 'say/x'));
check($answer, 'limited');
my ($seconds) = $answer =~ /^Retry-After: (\d+)/m;
my $passed = redis('TIME')->[0] - $s;
cmp_ok($seconds, '>=', 39 - $passed, $block->name . ' - Retry-After');
cmp_ok($seconds, '<=', 51, $block->name . ' - Retry-After');

redis('DEL', $key);
check(end(begin(text => 'say/x')), 'done');



=== TEST 3: zones are asked first, and get their tokens back
--- config eval
main::bot('tgbot_limit all zone=redis:1m rate=1r/m burst=1 redis;
           tgbot_limit all zone=zone:1m rate=1r/m burst=2;')
--- pipelined_requests eval
[ (map { main::post() } 1 .. 3), "GET /status" ]
--- response_headers eval: main::verdicts('done', 'limited', 'limited', '')
--- response_body_like eval
[ ('') x 3, main::decisions(redis => { passed => 1, dropped => 2 },
                            zone => { passed => 3, dropped => 0 }) ]
--- error_code eval: [(200) x 4]



=== TEST 4: without Redis the zone decides, which knows what Redis let pass
--- config eval
main::bot('tgbot_limit all zone=one:1m rate=1r/m burst=3 redis;
           tgbot_limit all zone=two:1m rate=1r/m burst=9;')
--- then
check(end(begin(text => 'say/x')), 'done') for 1 .. 2;

TgbotRedis::stop();

check(end(begin(text => 'say/x')), 'done');
check(end(begin(text => 'say/x')), 'limited') for 1 .. 2;

my $of = status()->{bots}{b}{limit_decisions_total};

is_deeply([@{$of->{one}}{qw(passed dropped redis_away)}], [3, 2, 3],
          $block->name . ' - decisions');
is($of->{two}{redis_away}, 0, $block->name . ' - of a zone');

TgbotRedis::start();



=== TEST 5: a program behind a limit that does not answer in time
--- config eval
main::bot('tgbot_limit all zone=one:1m rate=1r/m burst=1 redis;')
--- then
redis('CLIENT', 'PAUSE', 60000, 'WRITE');
check(end(begin(text => 'say/x')), 'done');
check(end(begin(text => 'say/x')), 'limited');
redis('CLIENT', 'UNPAUSE');
is(status()->{bots}{b}{limit_decisions_total}{one}{redis_away}, 2,
   $block->name . ' - redis_away');



=== TEST 6: a delivery that ends before Redis answers is charged once
--- config eval
main::bot('tgbot_limit all zone=zone:1m rate=1r/m burst=3;
           tgbot_limit all zone=redis:1m rate=1r/m burst=3 redis;
           tgbot_hold_timeout 3s;')
--- then
redis('CLIENT', 'PAUSE', 60000, 'WRITE');

my $left = begin(id => 1);
becomes(1, 'passed', sub {
    status()->{bots}{b}{limit_decisions_total}{zone}{passed};
});
close $left;
becomes(1, 'aborted', sub { status()->{bots}{b}{deliveries_total}{aborted} });

check(end(begin(id => 2)), 'busy');

redis('CLIENT', 'UNPAUSE');

check(end(begin(id => $_, text => 'say/x')), 'done') for 1 .. 3;
check(end(begin(id => 4, text => 'say/x')), 'limited');
logged('is dropped by zone "zone"', 1);



=== TEST 7: the photos of an album, with a queue in Redis
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1 redis;
           tgbot_queue redis;')
--- request eval
[ (map { main::photo($_) } qw(A A B B A)), main::post() ]
--- response_headers eval
main::verdicts(qw(queued queued limited limited queued limited))
--- error_code eval: [(200) x 6]
