# The queue in Redis: what 120-queue.t shows of one in a zone, and what is
# different.  For blocks with steps see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotBlocks;
use TgbotQueue;
use TgbotRedis;
use TgbotSteps;

use JSON::PP;
use POSIX ();
use Time::HiRes qw(time sleep);

TgbotRedis::start('--enable-debug-command', 'yes');

TgbotSteps::start(
    request => 'GET /status',
    status  => 'payload=on write=on',
    main    => "worker_shutdown_timeout ${slowness}s;",
    init    => sub {
                   redis('CONFIG', 'SET', 'maxmemory', 0);
                   redis('FLUSHALL');
               },

    http    => <<"_EOC_",
    tgbot_secret_token  off;
    tgbot_redis         \$TEST_NGINX_REDIS timeout=60s connect_timeout=60s;

$third
_EOC_
    webhook => {
        tgbot_token    => sub { $_[0] eq 'b' ? '1:TOKEN' : '2:TOKEN' },
        tgbot_api      => '/_api/header/X-Method/$tgbot_method/json/%7B%7D',
        tgbot_attempts => '10 backoff=100ms max_backoff=200ms',
        tgbot_queue    => 'redis lease=3s',
    });

# what is about a zone, and what Redis does in another way, see below

my %other = map { $_ => 1 } (
    'tgbot_reply rides if nothing is queued before it',
    'no more updates at once than concurrency says',
    'updates of a killed worker are tried again',
    'a queue is emptied before nginx quits',
    'a full zone: 503, and counted',
    'two bots in one zone have lanes of their own',
    'the answer of the program is cached for queued updates',
    'a second delivery of an update that tgbot_reply answers',
    'at the level debug the log tells each state of an update');

TgbotBlocks::add('t/120-queue.t', sub {
    my ($name) = /^=== TEST \d+: (.*)/;

    s/tgbot_queue zone=updates:4m/tgbot_queue redis lease=3s/g;
    return !delete $other{$name};
});

die "no block \"$_\" in t/120-queue.t\n" for sort keys %other;

master_on();
workers(2);
worker_connections(1024);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: no more updates at once than concurrency says
--- config eval
main::bot('tgbot_queue redis lease=3s concurrency=2;')
--- then
enqueue(text => 'wait/all/say/x', chat => $_) for 1 .. 4;

until_asked(qr/say/);
sleep 0.2;
depth('accepted!=4 inflight=2 waiting=2');
TgbotProgram::go('all');
depth('accepted!=4 done!=4');



=== TEST 2: updates of a killed worker are tried again when its lease is over
--- config eval: main::bot()
--- no_error_log
[crit]
[emerg]
--- then
enqueue(text => 'wait/a/say/a');
enqueue(text => 'say/b');
until_asked(qr/say.a/);

kill KILL => workers_of(master());
until_asked(qr/say.a.*say.a/s);
TgbotProgram::go('a');

asked('wait/a/say/a', 'wait/a/say/a', 'api sendMessage', 'say/b',
      'api sendMessage');
depth('accepted!=2 done!=2');



=== TEST 3: two bots have lanes of their own
--- config eval: main::bot() . main::bot('', 'c')
--- then
enqueue(text => 'wait/c/say/b', id => 5000);
until_asked(qr/say\/b/);
enqueue(text => 'say/c', id => 5000, bot => 'c');
until_asked(qr/say\/c/);
TgbotProgram::go('c');

asked('wait/c/say/b', 'say/c', 'api sendMessage', 'api sendMessage');
depth('accepted!=1 done!=1', 'b');
depth('accepted!=1 done!=1', 'c');



=== TEST 4: the answer of the program is cached for queued updates
--- config eval
main::bot('tgbot_cache all zone=answers:1m;')
--- then
my $text = 'wait/all/json/{"method":"sendMessage","text":"x"}';
enqueue(text => $text, chat => $_) for 1 .. 3;
TgbotProgram::go('all');
asked($text =~ s/([{}"])/sprintf '%%%02X', ord $1/ger,
      ('api sendMessage') x 3);

enqueue(chat => 4);
asked('api sendMessage');
depth('accepted!=4 done!=4');



=== TEST 5: a reply of tgbot_reply goes by the queue
--- config eval
main::bot('tgbot_reply $hello;')
--- http_config
    map $tgbot_text $hello {
        volatile;
        /hi  hello;
    }
--- then
my $n = ++$id;

check(end(begin(id => $n, text => '/hi')), 'queued', '');
check(end(begin(id => $n, text => '/hi')), 'duplicate', '');
asked('api sendMessage');
depth('accepted!=1 done!=1');



=== TEST 6: at its limit the queue refuses updates, and works on those it has
--- config eval
main::bot('tgbot_queue redis limit=3; tgbot_handler /_program/$tgbot_text;')
--- then
enqueue(text => 'wait/full/say/x', chat => $_) for 1 .. 3;

my $answer = end(begin(chat => 4));

# the longer the oldest one has waited, the more

like($answer, qr/^HTTP\/1.1 503 .*^Retry-After: [1-9]\d?\r\n/ms,
     $block->name . ' - refused');
check($answer, 'busy');
is(status()->{bots}{b}{queue_full_total}, 1, $block->name . ' - counted');
logged('has no room in Redis', 1);
TgbotProgram::go('full');

depth('accepted!=3 done!=3');
enqueue(chat => 4);
depth('accepted!=4 done!=4');



=== TEST 7: an update that is larger than limit_size
--- config eval
main::bot('tgbot_queue redis limit_size=1m; client_max_body_size 4m;
           client_body_buffer_size 4m;')
--- then
check(end(begin(text => 'x' x (1024 * 1024))), 'busy');
logged('is larger than what the bot may have of Redis', 1);
enqueue();
depth('accepted!=1 done!=1');



=== TEST 8: a limit of a zone, whose token a duplicate does not keep
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=limit:1m rate=1r/m burst=2;')
--- then
my $n = ++$id;

enqueue(id => $n);
check(end(begin(id => $n)), 'duplicate', '');
enqueue();
check(end(begin()), 'limited', '');
depth('accepted!=2 done!=2');



=== TEST 9: limits in Redis: dropped with a notice, or rejected
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=drop:1m rate=1r/m burst=2
                       reply=slowly redis;')
. main::bot('tgbot_limit $tgbot_user_id zone=reject:1m rate=1r/m burst=1
                         action=reject redis;', 'c')
--- then
my $n = ++$id;

enqueue(id => $n);
check(end(begin(id => $n)), 'duplicate', '');
enqueue();
check(end(begin()), 'limited', qr/"text":"slowly"/);
check(end(begin()), 'limited', '');
check(end(begin(id => $id)), 'duplicate', '');
depth('accepted!=2 done!=2');

check(end(begin(bot => 'c')), 'queued', '');
like(end(begin(bot => 'c', id => 900)), qr/^HTTP\/1.1 429 .*^Retry-After: /ms,
     $block->name . ' - rejected');
like(end(begin(bot => 'c', id => 900)), qr/^HTTP\/1.1 429 /,
     $block->name . ' - rejected again');
depth('accepted!=1 done!=1', 'c');



=== TEST 10: Redis is away: 503, and nothing is lost when it is back
--- config eval: main::bot()
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]
--- then
enqueue();
depth('accepted!=1 done!=1');

TgbotRedis::stop();

becomes('busy', 'verdict',
        sub { (end(begin()) =~ /^X-Verdict: (\w+)/m)[0] });

my $answer = end(begin(id => 700));
like($answer, qr/^HTTP\/1.1 503 .*^Retry-After: [1-3]\r\n/ms,
     $block->name . ' - refused');
check($answer, 'busy');

TgbotRedis::start();

becomes('queued', 'verdict',
        sub { (end(begin(id => 701)) =~ /^X-Verdict: (\w+)/m)[0] });
becomes('duplicate', 'verdict',
        sub { (end(begin(id => 701)) =~ /^X-Verdict: (\w+)/m)[0] });
depth('accepted!=1 done!=1');



=== TEST 11: a client that hangs up while Redis does not answer
--- config eval: main::bot()
--- then
# A command whose script Redis does not have yet is sent twice, and the second
# one may come after that of the next delivery.

enqueue();
depth('accepted!=1 done!=1');
redis('CLIENT', 'PAUSE', 60000, 'WRITE');

my $n = ++$id;
my $socket = begin(id => $n);
becomes(1, 'held', sub { status()->{bots}{b}{held} });
close $socket;
becomes(0, 'held', sub { status()->{bots}{b}{held} });
redis('CLIENT', 'UNPAUSE');

check(end(begin(id => $n)), 'duplicate', '');
depth('accepted!=2 done!=2');
is(status()->{bots}{b}{deliveries_total}{aborted}, 1,
   $block->name . ' - aborted');



=== TEST 12: Redis has no memory left: what is in the queue is worked on
--- config eval: main::bot()
--- then
enqueue(text => 'wait/full/say/a');
enqueue(text => 'say/b');
until_asked(qr/say.a/);
redis('CONFIG', 'SET', 'maxmemory', 1);

check(end(begin()), 'busy');
TgbotProgram::go('full');
depth('accepted!=2 done!=2');
logged('OOM', 1);

redis('CONFIG', 'SET', 'maxmemory', 0);
enqueue();
depth('accepted!=3 done!=3');



=== TEST 13: an update whose life is over is not worked on
--- config eval
main::bot('tgbot_handler /_closed;')
--- no_shutdown_error_log
[crit]
[emerg]
--- then
my $from = { id => 9, first_name => 'Ann' };

enqueue(in => { inline_query => { id => '78', from => $from, query => 'x' } });
depth('accepted!=1 delayed=1');

# its time of receipt stands in the item

my ($lane) = @{redis('KEYS', '*:lane:*')};
my $item = redis('LINDEX', $lane, 0);
my ($seq, $at) = $item =~ /^(\d+) (\d+) /;
my $old = $at - 31000;
redis('LSET', $lane, 0, $item =~ s/^(\d+) \d+ /$1 $old /r);

depth('accepted!=1 dead=1 expired!=1');
logged('has expired in the queue', 1);



=== TEST 14: a call that moves money and may have been made is given up, also when the life of its update is over
--- config eval
main::bot('tgbot_api /_api/header/X-Method/$tgbot_method/wait/never/count;')
--- no_error_log
[crit]
[emerg]
--- then
my $from = { id => 9, first_name => 'Ann' };
my $query = 'json/{"method":"refundStarPayment","user_id":9,'
            . '"telegram_payment_charge_id":"c"}';

enqueue(in => { inline_query => { id => '78', from => $from,
                                  query => $query } });
until_asked(qr/refundStarPayment.wait/);
kill_workers();

my ($lane) = @{redis('KEYS', '*:lane:*')};
my $item = redis('LINDEX', $lane, 0);
my ($seq, $at) = $item =~ /^(\d+) (\d+) /;
my $old = $at - 31000;
redis('LSET', $lane, 0, $item =~ s/^(\d+) \d+ /$1 $old /r);

depth('accepted!=1 dead=1 dead!=1');
logged('it may have been executed, and must not be retried', 1);



=== TEST 15: an item that another version has written is left, and dropped after a day
--- config eval: main::bot()
--- then
enqueue(text => 'wait/other/say/x');
enqueue(text => 'say/y');
until_asked(qr/say.x/);

my ($lane) = @{redis('KEYS', '*:lane:*')};
my $item = redis('LINDEX', $lane, 1);
redis('LSET', $lane, 1, $item =~ s/^(\d+ \d+ )./$1\x63/sr);
TgbotProgram::go('other');

depth('accepted!=2 delayed=1 done!=1');
logged('of another version of the module, and is left to one', '1+');

my $old = ($item =~ /^\d+ (\d+) /)[0] - 86401000;
redis('LSET', $lane, 0, $item =~ s/^(\d+) \d+ ./$1 $old \x63/sr);
redis('ZADD', '{tgbot:b}:delayed', 0, ($lane =~ /(\w+)$/)[0]);

depth('accepted!=2 done!=1 dropped!=1');
logged('of another version of the module, and is dropped', 1);



=== TEST 16: the list of a lane is deleted
--- config eval: main::bot()
--- then
enqueue(text => 'wait/gone/say/x');
enqueue(text => 'say/y');
until_asked(qr/say.x/);
redis('DEL', @{redis('KEYS', '*:lane:*')});
TgbotProgram::go('gone');

depth('accepted!=2 dropped!=2');
enqueue(text => 'say/z');
depth('accepted!=3 done!=1 dropped!=2');



=== TEST 17: a limit in Redis is only tried
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=limit:1m rate=1r/m burst=1 redis;
           tgbot_limit_dry_run on;')
--- then
enqueue();
enqueue();
depth('accepted!=2 done!=2');
logged('is dropped by zone "limit", dry run', 1);



=== TEST 18: a replay while Redis is away
--- config eval
main::bot('tgbot_attempts 1; tgbot_handler /_program/$third;')
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]
--- then
enqueue(text => 'say/a');
depth('accepted!=1 dead=1 dead!=1');

TgbotRedis::stop();

my @replay = ('/status/dead/b/1', ['X-Tgbot-Action: replay'], 'POST');
my $text;

becomes('503', 'replay', sub {
    my ($status, undef, $body) = get(@replay);

    $text = $body;
    return $status;
});
like($text, qr/the queue is away/, $block->name . ' - said');

TgbotRedis::start();

becomes('200', 'replay again', sub { (get(@replay))[0] });
depth('dead=1 dead!=1 replayed!=1');



=== TEST 19: a token that another limit gives back is not given back again
--- config eval
main::bot('tgbot_limit all zone=all:1m rate=1r/m burst=2;
           tgbot_limit $arg_k zone=one:1m rate=1r/m burst=1;
           tgbot_limit_dry_run on;')
--- then
enqueue();
enqueue();
check(end(begin(id => $id)), 'duplicate', '');
logged('is dropped by zone "one", dry run', 2);

enqueue(key => '');
logged('is dropped by zone "all", dry run', 0);
enqueue(key => '');
logged('is dropped by zone "all", dry run', 1);
depth('accepted!=4 done!=4');



=== TEST 20: the status tells which machine works on how much
--- config eval: main::bot()
--- then
enqueue(text => 'wait/two/say/x', chat => $_) for 1, 2;

# a machine that is gone

redis('HSET', '{tgbot:b}:flight', '0000000000000001', 'gone:1:2/3');

my $host = (POSIX::uname())[1] =~ s/[^\x21-\x7e]|[:\/]/-/gr;

my $bot;

becomes('gone 0 1 0, here 2 2 0', 'machines', sub {
    $bot = status()->{bots}{b};

    my $of = $bot->{machines};

    return CORE::join ', ', map {
        my $machine = $of->{$_};
        CORE::join ' ', $_ eq substr($host, 0, 32) ? 'here' : $_,
                        @{$machine}{qw(workers inflight claims)}
    } sort { $of->{$a}{workers} <=> $of->{$b}{workers} } keys %$of;
});

is($bot->{redis_machines}, 1, $block->name . ' - one works');
becomes(1, 'sample', sub {
    (get('/status?format=prometheus')
     =~ /^nginx_tgbot_redis_machines\{bot="b"\} (\d+)$/m)[0] // 'none';
});

TgbotProgram::go('two');
depth('accepted!=2 done!=2');



=== TEST 21: what Redis would refuse in a dry run, zones give back
--- config eval
main::bot('tgbot_limit all zone=all:1m rate=1r/m burst=2;
           tgbot_limit $arg_k zone=one:1m rate=1r/m burst=1 redis;
           tgbot_limit_dry_run on;')
--- then
enqueue();
enqueue();
logged('is dropped by zone "one", dry run', 1);

enqueue(key => '');
logged('is dropped by zone "all", dry run', 0);
enqueue(key => '');
logged('is dropped by zone "all", dry run', 1);
depth('accepted!=4 done!=4');



=== TEST 22: a bot whose queue Redis does not tell of is not ready
--- config eval: main::bot()
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]
--- then
becomes('200', 'ready', sub { (get('/status/ready'))[0] });

TgbotRedis::stop();

my ($status, undef, $body);

becomes('503', 'away', sub {
    ($status, undef, $body) = get('/status/ready');
    return $status;
});
is_deeply(decode_json($body)->{reasons},
          ['bot "b": Redis, which has its queue, does not answer'],
          $block->name . ' - why');
is((get('/status/live'))[0], 200, $block->name . ' - live');

TgbotRedis::start();
becomes('200', 'ready again', sub { (get('/status/ready'))[0] });

redis('CLIENT', 'PAUSE', 60000, 'ALL');
becomes('503', 'stopped', sub { (get('/status/ready'))[0] });
redis('CLIENT', 'UNPAUSE');
becomes('200', 'ready again', sub { (get('/status/ready'))[0] });
