# The queue: acknowledged first, in work later, in order.  For blocks with steps
# see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotQueue;
use TgbotSteps;

use JSON::PP;
use Time::HiRes qw(time sleep);

TgbotSteps::start(
    request => 'GET /status',
    status  => 'payload=on write=on',

    # what is left would be worked on for ever
    main    => "worker_shutdown_timeout ${slowness}s;",

    http    => <<"_EOC_",
    tgbot_secret_token  off;

$third
_EOC_
    webhook => {
        tgbot_token    => sub { $_[0] eq 'b' ? '1:TOKEN' : '2:TOKEN' },
        tgbot_api      => '/_api/header/X-Method/$tgbot_method/json/%7B%7D',
        tgbot_attempts => '10 backoff=100ms max_backoff=200ms',
        tgbot_queue    => sub { 'zone=updates' . ($_[0] eq 'b' ? ':4m' : '') },
    });

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
enqueue(text => 'wait/acknowledged/say/x');
depth('accepted!=1 inflight=1');
TgbotProgram::go('acknowledged');

asked('wait/acknowledged/say/x', 'api sendMessage');
depth('accepted!=1 done!=1');



=== TEST 2: updates of a chat are in work one after the other, those of other chats beside them
--- config eval: main::bot()
--- then
enqueue(text => 'wait/first/say/1');
enqueue(text => "say/$_") for 2 .. 5;
until_asked(qr/say.1/);
enqueue(text => 'say/other', chat => 8);
until_asked(qr/say.other.*sendMessage/s);
TgbotProgram::go('first');

asked('wait/first/say/1', 'say/other', 'api sendMessage', 'api sendMessage',
      map { ("say/$_", 'api sendMessage') } 2 .. 5);



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

logged('the program is unavailable', '2+');
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



=== TEST 10: tgbot_reply rides if nothing is queued before it
--- config eval
main::bot('tgbot_reply $hello;')
--- http_config
    map $tgbot_text $hello {
        volatile;
        /hi  hello;
    }
--- then
check(end(begin(text => '/hi')), 'done', qr/"text":"hello"/);
asked();

enqueue(text => 'wait/hi/say/x');
enqueue(text => '/hi');
check(end(begin(text => '/hi', chat => 8)), 'done', qr/"text":"hello"/);
TgbotProgram::go('hi');

asked('wait/hi/say/x', 'api sendMessage', 'api sendMessage');
depth('accepted!=2 done!=2');



=== TEST 11: lanes by the key of the directive
--- config eval: main::bot('tgbot_queue zone=updates:4m lane=$lane;')
--- http_config
    map $tgbot_text $lane {
        volatile;
        default    all;
        ~free      "";
    }
--- then
enqueue(text => 'wait/lane/say/a', chat => 1);
until_asked(qr/say.a/);
enqueue(text => 'say/b', chat => 2);
enqueue(text => 'say/free', chat => 1);
until_asked(qr/say.free.*sendMessage/s);
TgbotProgram::go('lane');

asked('wait/lane/say/a', 'say/free', ('api sendMessage') x 2, 'say/b',
      'api sendMessage');



=== TEST 12: no more updates at once than concurrency says
--- config eval
main::bot('tgbot_queue zone=updates:4m concurrency=2;')
--- then
enqueue(text => 'wait/all/say/x', chat => $_) for 1 .. 4;

until_asked(qr/say/);
sleep 0.2;
depth('accepted!=4 inflight=2 waiting=2');
TgbotProgram::go('all');
depth('accepted!=4 done!=4');



=== TEST 13: a call is tried again, and the program is not asked again
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



=== TEST 14: updates in work are finished over a reload
--- main_config
worker_shutdown_timeout 30s;
--- config eval: main::bot('tgbot_queue zone=updates:4m concurrency=1;')
--- then
enqueue(text => "wait/reload/say/$_", chat => $_) for 1 .. 6;
until_asked(qr/say/);

reload();
TgbotProgram::go('reload');

depth('accepted!=6 done!=6');

my @got = grep { /say/ } map { m{^/(\S*) } } split /\n/,
          $asked . TgbotProgram::seen();
is(scalar(@got), 6, $block->name . ' - each once');



=== TEST 15: updates of a killed worker are tried again
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



=== TEST 16: a queue is emptied before nginx quits
--- main_config
# no worker_shutdown_timeout: all of it is worked on, however long that takes
--- config eval: main::bot('tgbot_queue zone=updates:4m concurrency=1;')
--- then
enqueue(text => "sleep/0.2/say/$_", chat => $_) for 1 .. 4;
until_asked(qr/say/);

my @workers = workers_of(master());
kill QUIT => $_ for @workers;
depth('accepted!=4 done!=4');



=== TEST 17: a full zone: 503, and counted
--- config eval
main::bot('tgbot_queue zone=updates:1200k; tgbot_handler /_closed;')
--- no_shutdown_error_log
[crit]
[emerg]
--- then
my $text = 'x' x 60000;
my $n = 0;
my $answer;

do {
    $answer = end(begin(text => $text, chat => ++$n));
} while ($answer =~ /^HTTP\/1.1 200 / && $n < 100);

like($answer, qr/^HTTP\/1.1 503 .*^Retry-After: [1-9]\d?\r\n/ms,
     $block->name . ' - refused');
check($answer, 'busy');
ok($n > 5, $block->name . " - $n");
is(status()->{bots}{b}{queue_full_total}, 1, $block->name . ' - counted');
logged('has no room in zone "updates"', 1);



=== TEST 18: two bots in one zone have lanes of their own
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



=== TEST 19: the answer of the program is cached for queued updates
--- config eval
main::bot('tgbot_cache all zone=answers:1m;')
--- then
my $text = 'wait/all/json/{"method":"sendMessage","text":"x"}';
enqueue(text => $text, chat => $_) for 1 .. 3;
TgbotProgram::go('all');
asked($text =~ s/([{}"])/sprintf '%%%02X', ord $1/ger,
      ('api sendMessage') x 3);

check(end(begin(chat => 4)), 'done',
      qr/"chat_id":4,"method":"sendMessage","text":"x"/);
depth('accepted!=3 done!=3');



=== TEST 20: a dead letter is put in the queue again
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



=== TEST 21: a second delivery of an update that tgbot_reply answers
--- config eval
main::bot('tgbot_reply $hello;')
--- http_config
    map $tgbot_text $hello {
        volatile;
        /hi  hello;
    }
--- then
my $n = ++$id;

# what rode rides again
check(end(begin(id => $n, text => '/hi')), 'done', qr/"text":"hello"/);
check(end(begin(id => $n, text => '/hi')), 'duplicate', qr/"text":"hello"/);

# what went into the queue does not
enqueue(text => 'wait/hi/say/x');
$n = ++$id;
check(end(begin(id => $n, text => '/hi')), 'queued', '');
check(end(begin(id => $n, text => '/hi')), 'duplicate', '');
TgbotProgram::go('hi');

asked('wait/hi/say/x', 'api sendMessage', 'api sendMessage');
depth('accepted!=2 done!=2');
check(end(begin(id => $n, text => '/hi')), 'duplicate', '');




=== TEST 22: an update that is queued has the variables of one that is held
--- config eval
my @names = qw(update_id update_type chat_id chat_type user_id username
               first_name language text command args data message_id thread_id
               message_kind query_id date attempts);
my $handler = 'tgbot_handler "/_program/json/1?'
              . CORE::join('&', map { "$_=-\$tgbot_$_" } @names) . '";';

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



=== TEST 23: at the level debug the log tells each state of an update
--- log_level: debug
--- config eval: main::bot('tgbot_handler /_program/$third;')
--- then
enqueue(text => 'say/x');
asked(('status/500') x 2, 'say/x', 'api sendMessage');
depth('accepted!=1 done!=1');

SKIP: {
    skip 'this nginx has no debug log', 1
        if `$ENV{TEST_NGINX_BINARY} -V 2>&1` !~ /--with-debug/;

    open my $log, '<', $Test::Nginx::Util::ErrLogFile or die $!;

    my @told = map { /tgbot bot "b", update \d+: (.*)/ } <$log>;
    s/(?<=lane )[0-9a-f]+|(?<=for )\d+(?= ms)/N/ for @told;

    my @failed = ('item is taken', 'job runs',
                  'program answered 500, "failed"', 'job ends, "failed"',
                  'item is given back for N ms');

    is_deeply(\@told, [
        'claim 0, attempt 1', 'put in lane N', 'delivery is settled, "queued"',
        @failed, @failed,
        'item is taken', 'job runs', 'program answered 200, "done"',
        'sendMessage was answered 200', 'job ends, "done"',
        'item is settled, "done"' ], $block->name . ' - states');
}
