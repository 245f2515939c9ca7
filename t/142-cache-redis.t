# tgbot_cache with Redis: another machine is what the test itself does there.
# The key of an update is $arg_k; for blocks with steps see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotRedis;
use TgbotSteps;

use Digest::MD5 qw(md5_hex);
use Time::HiRes qw(time sleep);

TgbotRedis::start();

TgbotSteps::start(
    request => 'GET /status',
    http => 'tgbot_secret_token off;
             tgbot_redis $TEST_NGINX_REDIS prefix=t timeout=20s
                         connect_timeout=20s;',
    webhook => {
        tgbot_cache => sub {
            '$arg_k zone=answers' . ($_[0] eq 'b' ? ':1m' : '')
            . ' redis lock_timeout=5m';
        },
    },
    init => sub { redis('FLUSHALL') });


# steps; no lock ends by itself while one waits

sub done {
    my ($body, %of) = @_;

    check(end(begin(%of)), 'done', $body);
}

sub said { "{\"chat_id\":7,\"method\":\"sendMessage\",\"text\":\"$_[0]\"}" }

# the same from the program itself, and as it is kept

sub fresh { "{\"method\":\"sendMessage\",\"chat_id\":7,\"text\":\"$_[0]\"}" }

sub kept { "{\"method\":\"sendMessage\",\"text\":\"$_[0]\"}" }

# the key of an answer; a bot without a token has the id 0

sub place {
    my ($key, $bot) = @_;

    $bot //= 'b';

    return "{t:$bot}:cache:" . md5_hex("$bot\0" . pack('Q', 0) . $key);
}

sub counted {
    my ($want, $bot) = @_;

    becomes($want, 'counted', sub {
        my $of = status()->{bots}{$bot // 'b'}{cache_total};

        return CORE::join ' ', map { "$_=$of->{$_}" } grep { $of->{$_} }
                               sort keys %$of;
    });
}

sub keys_there {
    my (@want) = @_;

    becomes(CORE::join(' ', sort @want), 'keys in Redis',
            sub { CORE::join ' ', sort @{redis('KEYS', '*')} });
}

# until an update waits for another one

sub waiting {
    my ($n) = @_;

    becomes($n, 'waiting', sub { status()->{bots}{b}{cache_total}{wait} });
}

master_on();
workers(2);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: an answer of the program is kept in both
--- config eval: main::bot()
--- then
done(fresh('x'));
keys_there(place('k'));

is(redis('GET', place('k')), kept('x'), $block->name . ' - in Redis');

my $ms = redis('PTTL', place('k'));
cmp_ok($ms, '>', 0, $block->name . ' - for a time');
cmp_ok($ms, '<=', 60000, $block->name . ' - that is valid=');

done(said('x'), text => 'say/y') for 1 .. 3;
asked_any('say/x');
counted('hit=3 miss=1 stored=1');



=== TEST 2: an answer of another machine
--- config eval: main::bot()
--- then
redis('SET', place('k'), kept('x'), 'PX', 60000);

done(said('x'), text => 'say/y') for 1 .. 3;

asked_any();
counted('hit=3 redis=1');
keys_there(place('k'));



=== TEST 3: an answer of another machine is kept for as long as it is there
--- config eval: main::bot('tgbot_cache $arg_k zone=answers:1m redis valid=1h;')
--- then
redis('SET', place('k'), kept('x'), 'PX', 5000 * $slowness);

done(said('x'), text => 'say/y');

becomes(0, 'gone', sub { redis('EXISTS', place('k')) });

my $answer;

becomes(1, 'and out of the zone', sub {
    $answer = end(begin(text => 'say/y'));

    return $answer =~ /"text":"y"/ ? 1 : 0;
});

asked_any('say/y');



=== TEST 4: the key tells nothing of the user
--- config eval: main::bot()
--- then
done(fresh('x'), key => 'Ann+Smith');

keys_there(place('Ann+Smith'));
like(redis('KEYS', '*')->[0], qr/^\{t:b\}:cache:[0-9a-f]{32}\z/,
     $block->name . ' - a hash');



=== TEST 5: bots have keys of their own
--- config eval: main::bot() . main::bot('', 'c')
--- then
done(fresh('b'), text => 'say/b');
done(fresh('c'), text => 'say/c', bot => 'c');
keys_there(place('k'), place('k', 'c'));
is(redis('GET', place('k', 'c')), kept('c'), $block->name . ' - c');



=== TEST 6: an update waits for the one that another machine asks for
--- config eval: main::bot()
--- then
redis('SET', place('k') . ':lock', 'other/1', 'PX', 60000);

my @waiting = map { begin(text => 'say/y') } 1 .. 10;
waiting(10);

redis('SET', place('k'), kept('x'), 'PX', 60000);

check(end($_), 'done', said('x')) for @waiting;

asked_any();
counted('hit=10 redis=1 wait=10');
is(redis('GET', place('k') . ':lock'), 'other/1',
   $block->name . ' - the lock of the other one');



=== TEST 7: the next machine asks when the one that asked has failed
--- config eval: main::bot()
--- then
redis('SET', place('k') . ':lock', 'other/1', 'PX', 60000);

my $first = begin(text => 'say/y');
waiting(1);

redis('DEL', place('k') . ':lock');

check(end($first), 'done', fresh('y'));
keys_there(place('k'));
asked_any('say/y');
counted('miss=1 stored=1 wait=1');



=== TEST 8: an update that has waited too long asks the program
--- config eval
main::bot('tgbot_cache $arg_k zone=answers:1m redis lock_timeout=300ms;')
--- then
redis('SET', place('k') . ':lock', 'other/1', 'PX', 60000);

my $start = time;

done(fresh('x'));
cmp_ok(time - $start, '>=', 0.2, $block->name . ' - it has waited');

done(said('x'), text => 'say/y');

asked_any('say/x');
counted('hit=1 stored=1 timeout=1 wait=1');
keys_there(place('k') . ':lock');



=== TEST 9: while the program is asked the lock is held, for lock_timeout
--- config eval: main::bot()
--- then
my $first = held(text => 'wait/first/say/x');

my $ms = redis('PTTL', place('k') . ':lock');
cmp_ok($ms, '>', 0, $block->name . ' - for a time');
cmp_ok($ms, '<=', 300000, $block->name . ' - that is lock_timeout=');

TgbotProgram::go('first');
check(end($first), 'done', fresh('x'));
keys_there(place('k'));



=== TEST 10: the lock ends when the program fails, or is not there
--- config eval: main::bot() . main::bot('tgbot_handler /_closed;', 'c')
--- then
check(end(begin(text => 'status/500')), 'failed');
check(end(begin(bot => 'c')), 'busy');
keys_there();

done(fresh('x'));
keys_there(place('k'));



=== TEST 11: the lock ends when the client of an update that asks hangs up
--- config eval: main::bot('tgbot_dedup off; tgbot_handler /_closed;')
--- then
close begin();

keys_there();



=== TEST 12: other machines learn that answers of a key are not kept
--- config eval: main::bot()
--- then
my $dice = '{"method":"sendDice","chat_id":8}';

done($dice, text => "json/$dice");
keys_there(place('k'));
is(redis('GET', place('k')), '', $block->name . ' - nothing');
cmp_ok(redis('PTTL', place('k')), '<=', 10000, $block->name . ' - for a while');

redis('SET', place('2'), '', 'PX', 60000);
done(fresh($_), text => "say/$_", key => 2) for 1 .. 2;

asked_any('json/%7B%22method%22:%22sendDice%22,%22chat_id%22:8%7D', 'say/1',
          'say/2');
counted('bypass=2 miss=1 uncacheable=1');



=== TEST 13: answers that are too large
--- config eval
main::bot('tgbot_cache $arg_k zone=small:36k redis;')
--- then
my $json = '{"method":"sendMessage","text":"' . 'x' x 8192 . '"}';

done(qr/x{8192}/, text => "json/$json");
counted('miss=1 uncacheable=1');
keys_there();

redis('SET', place('2'), kept('x' x 65536), 'PX', 60000);
done(fresh('y'), text => 'say/y', key => 2) for 1 .. 2;
counted('bypass=2 miss=1 uncacheable=1');



=== TEST 14: what is no answer
--- config eval: main::bot()
--- then
redis('RPUSH', place('1'), kept('x'));
redis('SET', place('2'), 'x', 'PX', 60000);
redis('SET', place('3'), '{"method":"close"}', 'PX', 60000);

done(fresh($_), text => "say/$_", key => $_) for 1 .. 3;
asked_any('say/1', 'say/2', 'say/3');



=== TEST 15: without Redis the zone goes on
--- config eval: main::bot()
--- then
TgbotRedis::stop();

done(fresh('x'));
done(said('x'), text => 'say/y') for 1 .. 3;

my $of = until_status(sub {
    my $of = $_[0]{bots}{b}{cache_total};
    return $of->{redis_away} && $of->{hit} == 3;
})->{bots}{b}{cache_total};
cmp_ok($of->{redis_away}, '>=', 1, $block->name . ' - counted');
is($of->{hit}, 3, $block->name . ' - hits');

TgbotRedis::start();

my $n = 0;

becomes(1, 'back', sub {
    end(begin(text => 'say/z', key => 'again' . ++$n));

    return scalar grep { $_ eq place("again$n") } @{redis('KEYS', '*')};
});



=== TEST 16: a job out of the queue finds the answer of another machine
--- config eval
main::bot('tgbot_token_file $TEST_NGINX_TOKEN_FILE;
           tgbot_api /_api/header/X-Method/$tgbot_method/json/%7B%7D;
           tgbot_queue zone=updates:1m;')
--- then
my $place = '{t:b}:cache:'
            . md5_hex("b\0" . pack('Q', 123456) . 'k');

redis('SET', $place, kept('x'), 'PX', 60000);

check(end(begin(text => 'say/y')), 'queued', '');
asked_any('api sendMessage');
counted('hit=1 redis=1');



=== TEST 17: updates do not wait while the claim of a failed one is settled
--- config eval
main::bot('tgbot_dedup redis; tgbot_cache $arg_k zone=answers:1m;')
--- then
my $first = held(text => 'wait/first/status/500');
my $second = begin(text => 'say/y');
waiting(1);
redis('CLIENT', 'PAUSE', 60000, 'WRITE');
TgbotProgram::go('first');
until_asked(qr/say.y/);
redis('CLIENT', 'UNPAUSE');

check(end($first), 'failed');
check(end($second), 'done', fresh('y'));
counted('miss=2 stored=1 wait=1');
