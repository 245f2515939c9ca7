# Dead letters in Redis: all that 110-dead-letters.t shows of those in a zone,
# with and without a queue, and what only Redis brings.  For blocks with steps
# see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotBlocks;
use TgbotDead;
use TgbotQueue;
use TgbotRedis;
use TgbotSteps;

use Encode ();
use JSON::PP;
use Math::BigInt;
use Time::HiRes qw(time sleep);

our $by_host = qr/^expected an address, "localhost" or /;
our $by_site = qr/^expected no page of another site/;

TgbotRedis::start('--enable-debug-command', 'yes');

TgbotDead::number(sub { map { @{redis('ZRANGE', $_, 0, -1)} }
                            @{redis('KEYS', '{tgbot:*}:dead')} });

TgbotSteps::start(
    request => 'GET /status',
    status  => 'payload=on write=on',
    main    => "worker_shutdown_timeout ${slowness}s;",
    init    => sub {
                   redis('CONFIG', 'SET', 'maxmemory', 0);
                   redis('FLUSHALL');
                   TgbotDead::forget();
               },

    http    => <<'_EOC_',
    tgbot_secret_token  off;
    tgbot_redis         $TEST_NGINX_REDIS timeout=60s connect_timeout=60s;
_EOC_
    webhook => {
        tgbot_token        => sub { $_[0] eq 'b' ? '1:TOKEN' : '2:TOKEN' },
        tgbot_api          => '/_api/header/X-Method/$tgbot_method/json/%7B%7D',
        tgbot_attempts     => '2 backoff=50ms max_backoff=100ms',
        tgbot_dead_letters => 'redis',
    });

# what has ids in the log, and a lease that ends with its worker at once

my %other = map { $_ => 1 } (
    'changes are logged',
    'a letter is replayed once at a time, and kept when its worker is killed');

TgbotBlocks::add('t/110-dead-letters.t', sub {
    my ($name) = /^=== TEST \d+: (.*)/;

    s/tgbot_dead_letters max=2/tgbot_dead_letters redis max=2/;
    return !delete $other{$name};
});

die "no block \"$_\" in t/110-dead-letters.t\n" for sort keys %other;


master_on();
workers(2);
worker_connections(1024);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: the queue is in Redis, too: a letter becomes an item as one
--- config eval
main::bot('tgbot_handler /_mended; tgbot_queue redis;') . $main::mended
--- then
for my $chat (1 .. 3) {
    enqueue(chat => $chat);
    letters(CORE::join ', ', map { "$_ failed" } 1 .. $chat);
}

depth('accepted!=3 dead=3 dead!=3');
is((change(DELETE => '/status/dead/b/2', 'drop'))[0], 200,
   $block->name . ' - dropped');
depth('accepted!=3 dead=2 dead!=3');

mend();

is_deeply((change(POST => '/status/dead/b', 'replay'))[1],
          { replayed => 2, left => 0, being_replayed => 0 },
          $block->name . ' - two');
depth('accepted!=3 dead!=3 done!=2 replayed!=2');
is((change(POST => '/status/dead/b/1', 'replay'))[0], 404,
   $block->name . ' - it is gone');

is(redis('EXISTS', map { "{tgbot:b}:$_" } qw(dead letters replays flight)), 0,
   $block->name . ' - nothing is left in Redis');



=== TEST 2: the queue is in Redis, and the letters are in a zone
--- config eval
main::bot('tgbot_handler /_mended; tgbot_queue redis;
           tgbot_dead_letters zone=letters:4m;') . $main::mended
--- then
enqueue();
depth('accepted!=1 dead=1 dead!=1');
mend();
is_deeply((change(POST => '/status/dead/b/1', 'replay'))[1],
          { replayed => 1 }, $block->name . ' - replayed');
depth('accepted!=1 dead!=1 done!=1 replayed!=1');
is(status()->{bots}{b}{dead_letters}{kept}, 'zone', $block->name . ' - where');



=== TEST 3: what the status tells
--- config eval: main::bot('tgbot_dead_letters redis max=2;')
--- then
give_up(text => 'status/500') for 1 .. 3;
letters('2 failed, 3 failed');

my ($of, $dead);

# each worker has asked Redis by itself, one may not have yet

becomes(2, 'status', sub {
    $of = status()->{bots}{b};
    $dead = $of->{dead_letters};
    return $dead->{letters};
});

is($dead->{kept}, 'redis', $block->name . ' - where');
is($dead->{letters}, 2, $block->name . ' - letters');
is($dead->{evicted}, 1, $block->name . ' - evicted');
ok(!exists $dead->{blocks}, $block->name . ' - no blocks');
ok(abs($dead->{oldest} - time) < 60, $block->name . ' - oldest');
is($of->{dead_letters_total}{failed}, 3, $block->name . ' - counted');



=== TEST 4: letters in Redis have no zone of their own
--- config eval: main::bot()
--- then
ok(!grep({ $_ eq 'tgbot_dead' } keys %{status()->{zones}}),
   $block->name . ' - none');



=== TEST 5: Redis goes while the program works: held, nothing is given up
--- config eval
main::bot('tgbot_handler /_program/$tgbot_text; tgbot_attempts 1;')
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]
--- then
my $socket = held(text => 'wait/gone/status/500');

TgbotRedis::stop();
TgbotProgram::go('gone');

# it is not kept waiting for Redis

my $answer = end($socket);
check($answer, 'busy');
like($answer, qr/^Retry-After: [1-3]\r/m, $block->name . ' - Retry-After');

check(end(begin(id => $id)), 'busy');

is((answer('/status/dead/b'))[0], 503, $block->name . ' - no list');
my ($status, $json) = answer('/status/dead/b/7');
is($status, 503, $block->name . ' - no letter');
like($json->{error}, qr/^Redis is away/, $block->name . ' - why');
is((change(POST => '/status/dead/b', 'replay'))[0], 503,
   $block->name . ' - no replay');
is((change(DELETE => '/status/dead/b/7', 'drop'))[0], 503,
   $block->name . ' - no drop');

TgbotRedis::start();
letters('1 failed');
becomes('duplicate', 'redelivered', sub {
    (end(begin(id => $id)) =~ /^X-Verdict: (\w+)/m)[0];
});
letters('1 failed');



=== TEST 6: Redis goes while the program works: a queue in a zone keeps the update
--- config eval
main::bot('tgbot_handler /_step; tgbot_attempts 1;
           tgbot_queue zone=updates:4m;') . $main::stalls
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]
--- then
TgbotRedis::stop();
enqueue();
until_asked(qr/status.500/);
sleep 0.5;
depth('accepted!=1 inflight=1');
TgbotRedis::start();
letters('1 failed');
depth('accepted!=1 dead=1 dead!=1');

touch('mended');
is((change(POST => '/status/dead/b', 'replay'))[1]{replayed}, 1,
   $block->name . ' - replayed');
depth('accepted!=1 dead!=1 done!=1 replayed!=1');
letters('');



=== TEST 7: a letter is dropped although memory is used up, and one is put
--- config eval: main::bot()
--- then
give_up(text => 'status/500');
redis('CONFIG', 'SET', 'maxmemory', 1);
give_up(text => 'status/500');
letters('1 failed, 2 failed');
is((change(DELETE => '/status/dead/b', 'drop'))[0], 200,
   $block->name . ' - dropped');
letters('');



=== TEST 8: a letter that is being replayed is left alone
--- config eval
main::bot('tgbot_handler /_step;') . $main::stalls
--- then
give_up() for 1 .. 2;
touch('stalls');

is((change(POST => '/status/dead/b/1', 'replay'))[0], 200,
   $block->name . ' - replayed');
until_asked(qr/stall/);

# by each worker

for (1 .. 8) {
    my ($status, $json) = change(POST => '/status/dead/b/1', 'replay');
    is($status, 409, $block->name . ' - once more');
    is($json->{error}, 'the letter is being replayed',
       $block->name . ' - why');
    is((change(DELETE => '/status/dead/b/1', 'drop'))[0], 409,
       $block->name . ' - dropped');
}

is_deeply((change(POST => '/status/dead/b', 'replay'))[1],
          { replayed => 1, left => 2, being_replayed => 1 },
          $block->name . ' - all but one');
is_deeply((change(DELETE => '/status/dead/b', 'drop'))[1],
          { dropped => 0, left => 2, being_replayed => 2 },
          $block->name . ' - none dropped');
letters('1 failed, 2 failed');



=== TEST 9: a letter that another version has written is shown, and dropped
--- config eval: main::bot()
--- then
give_up(text => 'status/500') for 1 .. 2;

my ($key, $letter) = ('{tgbot:b}:letters', TgbotDead::real(1));
my $head = redis('HGET', $key, $letter);

redis('HSET', $key, $letter, $head =~ s/^./\x63/sr);
letters('1 unknown, 2 failed');

my ($status, $json) = answer('/status/dead/b/1');
is($status, 200, $block->name . ' - shown');
is($json->{update_id}, undef, $block->name . ' - without what is in it');

is((change(POST => '/status/dead/b/1', 'replay'))[0], 404,
   $block->name . ' - not replayed');
logged('cannot be read, it is of another version of the module', 1);

# the lease of the replay ends a moment after the answer

becomes('200', 'dropped', sub {
    (change(DELETE => '/status/dead/b/1', 'drop'))[0]
});
letters('2 failed');



=== TEST 10: a client that hangs up while Redis does not answer
--- config eval: main::bot('tgbot_handler /_mended;') . $main::mended
--- then
give_up();
mend();

# commands wait

redis('CLIENT', 'PAUSE', 800, 'ALL');

my @sockets = map { TgbotSteps::request(@$_) }
    [ 'GET', '/status/dead/b', [] ],
    [ 'GET', '/status/dead/b/1', [] ],
    [ 'POST', '/status/dead/b', ['X-Tgbot-Action: replay'] ];

sleep 0.2;
close $_ for @sockets;

becomes('200', 'list', sub { (answer('/status/dead/b'))[0] });



=== TEST 11: a bot is ready without its letters
--- config eval: main::bot()
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]
--- then
TgbotRedis::stop();
becomes(0, 'away', sub { status()->{redis_up} });
is((get('/status/ready'))[0], 200, $block->name . ' - ready');
TgbotRedis::start();



=== TEST 12: a client that hangs up while a letter is changed: that is logged
--- config eval: main::bot()
--- then
give_up(text => 'status/500') for 1 .. 3;
letters('1 failed, 2 failed, 3 failed');

my $drop = ['X-Tgbot-Action: drop'];
my $may = 'bot "b": dead letter %s may be dropped, its client has not waited, '
          . 'client: 127.0.0.1';

# what writes waits

my $hang_up = sub {
    redis('CLIENT', 'PAUSE', 60000, 'WRITE');

    my $socket = TgbotSteps::request('DELETE', $_[0], $drop);
    becomes(1, 'blocked', sub {
        scalar(redis('CLIENT', 'LIST') =~ /flags=\w*b/);
    });
    close $socket;
};

$hang_up->('/status/dead/b/3');
logged(sprintf($may, TgbotDead::real(3)), 1);
redis('CLIENT', 'UNPAUSE');
letters('1 failed, 2 failed');

# all letters are listed, and the first one is not dropped yet

$hang_up->('/status/dead/b');
logged(sprintf($may, TgbotDead::real(1)), 1);
logged('bot "b": 0 dead letters dropped, client: 127.0.0.1', 1);
redis('CLIENT', 'UNPAUSE');
letters('2 failed');

logged('is not dropped', 0);



=== TEST 13: a letter that no command to Redis can hold: its call is lost
--- config eval
main::bot('tgbot_handler /_program/big/9000000/sendPhoto;
           tgbot_response_size 16m;
           tgbot_api /_api/$of/header/X-Method/$tgbot_method/json/%7B%7D;
           tgbot_retry attempts=1;')
--- http_config
    map $tgbot_method $of {
        volatile;
        default    keep;
        sendPhoto  close;
    }
--- then
check(end(begin()), 'done');
logged('does not fit into Redis of dead letters: 9000', 1);
letters('');
