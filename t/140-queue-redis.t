# The queue in Redis: what 120-queue.t shows of one in a zone, and what is
# different.  For blocks with steps see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotRedis;
use TgbotSteps;

use JSON::PP;
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

    http    => <<'_EOC_',
    tgbot_secret_token  off;
    tgbot_redis         $TEST_NGINX_REDIS timeout=5s connect_timeout=5s;

    # fails at the first two attempts, the third one has what is asked for
    map "$tgbot_attempts:$tgbot_text" $third {
        volatile;
        "~^[12]:"     status/500;
        "~^\d+:(.*)"  $1;
    }
_EOC_
    webhook => {
        tgbot_token    => sub { $_[0] eq 'b' ? '1:TOKEN' : '2:TOKEN' },
        tgbot_api      => '/_api/header/X-Method/$tgbot_method/json/%7B%7D',
        tgbot_attempts => '10 backoff=100ms max_backoff=200ms',
        tgbot_queue    => 'redis lease=3s',
    });


# steps

# puts an update in the queue

sub enqueue {
    check(end(begin(@_)), 'queued', '');
}

# what there is in the queue of a bot, and what became of the rest

sub depth {
    my ($want, $bot) = @_;

    becomes($want, 'depth', sub {
        my $of = status()->{bots}{$bot // 'b'};
        my %n = (%{$of->{queue_depth}},
                 map { ("$_!" => $of->{queue_items_total}{$_}) }
                     keys %{$of->{queue_items_total}});

        return CORE::join ' ', map { "$_=$n{$_}" } grep { $n{$_} }
                               sort keys %n;
    });
}

master_on();
workers(2);
worker_connections(1024);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: an update is acknowledged at once, and in work later
--- config eval: main::bot()
--- then
my $start = time;

enqueue(text => 'sleep/3/say/x');
ok(time - $start < 3 * $slowness, $block->name . ' - before the program');

asked('sleep/3/say/x', 'api sendMessage');
depth('accepted!=1 done!=1');



=== TEST 2: updates of a chat are in work one after the other, those of other chats beside them
--- config eval: main::bot()
--- then
enqueue(text => "sleep/0.5/say/$_") for 1 .. 5;
until_asked(qr/say.1/);
enqueue(text => 'say/other', chat => 8);

asked('sleep/0.5/say/1', 'say/other', 'api sendMessage', 'api sendMessage',
      map { ("sleep/0.5/say/$_", 'api sendMessage') } 2 .. 5);



=== TEST 3: an update is tried until the program succeeds, and no update of its chat overtakes it
--- config eval: main::bot('tgbot_handler /_program/$third;')
--- then
enqueue(text => 'say/a');
enqueue(text => 'say/b');

asked((('status/500') x 2, 'say/a', 'api sendMessage') x 1,
      ('status/500') x 2, 'say/b', 'api sendMessage');
depth('accepted!=2 done!=2');



=== TEST 4: X-Tgbot-Attempt counts the attempts
--- config eval
main::bot('tgbot_handler /_program/header/A/$tgbot_attempts/$third;')
--- then
enqueue(text => 'say/a');

asked('header/A/1/status/500', 'header/A/2/status/500', 'header/A/3/say/a',
      'api sendMessage');



=== TEST 5: an update is given up after tgbot_attempts, and its chat goes on
--- config eval
main::bot('tgbot_attempts 3 backoff=50ms max_backoff=100ms;')
--- then
enqueue(text => 'status/500');
enqueue(text => 'say/b');

asked(('status/500') x 3, 'say/b', 'api sendMessage');
depth('accepted!=2 dead=1 dead!=1 done!=1');
logged('is given up and is dead letter 1: failed', 1);



=== TEST 6: an update is not given up without dead letters
--- config eval
main::bot('tgbot_attempts 2 backoff=50ms max_backoff=100ms;
           tgbot_dead_letters off; tgbot_handler /_program/$third;')
--- then
enqueue(text => 'say/a');

asked(('status/500') x 2, 'say/a', 'api sendMessage');



=== TEST 7: an attempt without a reachable program is not counted
--- config eval
main::bot('tgbot_attempts 1; tgbot_handler /_closed;')
--- no_shutdown_error_log
[crit]
[emerg]
--- then
enqueue(text => 'say/a');

logged('the program is unavailable', 2);
depth('accepted!=1 delayed=1');



=== TEST 8: Retry-After of the program is waited for
--- config eval
main::bot('tgbot_handler /_program/$again;')
--- http_config
    map $tgbot_age $again {
        volatile;
        default header/Retry-After/2/status/503;
    }
--- no_shutdown_error_log
[crit]
[emerg]
--- then
my $start = time;
enqueue(text => 'say/a');

asked(('header/Retry-After/2/status/503') x 2);
ok(time - $start >= 1.9, $block->name . ' - after two seconds');
depth('accepted!=1 delayed=1');



=== TEST 9: a second delivery of an update that is queued, and of one that is done
--- config eval: main::bot()
--- then
my $n = ++$id;

check(end(begin(id => $n, text => 'sleep/0.5/say/x')), 'queued', '');
check(end(begin(id => $n, text => 'sleep/0.5/say/x')), 'duplicate', '');
asked('sleep/0.5/say/x', 'api sendMessage');
check(end(begin(id => $n)), 'duplicate', '');
depth('accepted!=1 done!=1');



=== TEST 10: lanes by the key of the directive
--- config eval: main::bot('tgbot_queue redis lease=3s lane=$lane;')
--- http_config
    map $tgbot_text $lane {
        volatile;
        default    all;
        ~free      "";
    }
--- then
enqueue(text => 'sleep/0.8/say/a', chat => 1);
until_asked(qr/say.a/);
enqueue(text => 'sleep/0.1/say/b', chat => 2);
enqueue(text => 'sleep/0.2/say/free', chat => 1);

asked('sleep/0.8/say/a', 'sleep/0.2/say/free', ('api sendMessage') x 2,
      'sleep/0.1/say/b', 'api sendMessage');



=== TEST 11: no more updates at once than concurrency says
--- config eval
main::bot('tgbot_queue redis lease=3s concurrency=2;')
--- then
enqueue(text => 'sleep/1.5/say/x', chat => $_) for 1 .. 4;

until_asked(qr/say/);
sleep 0.2;
depth('accepted!=4 inflight=2 waiting=2');
depth('accepted!=4 done!=4');



=== TEST 12: a call is tried again, and the program is not asked again
--- config eval
main::bot('tgbot_api /_api/$of/header/X-Method/$tgbot_method/json/%7B%7D;
           tgbot_retry attempts=5 backoff=1500ms;')
--- http_config
    map $tgbot_method $of {
        volatile;
        sendDice   keep;
        sendPhoto  status/500;
    }
--- no_shutdown_error_log
[crit]
[emerg]
--- then
enqueue(text => 'json/[{"method":"sendDice"},{"method":"sendPhoto"}]');

until_asked(qr/sendPhoto/);
depth('accepted!=1 delayed=1');
TgbotProgram::seen();
$asked = '';
until_asked(qr/sendPhoto/);
unlike($asked, qr/sendDice|json\/\[/, $block->name . ' - only this one');



=== TEST 13: updates in work are finished over a reload
--- config eval: main::bot('tgbot_queue redis lease=3s concurrency=1;')
--- then
enqueue(text => "sleep/0.3/say/$_", chat => $_) for 1 .. 6;
until_asked(qr/say/);

kill HUP => master();

depth('accepted!=6 done!=6');

my @got = grep { /say/ } map { m{^/(\S*) } } split /\n/,
          $asked . TgbotProgram::seen();
is(scalar(@got), 6, $block->name . ' - each once');



=== TEST 14: updates of a killed worker are tried again when its lease is over
--- config eval: main::bot()
--- no_error_log
[crit]
[emerg]
--- then
enqueue(text => 'sleep/1/say/a');
enqueue(text => 'say/b');
until_asked(qr/say.a/);

kill KILL => workers_of(master());

asked('sleep/1/say/a', 'sleep/1/say/a', 'api sendMessage', 'say/b',
      'api sendMessage');
depth('accepted!=2 done!=2');



=== TEST 15: two bots have lanes of their own
--- config eval: main::bot() . main::bot('', 'c')
--- then
enqueue(text => 'sleep/0.2/say/b', id => 5000);
until_asked(qr/say\/b/);
enqueue(text => 'say/c', id => 5000, bot => 'c');

asked('sleep/0.2/say/b', 'say/c', 'api sendMessage', 'api sendMessage');
depth('accepted!=1 done!=1', 'b');
depth('accepted!=1 done!=1', 'c');



=== TEST 16: the answer of the program is cached for queued updates
--- config eval
main::bot('tgbot_cache all zone=answers:1m;')
--- then
my $text = 'sleep/0.5/json/{"method":"sendMessage","text":"x"}';
enqueue(text => $text, chat => $_) for 1 .. 3;
asked($text =~ s/([{}"])/sprintf '%%%02X', ord $1/ger,
      ('api sendMessage') x 3);

enqueue(chat => 4);
asked('api sendMessage');
depth('accepted!=4 done!=4');



=== TEST 17: a dead letter is put in the queue again
--- config eval
main::bot('tgbot_attempts 1; tgbot_handler /_program/$third;')
--- then
enqueue(text => 'say/a');
depth('accepted!=1 dead=1 dead!=1');
asked('status/500');

is((get('/status/dead/b/1', ['X-Tgbot-Action: replay'], 'POST'))[0], 200,
   $block->name . ' - replayed');
depth('accepted!=1 dead=1 dead!=2 replayed!=1');
asked('status/500');



=== TEST 18: an update that is queued has the variables of one that is held
--- config eval
my @names = qw(update_id update_type chat_id chat_type user_id username
               first_name language text command args data message_id thread_id
               message_kind query_id date attempts);
my $handler = 'tgbot_handler "/_program/json/1?'
              . join('&', map { "$_=-\$tgbot_$_" } @names) . '";';

main::bot($handler) . main::bot("$handler tgbot_queue off;", 'h')
--- then
my $from = { id => 9, first_name => "A\x{431}", username => 'ann',
             language_code => 'de', is_bot => JSON::PP::false };
my $chat = { id => -1002000000001, type => 'supergroup', title => 'T' };
my %all = (message_id => 3, date => 1700000000, from => $from,
           chat => $chat);

my @updates = (
    { message => { %all, text => '/start@bot x  "y"' } },
    { message => { %all, text => "/a b\nc\x{7f}\x{e9}\x{1f600}" } },
    { message => { %all, photo => [{ file_id => 'x' }], caption => "\x{e9}",
                   is_topic_message => JSON::PP::true,
                   message_thread_id => 5 } },
    { edited_channel_post => { %all, edit_date => 1700000001, text => '' } },
    { business_message => { %all, business_connection_id => 'abc',
                            sender_chat => { id => -5, type => 'channel',
                                             username => 'chan' } } },
    { callback_query => { id => '77', from => $from, data => "a\x{0}b\\",
                          message => { message_id => 8, chat => $chat } } },
    { inline_query => { id => '78', from => $from, query => 'find me',
                        chat_type => 'sender' } },
    { poll_answer => { poll_id => '79', user => $from } },
    { chat_boost => { chat => $chat, boost => { source => { user => $from } } } },
    { "new\x{44f}type" => { chat => $chat, from => $from, text => "\x{44f}" } },
    {},
);

my @seen;

for my $bot ('h', 'b') {
    my $n = 500;

    for my $in (@updates) {
        my $answer = end(begin(bot => $bot, id => ++$n, in => $in));
        check($answer, $bot eq 'h' ? 'done' : 'queued');
        until_asked(qr/update_id=-$n&.*\n/);
        $asked =~ s/^(\S+)//m;
        push @{$seen[$bot eq 'b']}, $1;
        $asked = '';
    }
}

is($seen[1][$_], $seen[0][$_], $block->name . " - update $_")
    for 0 .. $#updates;

like($seen[1][0], qr/&user_id=-9&username=-ann&first_name=-A%D0%B1&/,
     $block->name . ' - a name');
like($seen[1][1], qr/&command=-%2Fa&args=-b%20c%20%3F%F0%9F%98%80&/,
     $block->name . ' - a text');



=== TEST 19: a reply of tgbot_reply goes by the queue
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



=== TEST 20: at its limit the queue refuses updates, and works on those it has
--- config eval
main::bot('tgbot_queue redis limit=3; tgbot_handler /_program/$tgbot_text;')
--- then
enqueue(text => 'sleep/1/say/x', chat => $_) for 1 .. 3;

my $answer = end(begin(chat => 4));
like($answer, qr/^HTTP\/1.1 503 .*^Retry-After: [1-6]\r\n/ms,
     $block->name . ' - refused');
check($answer, 'busy');
is(status()->{bots}{b}{queue_full_total}, 1, $block->name . ' - counted');
logged('has no room in Redis', 1);

depth('accepted!=3 done!=3');
enqueue(chat => 4);
depth('accepted!=4 done!=4');



=== TEST 21: an update that is larger than limit_size
--- config eval
main::bot('tgbot_queue redis limit_size=1m; client_max_body_size 4m;
           client_body_buffer_size 4m;')
--- then
check(end(begin(text => 'x' x (1024 * 1024))), 'busy');
logged('is larger than what the bot may have of Redis', 1);
enqueue();
depth('accepted!=1 done!=1');



=== TEST 22: a limit of a zone, whose token a duplicate does not keep
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=limit:1m rate=1r/m burst=2;')
--- then
my $n = ++$id;

enqueue(id => $n);
check(end(begin(id => $n)), 'duplicate', '');
enqueue();
check(end(begin()), 'limited', '');
depth('accepted!=2 done!=2');



=== TEST 23: limits in Redis: dropped with a notice, or rejected
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



=== TEST 24: Redis is away: 503, and nothing is lost when it is back
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



=== TEST 25: a client that hangs up while Redis does not answer
--- config eval: main::bot()
--- then
depth('');
redis('CLIENT', 'PAUSE', 1500, 'WRITE');

my $n = ++$id;
my $socket = begin(id => $n);
sleep 0.3;
close $socket;

check(end(begin(id => $n)), 'duplicate', '');
depth('accepted!=1 done!=1');
is(status()->{bots}{b}{deliveries_total}{aborted}, 1,
   $block->name . ' - aborted');



=== TEST 26: Redis has no memory left: what is in the queue is worked on
--- config eval: main::bot()
--- then
enqueue(text => 'sleep/0.5/say/a');
enqueue(text => 'say/b');
redis('CONFIG', 'SET', 'maxmemory', 1);

check(end(begin()), 'busy');
depth('accepted!=2 done!=2');
logged('OOM', 1);

redis('CONFIG', 'SET', 'maxmemory', 0);
enqueue();
depth('accepted!=3 done!=3');



=== TEST 27: an update whose life is over is not worked on
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



=== TEST 28: an item that another version has written is left, and dropped after a day
--- config eval: main::bot()
--- then
enqueue(text => 'sleep/1/say/x');
enqueue(text => 'say/y');
until_asked(qr/say.x/);

my ($lane) = @{redis('KEYS', '*:lane:*')};
my $item = redis('LINDEX', $lane, 1);
redis('LSET', $lane, 1, $item =~ s/^(\d+ \d+ )./$1\x63/sr);

depth('accepted!=2 delayed=1 done!=1');
logged('of another version of the module, and is left to one', 1);

my $old = ($item =~ /^\d+ (\d+) /)[0] - 86401000;
redis('LSET', $lane, 0, $item =~ s/^(\d+) \d+ ./$1 $old \x63/sr);
redis('ZADD', '{tgbot:b}:delayed', 0, ($lane =~ /(\w+)$/)[0]);

depth('accepted!=2 done!=1 dropped!=1');
logged('of another version of the module, and is dropped', 1);



=== TEST 29: the list of a lane is deleted
--- config eval: main::bot()
--- then
enqueue(text => 'sleep/1/say/x');
enqueue(text => 'say/y');
until_asked(qr/say.x/);
redis('DEL', @{redis('KEYS', '*:lane:*')});

depth('accepted!=2 dropped!=2');
enqueue(text => 'say/z');
depth('accepted!=3 done!=1 dropped!=2');



=== TEST 30: a limit in Redis is only tried
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=limit:1m rate=1r/m burst=1 redis;
           tgbot_limit_dry_run on;')
--- then
enqueue();
enqueue();
depth('accepted!=2 done!=2');
logged('is dropped by zone "limit", dry run', 1);



=== TEST 31: a replay while Redis is away
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
