# Answers from the cache: what is kept, for whom, and who waits for it.  The
# key of an update is $arg_k; for blocks with steps see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotSteps;

use IO::Select;
use Time::HiRes qw(time sleep);

TgbotSteps::start(
    request => 'GET /status',
    webhook => {
        tgbot_cache => sub {
            '$arg_k zone=answers' . ($_[0] eq 'b' ? ':1m' : '')
            . ' lock_timeout=5m';
        },
    });

# a Bot API that answers well

our $api = 'tgbot_token_file $TEST_NGINX_TOKEN_FILE;
            tgbot_api /_api/header/X-Method/$tgbot_method/json/%7B%7D;';


# steps

# delivers an update, expects it to be done, with this body

sub done {
    my ($body, %of) = @_;

    check(end(begin(%of)), 'done', $body);
}

sub said {
    my ($text, $chat) = @_;

    $chat //= 7;

    return "{\"chat_id\":$chat,\"method\":\"sendMessage\",\"text\":\"$text\"}";
}

# the same from the program itself

sub fresh { "{\"method\":\"sendMessage\",\"chat_id\":7,\"text\":\"$_[0]\"}" }

# what the cache has counted for a bot; waits for it

sub counted {
    my ($want, $bot) = @_;

    becomes($want, 'counted', sub {
        my $of = status()->{bots}{$bot // 'b'}{cache_total};

        return CORE::join ' ', map { "$_=$of->{$_}" } grep { $of->{$_} }
                               sort keys %$of;
    });
}

# until so many wait for another one

sub waiting {
    my ($n) = @_;

    becomes($n, 'waiting', sub { status()->{bots}{b}{cache_total}{wait} });
}

master_on();
workers(2);
worker_connections(1024);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: the program is asked once, the answer is given often
--- config eval: main::bot()
--- then
done(fresh('x'));
asked_any('say/x');

done(said('x'), text => 'say/y') for 1 .. 5;
asked_any();

counted('hit=5 miss=1 stored=1');

my $zone = status()->{zones}{answers};
is($zone->{kind}, 'cache', $block->name . ' - zone');
is($zone->{entries}, 1, $block->name . ' - entries');
is($zone->{used}, 1, $block->name . ' - blocks');
is($zone->{zone_evicted_total}, 0, $block->name . ' - nothing made room');



=== TEST 2: each chat gets the answer with its own chat_id
--- config eval: main::bot()
--- then
done(fresh('x'));
done(said('x', $_), chat => $_)
    for 8, -1001367429635, 9007199254740991, 7;
asked_any('say/x');



=== TEST 3: an answer without a chat_id, with one as a string, and with spaces
--- config eval: main::bot()
--- then
done('{"chat_id":7,"method":"sendDice"}', key => 1,
     text => 'json/{"method":"sendDice"}');
done('{"chat_id":8,"method":"sendDice"}', key => 1, chat => 8);

done('{"method":"sendDice","chat_id":"7"}', key => 2,
     text => 'json/{"method":"sendDice","chat_id":"7"}');
done('{"chat_id":8,"method":"sendDice"}', key => 2, chat => 8);

done('{ "chat_id" : 7 , "method" : "sendDice" }', key => 3,
     text => 'json/{ "chat_id" : 7 , "method" : "sendDice" }');
done('{"chat_id":8,"method" : "sendDice" }', key => 3, chat => 8);

counted('hit=3 miss=3 stored=3');



=== TEST 4: the buttons of a message are kept
--- config eval: main::bot()
--- then
sub press {
    my ($query, $chat) = @_;

    return { callback_query => {
        id => $query, data => 'buy',
        from => { id => 9, first_name => 'Ann' },
        message => { message_id => 3, date => 1700000000,
                     chat => { id => $chat, type => 'private' } } } };
}

my $answer = '{"method":"answerCallbackQuery","text":"ok"}';

done(qr/"text":"ok"/, text => "json/$answer");
done('{"callback_query_id":"41",' . substr($answer, 1),
     in => press('41', 7));
done('{"callback_query_id":"42",' . substr($answer, 1),
     in => press('42', 8));

counted('hit=2 miss=1 stored=1');



=== TEST 5: the id of a query that was answered is not given to another
--- config eval
my $json = '{"method":"answerCallbackQuery","callback_query_id":"41"}';
main::bot("tgbot_handler '/_program/json/$json';")
--- then
sub query {
    return { callback_query => {
        id => $_[0], data => 'buy', from => { id => 9, first_name => 'Ann' },
        inline_message_id => 'AB', chat_instance => '5' } };
}

done('{"method":"answerCallbackQuery","callback_query_id":"41"}',
     in => query(41));
done('{"callback_query_id":"42","method":"answerCallbackQuery"}',
     in => query(42));

counted('hit=1 miss=1 stored=1');



=== TEST 6: two bots with one zone and one key have answers of their own
--- config eval
main::bot() . main::bot('', 'c') . main::bot('', 'bk')
--- then
done(fresh('b'), text => 'say/b');
done(fresh('c'), text => 'say/c', bot => 'c');
done(fresh('bk'), text => 'say/bk', bot => 'bk');
asked_any('say/b', 'say/c', 'say/bk');

for (1 .. 2) {
    done(said('b'), text => 'say/no');
    done(said('c'), text => 'say/no', bot => 'c');
    done(said('bk'), text => 'say/no', bot => 'bk');
}

asked_any();
counted('hit=2 miss=1 stored=1', $_) for qw(b c bk);



=== TEST 7: without a key there is no cache
--- config eval: main::bot()
--- then
done(fresh($_), text => "say/$_", key => '') for 1 .. 3;
asked_any('say/1', 'say/2', 'say/3');
counted('bypass=3');
is(status()->{zones}{answers}{entries}, 0, $block->name . ' - entries');



=== TEST 8: keys of any length are told apart to the last byte
--- config eval: main::bot()
--- then
my $long = 'x' x 3000;

done(fresh('a'), text => 'say/a', key => $long . 'a');
done(fresh('b'), text => 'say/b', key => $long . 'b');
done(fresh('c'), text => 'say/c', key => $long);
done(said('a'), key => $long . 'a');
done(said('b'), key => $long . 'b');
done(said('c'), key => $long);
counted('hit=3 miss=3 stored=3');



=== TEST 9: a key of variables of the update
--- http_config
    map $tgbot_command $cached {
        default  "";
        /menu    "menu $tgbot_language";
    }
--- config eval
main::bot('tgbot_cache   $cached zone=answers:1m;
           tgbot_handler /_program/say/$tgbot_update_id;')
--- then
sub said_by {
    my ($text, $language) = @_;

    return { message => {
        message_id => 2, date => 1700000000, text => $text,
        entities => [ { type => 'bot_command', offset => 0, length => 5 } ],
        chat => { id => 7, type => 'private' },
        from => { id => 9, first_name => 'Ann',
                  language_code => $language } } };
}

done(fresh(1001), in => said_by('/menu', 'en'));
done(fresh(1002), in => said_by('/menu', 'de'));
done(said(1001), in => said_by('/menu', 'en'));
done(said(1002), in => said_by('/menu', 'de'));
done(fresh(1005), in => said_by('/cart', 'en'));
done(fresh(1006), in => said_by('/cart', 'en'));
counted('bypass=2 hit=2 miss=2 stored=2');



=== TEST 10: an answer that the program asks not to keep
--- config eval: main::bot()
--- then
my @values = ('no-store', 'No-Store', 'private', 'no-cache', 'max-age=0',
              'max-age=60, no-store');

for my $i (0 .. $#values) {
    my $value = $values[$i] =~ s/ /%20/gr;

    done(fresh('a'), key => $i,
         text => "header/Cache-Control/$value/say/a");
    done(fresh('b'), key => $i, text => 'say/b');
    done(fresh('c'), key => $i, text => 'say/c');
}

counted('bypass=12 miss=6 uncacheable=6');



=== TEST 11: the directive says how long an answer is kept
--- config eval: main::bot('tgbot_cache $arg_k zone=answers:1m valid=2s;')
--- then
done(fresh('a'), text => 'say/a');
done(said('a'), text => 'say/b');
sleep 2.1;
done(fresh('c'), text => 'say/c');
done(said('c'), text => 'say/d');
counted('hit=2 miss=2 stored=2');



=== TEST 12: the program says how long an answer is kept
--- config eval: main::bot('tgbot_cache $arg_k zone=answers:1m valid=2s;')
--- then
done(fresh('a'), key => 1,
     text => 'header/Cache-Control/max-age=3600/say/a');
sleep 2.1;
done(said('a'), key => 1, text => 'say/b');

done(fresh('a'), key => 2,
     text => 'header/Cache-Control/public,max-age=3/say/a');
done(said('a'), key => 2, text => 'say/b');
sleep 3.2;
done(fresh('c'), key => 2, text => 'say/c');

counted('hit=2 miss=3 stored=3');



=== TEST 13: answers of failures are not kept
--- config eval
main::bot('tgbot_handler /_program/$tgbot_text; tgbot_hold_timeout 5s;')
--- then
my $n = 0;

for my $text (qw(status/500 status/404 status/503 status/429 status/301 close
                 reset garbage length/5000/say/a big/2000000))
{
    $n++;

    my $answer = end(begin(text => $text, key => $n));
    like($answer, qr/^HTTP\/1.1 50[03] /, $block->name . " - $text");

    done(fresh('b'), text => 'say/b', key => $n);
    done(said('b'), text => 'say/c', key => $n);
}

counted("hit=$n miss=" . 2 * $n . " stored=$n");



=== TEST 14: answers for one user, and answers without calls, are not kept
--- config eval: main::bot()
--- then
my $n = 0;

for my $text (
    'json/{"method":"sendMessage","chat_id":8,"text":"a"}',
    'json/{"method":"sendMessage","chat_id":"@shop","text":"a"}',
    'json/{"method":"sendMessage","text":"a","message_thread_id":4}',
    'json/{"method":"sendMessage","text":"a","reply_parameters":{}}',
    'json/{"method":"sendMessage","text":"[a](tg:user?id=5)"}',
    'json/{"method":"deleteMessage","message_id":2}',
    'json/{"method":"leaveChat"}',
    'json/{"method":"sendGift","gift_id":"5"}',
    'json/[{"method":"sendDice"},{"method":"sendDice","chat_id":8}]',
    'json/[{"method":"sendDice"},{"method":"setWebhook"}]',
    'json/[{"method":"sendDice"},5]',
    'json/{}', 'json/[]', 'json/', 'json/null', 'json/{')
{
    $n++;

    check(end(begin(text => $text, key => $n)), 'done');
    done(fresh('b'), text => 'say/b', key => $n);
    done(fresh('c'), text => 'say/c', key => $n);
}

counted('bypass=' . 2 * $n . " miss=$n uncacheable=$n");



=== TEST 15: answers of other content types
--- config eval
my $program = 'proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT';
my $type = "$program/header/Content-Type";
my $dice = '%7B%22method%22:%22sendDice%22%7D';
my $part = '--b%0D%0AContent-Disposition:form-data%3Bname=method%0D%0A%0D%0A'
           . 'sendDice%0D%0A--b--';

main::bot('tgbot_handler /_$tgbot_text;') . <<"_EOC_"
    location = /_plain {
        internal;
        $type/text%2Fplain/json/$dice;
    }

    location = /_urlencoded {
        internal;
        $type/application%2Fx-www-form-urlencoded/json/method=sendDice;
    }

    location = /_multipart {
        internal;
        $type/multipart%2Fform-data%3Bboundary=b/json/$part;
    }

    location = /_json {
        internal;
        $type/application%2Fjson%3Bcharset=utf-8/json/$dice;
    }
_EOC_
--- then
my %forms = (urlencoded => qr/^method=sendDice$/,
             multipart => qr/form-data;name=method\r\n\r\nsendDice\r\n--b--$/);

for my $form (sort keys %forms) {
    done($forms{$form}, text => $form, key => $form) for 1 .. 3;
}

done('', text => 'plain', key => 'plain') for 1 .. 3;
done('{"chat_id":7,"method":"sendDice"}', text => 'json', key => 'json')
    for 1 .. 3;

counted('bypass=6 hit=2 miss=4 stored=1 uncacheable=3');



=== TEST 16: the program is asked again, after a while, for what could not be kept
--- config eval: main::bot('tgbot_cache $arg_k zone=answers:1m valid=2s;')
--- then
done('', text => 'json/{}');
done(fresh('b'), text => 'say/b');
sleep 2.1;
done(fresh('c'), text => 'say/c');
done(said('c'), text => 'say/d');
counted('bypass=1 hit=1 miss=2 stored=1 uncacheable=1');



=== TEST 17: the largest answer, and the smallest zone
--- config eval
main::bot('tgbot_response_size 256k; tgbot_cache $arg_k zone=big:1m;')
. main::bot('tgbot_cache $arg_k zone=small:36k;', 'c')
--- then
sub of {
    my ($n) = @_;

    my $empty = length '{"method":"sendMessage","text":""}';

    return '{"method":"sendMessage","text":"' . 'y' x ($n - $empty) . '"}';
}

# on its way to the program it is the text of a message

my $big = 'y' x 32000;
my $text = '{"method":"sendMessage","text":"' . $big . '"}';

done(qr/$big/, text => "json/$text", key => 1);
done(qr/$big/, key => 1);
counted('hit=1 miss=1 stored=1');

is(status()->{zones}{small}{total} >= 16, 1, $block->name . ' - blocks');

my $quarter = int(status()->{zones}{small}{total} / 4);
my $fits = 432 + ($quarter - 1) * 504;

for my $n ($fits, $fits + 1) {
    my $body = '{"chat_id":7,' . substr of($n), 1;

    done($body, bot => 'c', text => 'json/' . of($n), key => $n);
    done($n > $fits ? fresh('b') : $body, bot => 'c', text => 'say/b',
         key => $n);
}

counted('bypass=1 hit=1 miss=2 stored=1 uncacheable=1', 'c');



=== TEST 18: answers are evicted when there are more keys than room
--- config eval
main::bot('tgbot_cache $arg_k zone=small:36k;')
--- then
my $total = status()->{zones}{small}{total};

for my $key (1 .. $total + 5) {
    done(fresh("a$key"), text => "say/a$key", key => $key);
    done(said('a1'), key => 1);
}

is(status()->{zones}{small}{entries}, $total, $block->name . ' - entries');
is(status()->{zones}{small}{zone_evicted_total}, 5,
   $block->name . ' - evicted');

done(said('a1'), key => 1);
done(said("a$_"), key => $_) for $total + 5, 7;
done(fresh('b2'), key => 2, text => 'say/b2');



=== TEST 19: with a Bot API an answer of the cache rides, if it is one call
--- config eval: main::bot($main::api)
--- then
done('', text => 'say/x', key => 1);
asked_any('say/x', 'api sendMessage');

done(said('x', 8), key => 1, chat => 8);
asked_any();

my $two = 'json/[{"method":"sendDice"},{"method":"sendPhoto","photo":"a"}]';

done('', text => $two, key => 2);
asked_any('json/[%7B%22method%22:%22sendDice%22%7D,%7B%22method%22:'
      . '%22sendPhoto%22,%22photo%22:%22a%22%7D]',
      'api sendDice', 'api sendPhoto');

done('', key => 2, chat => 8);
asked_any('api sendDice', 'api sendPhoto');

counted('hit=2 miss=2 stored=2');



=== TEST 20: an answer of the cache goes as tgbot_reply_via says
--- config eval
main::bot("$main::api tgbot_reply_via api;")
. main::bot($main::api =~ s/token_file .*;/token 2:TOKEN;/r
            . 'tgbot_reply_via response;', 'c')
--- then
done('', text => 'say/x');
done('', chat => 8);
asked_any('say/x', 'api sendMessage', 'api sendMessage');

my $two = 'json/[{"method":"sendDice"},{"method":"sendPhoto","photo":"a"}]';

done('', text => $two, bot => 'c');
done('', chat => 8, bot => 'c');
done(fresh('y'), text => 'say/y', key => 'one', bot => 'c');
done(said('y', 8), key => 'one', chat => 8, bot => 'c');

asked_any('json/[%7B%22method%22:%22sendDice%22%7D,%7B%22method%22:'
      . '%22sendPhoto%22,%22photo%22:%22a%22%7D]',
      'api sendDice', 'api sendPhoto', 'api sendDice', 'api sendPhoto',
      'say/y');



=== TEST 21: a hundred updates at once ask the program once
--- config eval: main::bot()
--- then
my $text = 'wait/all/json/{"method":"sendMessage","text":"x"}';
my @workers = workers_of();
my @idle = map { sockets_of($_) } @workers;
my (@others, %workers, %got);

# and more of them, if a worker has had none

do {
    push @others, begin(text => $text, chat => @others + 1);
} while (@others < 100
         || @others < 500 && grep { sockets_of($workers[$_]) <= $idle[$_] }
                             0 .. $#workers);

waiting(@others - 1);
TgbotProgram::go('all');

for (@others) {
    my $answer = end($_);

    check($answer, 'done');
    $workers{$1} = 1 if $answer =~ /^X-Worker: (\d+)/m;
    $got{$1}++ if $answer =~ /"chat_id":(\d+)/;
}

is(scalar keys %workers, 2, $block->name . ' - by two workers');

is(CORE::join(' ', map { $got{$_} // 0 } 1 .. @others),
   CORE::join(' ', (1) x @others), $block->name . ' - each to its own chat');
asked_any('wait/all/json/%7B%22method%22:%22sendMessage%22,%22text%22:%22x%22%7D');

my $n = @others - 1;
counted("hit=$n miss=1 stored=1 wait=$n");



=== TEST 22: updates that wait are answered when the answer is there
--- config eval: main::bot()
--- then
my $first = held(text => 'wait/first/say/x');
my @waiting = map { begin(chat => $_, text => 'say/y') } 1 .. 10;
waiting(10);
TgbotProgram::go('first');
check(end($first), 'done', fresh('x'));

# no lock_timeout ends their wait
check(end($waiting[$_ - 1]), 'done', said('x', $_)) for 1 .. 10;
asked_any('wait/first/say/x');
counted('hit=10 miss=1 stored=1 wait=10');



=== TEST 23: other keys and other bots do not wait
--- config eval: main::bot() . main::bot('', 'c')
--- then
my $first = held(text => 'wait/first/say/x');

done(fresh('a'), text => 'say/a', key => 'other');
done(fresh('b'), text => 'say/b', bot => 'c');
done(fresh('c'), text => 'say/c', key => '');

ok(!IO::Select->new($first)->can_read(0), $block->name . ' - still in work');
TgbotProgram::go('first');
check(end($first), 'done', fresh('x'));
counted('bypass=1 miss=2 stored=2');



=== TEST 24: an update that has waited too long asks the program
--- config eval
main::bot('tgbot_cache $arg_k zone=answers:1m lock_timeout=500ms;')
--- then
my $first = held(text => 'wait/first/say/x');
my $start = time;

done(fresh('a'), text => 'say/a');
cmp_ok(time - $start, '>=', 0.4, $block->name . ' - it has waited');
done(fresh('b'), text => 'say/b');

ok(!IO::Select->new($first)->can_read(0), $block->name . ' - still in work');
TgbotProgram::go('first');
check(end($first), 'done', fresh('x'));
done(said('x'), text => 'say/c');
asked_any('wait/first/say/x', 'say/a', 'say/b');
counted('hit=1 miss=1 stored=1 timeout=2 wait=2');



=== TEST 25: the next update asks when the program fails
--- config eval: main::bot()
--- then
my $first = held(text => 'wait/first/status/500');
my @waiting = map { begin(text => 'say/y') } 1 .. 10;
waiting(10);
TgbotProgram::go('first');
check(end($first), 'failed', '');

my @answers = map { end($_) } @waiting;
my $fresh = quotemeta fresh('y');

check($_, 'done', qr/"text":"y"/) for @answers;
is(scalar(grep { /$fresh\z/ } @answers), 1, $block->name . ' - once');

asked_any('wait/first/status/500', 'say/y');
counted('hit=9 miss=2 stored=1 wait=10');



=== TEST 26: no update waits for a program that is unavailable
--- config eval: main::bot('tgbot_handler /_closed;')
--- then
my $start = time;

check($_, 'busy', '') for map { end($_) } map { begin() } 1 .. 10;

cmp_ok(time - $start, '<', 30 * $slowness, $block->name . ' - no timeout');

is(status()->{zones}{answers}{entries}, 0, $block->name . ' - entries');



=== TEST 27: updates that wait ask for themselves when the answer is not kept
--- config eval: main::bot()
--- then
my $first = held(text => 'wait/first/json/{"method":"sendDice","chat_id":8}');
my @waiting = map { begin(text => "wait/others/say/a$_") } 1 .. 10;
waiting(10);
TgbotProgram::go('first');
check(end($first), 'done', '{"method":"sendDice","chat_id":8}');

# not one after the other
until_asked(qr{^/wait/others/say/a$_ }m) for 1 .. 10;
TgbotProgram::go('others');
check(end($waiting[$_ - 1]), 'done', fresh("a$_")) for 1 .. 10;
counted('bypass=10 miss=1 uncacheable=1 wait=10');



=== TEST 28: an update that waits, and its client hangs up
--- config eval: main::bot()
--- then
my $first = held(text => 'wait/first/say/x');
my @waiting = map { begin(text => 'say/y', id => 2000 + $_) } 1 .. 10;
waiting(10);

close $waiting[$_] for 0 .. 4;
logged('verdict aborted', 5);
TgbotProgram::go('first');
check(end($first), 'done', fresh('x'));
check(end($_), 'done', said('x')) for @waiting[5 .. 9];

# Telegram has not seen an answer, and comes again

done(said('x'), id => 2001);
check(end(begin(id => 2010)), 'duplicate', said('x'));

asked_any('wait/first/say/x');
counted('hit=6 miss=1 stored=1 wait=10');

my $status = status()->{bots}{b};
is($status->{held}, 0, $block->name . ' - nobody is held');
is($status->{dedup}{leased}, 0, $block->name . ' - nothing is claimed');



=== TEST 29: an update that asks, and its client hangs up
--- config eval: main::bot()
--- then
my $first = held(text => 'wait/first/say/x', id => 2000);
my @waiting = map { begin(text => 'say/y') } 1 .. 5;
waiting(5);

close $first;
logged('verdict aborted', 1);
TgbotProgram::go('first');
check(end($_), 'done', said('x')) for @waiting;
asked_any('wait/first/say/x');
counted('hit=5 miss=1 stored=1 wait=5');



=== TEST 30: tgbot_hold_timeout ends the wait of an update
--- config eval
main::bot('tgbot_hold_timeout 1s;
           tgbot_cache $arg_k zone=answers:1m lock_timeout=30s;')
--- then
my $first = held(text => 'wait/late/say/x');
my $second = begin(id => 2000);

my $answer = end($second);
check($answer, 'busy', '');
like($answer, qr/^HTTP\/1.1 503 .*^Retry-After: [1-9]/ms,
     $block->name . ' - comes again');

check(end($first), 'busy', '');
TgbotProgram::go('late');
becomes(1, 'stored', sub { status()->{bots}{b}{cache_total}{stored} });
done(said('x'), id => 2000);
asked_any('wait/late/say/x');



=== TEST 31: the answer to a duplicate is that of the first delivery
--- config eval: main::bot('tgbot_cache $arg_k zone=answers:1m valid=3s;')
--- then
done(fresh('a'), text => 'say/a', id => 2000);
done(said('a', 8), text => 'say/b', id => 2001, chat => 8);

for (1 .. 2) {
    check(end(begin(text => 'say/c', id => 2000)), 'duplicate', fresh('a'));
    check(end(begin(text => 'say/c', id => 2001, chat => 8)), 'duplicate',
          said('a', 8));

    # also when it is not in the cache any more
    sleep 3.2 if $_ == 1;
}

asked_any('say/a');
counted('hit=1 miss=1 stored=1');



=== TEST 32: a call that went by the Bot API does not ride with a duplicate
--- config eval: main::bot($main::api)
--- then
done('', text => 'say/a', id => 2000);
asked_any('say/a', 'api sendMessage');

done(said('a', 8), id => 2001, chat => 8);

check(end(begin(text => 'say/a', id => 2000)), 'duplicate', '');
check(end(begin(id => 2001, chat => 8)), 'duplicate', said('a', 8));
asked_any();



=== TEST 33: a call that rides is kept for a duplicate, or goes by the Bot API
--- config eval: main::bot($main::api)
--- then
for my $size (3000, 5000) {
    my $text = 'a' x $size;

    done('', text => "say/$text", key => $size);
    asked_any("say/$text", 'api sendMessage');

    my $answer = $size < 4096 ? said($text, 8) : '';

    done($answer, id => $size, key => $size, chat => 8);
    asked_any($answer eq '' ? 'api sendMessage' : ());

    check(end(begin(id => $size, key => $size, chat => 8)), 'duplicate',
          $answer);
    asked_any();
}



=== TEST 34: a duplicate neither fills the cache nor waits for it
--- config eval
main::bot('tgbot_cache $arg_k zone=answers:1m valid=1s;')
--- then
done('', text => 'json/{}', id => 2000);
sleep 1.2;

my $first = held(text => 'wait/first/say/x');
check(end(begin(id => 2000)), 'duplicate', '');
ok(!IO::Select->new($first)->can_read(0), $block->name . ' - at once');
TgbotProgram::go('first');
check(end($first), 'done', fresh('x'));
counted('miss=2 stored=1 uncacheable=1');



=== TEST 35: a cache without de-duplication
--- config eval: main::bot('tgbot_dedup off;')
--- then
done(fresh('a'), text => 'say/a', id => 2000);
done(said('a'), text => 'say/b', id => 2000) for 1 .. 3;
asked_any('say/a');



=== TEST 36: tgbot_reply and limits come before the cache
--- config eval
main::bot('tgbot_reply $arg_r; tgbot_limit $arg_l zone=limit:1m rate=1r/m
                                           burst=2;')
--- then
done(qr/"text":"hi"/, key => 'k&r=hi');
counted('');

done(fresh('a'), text => 'say/a', key => 'k&l=1');
done(said('a'), key => 'k&l=1');
check(end(begin(key => 'k&l=1')), 'limited', '');
counted('hit=1 miss=1 stored=1');



=== TEST 37: a cache is inherited, cancelled, replaced
--- http_config
    tgbot_cache $arg_k zone=outer:1m valid=1h;
--- config eval
main::bot('tgbot_handler /_program/$tgbot_text; # tgbot_cache', 'b')
. main::bot('tgbot_cache off;', 'c')
. main::bot('tgbot_cache $arg_other zone=inner:1m;', 'd')
. main::bot('tgbot_cache $arg_k zone=outer valid=3s;', 'e')
--- then
for my $bot (qw(b e)) {
    done(fresh('a'), text => 'say/a', bot => $bot);
    done(said('a'), text => 'say/b', bot => $bot);
}

for my $bot (qw(c d)) {
    done(fresh($_), text => "say/$_", bot => $bot) for 1 .. 2;
}

done(fresh('a'), text => 'say/a', bot => 'd', key => '1&other=x');
done(said('a'), text => 'say/b', bot => 'd', key => '2&other=x');

sleep 3.2;
done(said('a'), text => 'say/b');
done(fresh('b'), text => 'say/b', bot => 'e');

counted('hit=2 miss=1 stored=1');
counted('', 'c');
counted('bypass=2 hit=1 miss=1 stored=1', 'd');
counted('hit=1 miss=2 stored=2', 'e');

is(status()->{zones}{outer}{entries}, 2, $block->name . ' - outer');
is(status()->{zones}{inner}{entries}, 1, $block->name . ' - inner');



=== TEST 38: answers are kept over a reload
--- config eval: main::bot()
--- then
done(fresh('a'), text => 'say/a');

my $first = held(text => 'wait/first/say/x', key => 2);

reload();

done(said('a'), text => 'say/b');

# asked for by a worker of before
my $second = begin(key => 2, text => 'say/y');
waiting(1);
TgbotProgram::go('first');
check(end($second), 'done', said('x'));
check(end($first), 'done', fresh('x'));
asked_any('say/a', 'wait/first/say/x');



=== TEST 39: the next update asks when the worker that asks is killed
--- config eval: main::bot()
--- no_error_log
[crit]
[emerg]
--- then
done(fresh('a'), text => 'say/a', key => 1);

my $first = held(text => 'wait/killed/say/x', key => 2);

kill_workers();
is(end($first), '', $block->name . ' - no answer');
TgbotProgram::go('killed');

done(said('a'), text => 'say/b', key => 1);
done(fresh('y'), text => 'say/y', key => 2);
done(said('y'), text => 'say/z', key => 2);

is(status()->{zones}{answers}{zone_repaired_total}, 0,
   $block->name . ' - repaired');



=== TEST 40: an answer that was sent late does not ride with a duplicate
--- config eval
main::bot($main::api . 'tgbot_reply_via response; tgbot_hold_timeout 1s;')
--- then
my $n = ++$id;
my $text = 'wait/late/say/x';

check(end(begin(id => $n, text => $text, key => 'a')), 'busy');
TgbotProgram::go('late');
asked_any($text, 'api sendMessage');

my $answer;

# the answer of the Bot API comes after what it was asked

becomes('duplicate', 'verdict', sub {
    $answer = end(begin(id => $n, text => $text, key => 'a'));
    return ($answer =~ /^X-Verdict: (\w+)/m)[0];
});
check($answer, 'duplicate', '');
