# tgbot_dedup in Redis: all that it does in a zone, and what only Redis brings.
# For blocks with steps see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotBlocks;
use TgbotDedup;
use TgbotRedis;
use TgbotSteps;

use Time::HiRes qw(time sleep);

TgbotRedis::start();

TgbotSteps::start(
    request => 'GET /seen',

    # longer than the status waits for Redis

    http    => 'tgbot_secret_token off;
                tgbot_redis $TEST_NGINX_REDIS prefix=t connect_timeout=5s
                                              timeout=2s;',
    webhook => { tgbot_dedup => 'redis' },
    update  => { date => 1700000000 },
    init    => sub { redis('FLUSHALL') });

# what is about a zone, and claims that a killed worker leaves behind: those
# last as long as its lease

my %other = map { $_ => 1 } (
    'more replies than there is memory for: the latest are kept',
    'update_ids of two bots in one zone are told apart',
    'a window, and an update_id below it',
    'the smallest zone for two windows',
    'the default window is four million update_ids',
    'an update_id far from the others, counted as dedup_rebased_total',
    'an update whose worker is killed is handled again',
    'an update whose worker is killed is not limited again',
    'any integer is an update_id, and what does not fit is counted');

my $common = 0;

TgbotBlocks::add('t/070-dedup.t', sub {
    my ($name) = /^=== TEST \d+: (.*)/;

    return 0 if delete $other{$name};
    return ++$common;
});

die "no block \"$_\" in t/070-dedup.t\n" for sort keys %other;


# the tail of a key, in Redis

sub record { redis(shift, "{t:b}:" . shift, @_) }

# seconds in Retry-After

sub waits_for {
    my ($answer, $most) = @_;

    my $seconds = header_of($answer, 'Retry-After') // 0;

    cmp_ok($seconds, '>=', 1, $block->name . ' - Retry-After');
    cmp_ok($seconds, '<=', $most, $block->name . ' - Retry-After at most');
}

master_on();
workers(2);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: what is kept in Redis of an update that is in work, failed, done
--- config eval: main::bot()
--- then
my $held = held(id => 1000, text => 'wait/first/status/500');

like(record('HGET', 'held', 1000), qr{^[^/:]+:\d+:\w+/\d+$},
     $block->name . ' - claim of a worker');
told(fetch(1000), 'busy', '^HTTP/1.1 503 ');

TgbotProgram::go('first');
told(end($held), 'failed');

is(record('HLEN', 'held'), 0, $block->name . ' - no claim');
is(record('HGET', 'records', 1000), 1, $block->name . ' - attempts');

told(fetch(1000), 'done', '\nX-Attempts: 2\r\n');

is(record('HLEN', $_), 0, $block->name . " - nothing in $_")
    for qw(held records);
is(record('ZCARD', 'firsts'), 0, $block->name . ' - nothing in firsts');
like(record('GET', 'ride:1000'), qr/^1000 application\/json\n.*"text":"x"/,
     $block->name . ' - the call that rode');



=== TEST 2: nothing of a user, no token and no secret is in a key
--- config eval: main::bot('tgbot_secret_token hush_hush;' . $main::api)
--- more_headers
Content-Type: application/json
X-Telegram-Bot-Api-Secret-Token: hush_hush
--- request eval: main::post(1000, 'say/private')
--- response_headers
X-Verdict: done
--- then
for my $key (@{redis('KEYS', '*')}) {
    like($key, qr/^\{t:b\}:[a-z]+(?::\d+)?$/, $block->name . ' - key');
}

my $all = CORE::join "\n", map { @{redis('HGETALL', $_)} }
          grep { redis('TYPE', $_) eq 'hash' } @{redis('KEYS', '*')};

unlike($all, qr/hush|private|AAH/, $block->name . ' - in hashes');



=== TEST 3: another machine has it in work
--- config eval: main::bot()
--- then
my ($now) = @{redis('TIME')};

record('HSET', 'meta', 'v', 1, 'made', 1);
record('ZADD', 'workers', ($now + 60) * 1000, 'other:1:a');
record('HSET', 'held', 1000, 'other:1:a/7');
record('ZADD', 'firsts', ($now - 2) * 1000, 1000);

my $answer = fetch(1000);
told($answer, 'busy', '^HTTP/1.1 503 ');

# as long as it has been in work, and a quarter more

my $age = redis('TIME')->[0] - $now + 3;
waits_for($answer, $age * 5 / 4 + 1);

# its lease is over

record('ZADD', 'workers', 1, 'other:1:a');
told(fetch(1000), 'done', '\nX-Attempts: 1\r\n');

asked('say/x');



=== TEST 4: another machine has done it, and its call rides again
--- config eval: main::bot()
--- then
told(fetch(1000), 'done');
record('SET', 'ride:1000', "1000 text/x\nthe call");
told(fetch(1000), 'duplicate', 'Content-Type: text/x\r\n.*\r\n\r\nthe call$');

# another update has taken its place

record('SET', 'ride:1000', "5096 text/x\nthe call");
told(fetch(1000), 'duplicate', '\r\n\r\n$');



=== TEST 5: another machine was limited for it: it is not limited again
--- config eval
main::bot('tgbot_limit all zone=users:1m rate=1r/m burst=1;')
--- then
record('HSET', 'meta', 'v', 1, 'made', 1);
record('HSET', 'records', 1001, 2, '1001c', 1);
record('ZADD', 'firsts', time() * 1000, 1001);

told(fetch(1000), 'done');
told(fetch(1002), 'limited');
told(fetch(1001), 'done', '\nX-Attempts: 3\r\n');



=== TEST 6: without Redis an update is refused, and later handled
--- config eval: main::bot()
--- then
told(fetch(1000), 'done');

TgbotRedis::stop();

for (1 .. 3) {
    my $answer = fetch(1001);
    told($answer, 'busy', '^HTTP/1.1 503 ');
    waits_for($answer, 3);
}

asked('say/x');

TgbotRedis::start();

told(settled(1001), 'done');



=== TEST 7: Redis goes while the program works: its answer is kept for Redis
--- config eval: main::bot()
--- then
my $held = held(id => 1000, text => 'wait/late/say/late');

redis('CLIENT', 'PAUSE', 60000, 'WRITE');
TgbotProgram::go('late');

my $answer = end($held);
told($answer, 'busy', '^HTTP/1.1 503 ');
waits_for($answer, 3);

redis('CLIENT', 'UNPAUSE');

told(settled(1000, 'say/again'), 'duplicate', '"text":"late"\}$');
asked('wait/late/say/late');



=== TEST 8: a claim that another machine has taken over
--- config eval: main::bot()
--- then
my $held = held(id => 1000, text => 'wait/mine/say/mine');

record('HSET', 'held', 1000, 'other:1:a/7');
record('ZADD', 'workers', 4e12, 'other:1:a');

TgbotProgram::go('mine');
told(end($held), 'busy', '^HTTP/1.1 503 ');

is(record('HGET', 'held', 1000), 'other:1:a/7',
   $block->name . ' - theirs is left alone');

# a worker warns once in a second

my $warned = time;
sleep 0.02 while int(time) == int($warned);

$held = held(id => 1001, text => 'wait/nothing');
record('HSET', 'held', 1001, 'other:1:a/8');

TgbotProgram::go('nothing');
told(end($held), 'busy', '^HTTP/1.1 503 ');

is(record('HGET', 'held', 1001), 'other:1:a/8',
   $block->name . ' - nor if there is no call to make');
is(status()->{bots}{b}{leases_lost_total}, 2, $block->name . ' - counted');
--- error_log
bot "b", update 1000: this worker has lost the lease, its result is dropped
bot "b", update 1001: this worker has lost the lease, its result is dropped



=== TEST 9: keys that are deleted are noticed, and updates go on
--- config eval: main::bot()
--- then
told(fetch(1000), 'done');

my $held = held(id => 1001, text => 'wait/lost/say/lost');
redis('FLUSHALL');
TgbotProgram::go('lost');
told(end($held), 'busy');

told(fetch(1000), 'done');
told(fetch(1001), 'done');
--- error_log
bot "b": its keys in Redis were deleted, what was in them is lost



=== TEST 10: keys of another layout are left alone
--- config eval: main::bot()
--- then
record('HSET', 'meta', 'v', 99);
told(fetch(1000), 'busy', '^HTTP/1.1 503 ');
is(record('HLEN', 'meta'), 1, $block->name . ' - nothing was written');



=== TEST 11: a client that hangs up while Redis does not answer
--- config eval: main::bot()
--- then
told(fetch(1), 'done');

# what only reads is answered: the status does not wait

redis('CLIENT', 'PAUSE', 60000, 'WRITE');

my $gone = begin(id => 1000, text => 'say/x');
becomes(1, 'held', sub { status()->{bots}{b}{held} });
close $gone;
becomes(0, 'held', sub { status()->{bots}{b}{held} });
redis('CLIENT', 'UNPAUSE');

told(settled(1000), 'done');
is(record('HLEN', 'held'), 0, $block->name . ' - no claim');



=== TEST 12: Redis is out of memory: what is in work is settled, nothing new begins
--- config eval: main::bot()
--- then
my $held = held(id => 1000, text => 'wait/full/say/x');

redis('CONFIG', 'SET', 'maxmemory', 1);

my $answer = fetch(1001);
told($answer, 'busy', '^HTTP/1.1 503 ');
waits_for($answer, 3);

TgbotProgram::go('full');
told(end($held), 'done', '"text":"x"\}$');

redis('CONFIG', 'SET', 'maxmemory', 0);

told(fetch(1000, 'say/y'), 'duplicate', '"text":"x"\}$');
told(fetch(1001, 'say/y'), 'done', '"text":"y"\}$');



=== TEST 13: Redis forgets the scripts
--- config eval: main::bot()
--- then
for (1 .. 5) {
    my $held = held(id => 1000 + $_, text => 'sleep/0.2/say/x');
    redis('SCRIPT', 'FLUSH');
    told(end($held), 'done');

    redis('SCRIPT', 'FLUSH');
    told(fetch(1000 + $_), 'duplicate');
}



=== TEST 14: Redis has forgotten the worker: it beats, and claims again
--- config eval: main::bot()
--- then
for (1 .. 5) {
    record('DEL', 'workers');
    told(fetch(1000 + $_, 'say/x'), 'done', '"text":"x"\}$');
}



=== TEST 15: the status tells what Redis knows of updates
--- config eval: main::bot()
--- then
my $of;

becomes(0, 'none', sub { status()->{bots}{b}{dedup}{records} // 'not told' });

my $held = held(id => 1000, text => 'wait/told/say/x');

check(end(begin(id => 1001, text => 'status/500')), 'failed');

# one is in work, the other one will come again

becomes('2 1 redis', 'dedup', sub {
    $of = status()->{bots}{b};
    CORE::join ' ', @{$of->{dedup}}{qw(records leased kept)};
});

my ($machine) = values %{$of->{machines}};
is($machine->{claims}, 1, $block->name . ' - of a machine');

TgbotProgram::go('told');
told(end($held), 'done');
becomes('0 1000', 'done', sub {
    $of = status()->{bots}{b}{dedup};
    return "$of->{leased} " . ($of->{top}[0] // 'none');
});
is($of->{top}[1], undef, $block->name . ' - one ring');



=== TEST 16: a bot whose update_ids Redis does not tell of is not ready
--- config eval: main::bot()
--- then
becomes('200', 'ready', sub { (get('/status/ready'))[0] });

my ($status, undef, $body);

redis('CLIENT', 'PAUSE', 60000, 'ALL');
becomes('503', 'not ready', sub {
    ($status, undef, $body) = get('/status/ready');
    return $status;
});
redis('CLIENT', 'UNPAUSE');

like($body, qr/Redis, which has its update_ids, does not answer/,
     $block->name . ' - why');
becomes('200', 'ready again', sub { (get('/status/ready'))[0] });
