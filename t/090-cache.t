# Answers from the cache: what is kept, for whom, and who waits for it.
#
#   --- then      steps that follow the request (GET /status), in Perl

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotProgram;

use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Time::HiRes qw(time sleep);

our ($block, $id);

my $asked;
my $slowness = $ENV{TEST_NGINX_USE_VALGRIND} ? 4 : 1;

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value("init", "TgbotProgram::forget();");

    for (qw(no_error_log no_shutdown_error_log)) {
        $block->set_value($_, "[alert]\n[crit]\n[emerg]")
            unless defined $block->$_;
    }

    $block->set_value("request", "GET /status");

    $block->set_value("http_config", ($block->http_config // '') . <<"_EOC_");
    tgbot_secret_token  off;

    log_format verdict "verdict \$tgbot_verdict \$status";
_EOC_

    $block->set_value("config", $block->config . <<"_EOC_");
    location /_program/ {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/;
        proxy_read_timeout 20s;
    }

    location /_api/ {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/;
    }

    location = /_closed {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_RAND_PORT_1/;
    }

    location = /status {
        tgbot_status;
    }
_EOC_
});

TgbotProgram::start($Test::Nginx::Util::PidFile, $slowness);

Test::Nginx::Socket::add_response_body_check(sub {
    my ($of, $body, $index, $repeated, $dry_run) = @_;

    return if $dry_run;

    ($block, $id, $asked) = ($of, 1000, '');

    eval "package main; " . $of->then . "; 1"
        or fail($of->name . " - steps: $@");
});


# a webhook /NAME, whose program does what the text of a message says; the key
# of an update is $arg_k

sub bot {
    my ($directives, $name) = @_;

    $name //= 'b';
    $directives //= '';

    my $handler = $directives =~ /tgbot_handler/
                  ? '' : 'tgbot_handler /_program/$tgbot_text;';
    my $cache = $directives =~ /tgbot_cache/
                ? '' : 'tgbot_cache $arg_k zone=answers'
                       . ($name eq 'b' ? ':1m' : '')
                       . ' lock_timeout=' . 5 * $slowness . 's;';

    return <<"_EOC_";
    location = /$name {
        tgbot_webhook  $name;
        $handler
        $cache
        $directives

        add_header  X-Verdict  \$tgbot_verdict  always;
        add_header  X-Worker   \$pid            always;
        access_log  logs/error.log  verdict;
    }
_EOC_
}

# a Bot API that answers well

our $api = 'tgbot_token_file $TEST_NGINX_TOKEN_FILE;
            tgbot_api /_api/header/X-Method/$tgbot_method/json/%7B%7D;';


# steps

# an update with an id of its own: "key", "text", "chat", "bot", or all that is
# "in" it

sub begin {
    my (%of) = @_;

    my $socket = IO::Socket::INET->new(
                     PeerAddr => '127.0.0.1',
                     PeerPort => $Test::Nginx::Util::ServerPortForClient,
                     Timeout => 30)
        or die "cannot connect: $!\n";

    my $chat = $of{chat} // 7;

    my $body = JSON::PP->new->latin1->encode({
        update_id => $of{id} // ++$id,
        %{$of{in} // { message => {
            message_id => 2,
            date => 1700000000,
            chat => { id => $chat,
                      type => $chat < 0 ? 'supergroup' : 'private' },
            from => { id => 9, first_name => 'Ann' },
            text => $of{text} // 'say/x',
        } } },
    });

    my $uri = '/' . ($of{bot} // 'b') . '?k=' . ($of{key} // 'k');

    print $socket "POST $uri HTTP/1.1\r\nHost: localhost\r\n"
                  . "Connection: close\r\nContent-Type: application/json\r\n"
                  . "Content-Length: " . length($body) . "\r\n\r\n$body";
    $socket->flush;

    return $socket;
}

sub end {
    my $socket = shift;

    local $/;
    my $answer = <$socket>;
    close $socket;

    return $answer // '';
}

sub check {
    my ($answer, $verdict, $body) = @_;

    my ($got) = $answer =~ /^X-Verdict: (\w+)/m;
    my $what = $block->name;

    is($got, $verdict, "$what - verdict");

    return if !defined $body;

    my ($of) = $answer =~ /\r\n\r\n(.*)\z/s;

    ref $body ? like($of, $body, "$what - body")
              : is($of, $body, "$what - body");
}

# delivers an update, expects it to be done, with this body

sub deliver {
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

# what the program was asked since the last time, by path

sub asked {
    my (@paths) = @_;

    my $n = @paths;
    my $end = time + 5;
    my @got;

    do {
        sleep 0.02 if @got;
        $asked .= TgbotProgram::seen();
        @got = $asked =~ m{^/(\S*) }mg;
    } while (@got < $n && time < $end);

    $asked = '';

    s{^header/X-Method/(\w+)/.*}{api $1}s for @got;

    is(CORE::join("\n", sort @got), CORE::join("\n", sort @paths),
       $block->name . " - the program was asked");
}

# in work, as its program is asked for it

sub held {
    my (%of) = @_;

    my $update_id = ++$id;
    my $socket = begin(%of, id => $update_id);

    for (1 .. 200) {
        $asked .= TgbotProgram::seen();
        return $socket if $asked =~ /"update_id":$update_id\b/;
        sleep 0.05;
    }

    fail($block->name . " - update $update_id is not in work");

    return $socket;
}

sub status {
    my $socket = IO::Socket::INET->new(
                     PeerAddr => '127.0.0.1',
                     PeerPort => $Test::Nginx::Util::ServerPortForClient,
                     Timeout => 30)
        or die "cannot connect: $!\n";

    print $socket "GET /status HTTP/1.0\r\n\r\n";
    $socket->flush;

    my $answer = end($socket);
    $answer =~ s/^.*?\r\n\r\n//s;

    return decode_json($answer);
}

# what the cache has counted for a bot; waits for it

sub counted {
    my ($want, $bot) = @_;

    my $end = time + 5;
    my $got;

    do {
        sleep 0.02 if defined $got;
        my $of = status()->{bots}{$bot // 'b'}{cache_total};

        $got = CORE::join ' ', map { "$_=$of->{$_}" } grep { $of->{$_} }
                         sort keys %$of;
    } while ($got ne $want && time < $end);

    is($got, $want, $block->name . " - counted");
}

# until so many wait for another one

sub waiting {
    my ($n) = @_;

    my $end = time + 10;
    my $got;

    do {
        sleep 0.02 if defined $got;
        $got = status()->{bots}{b}{cache_total}{wait};
    } while ($got < $n && time < $end);

    is($got, $n, $block->name . " - waiting");
}

sub logged {
    my ($text, $n) = @_;

    my $end = time + 5;
    my $got;

    do {
        sleep 0.02 if defined $got;
        open my $in, '<', $Test::Nginx::Util::ErrLogFile or die "no log: $!\n";
        $got = grep { /\Q$text\E/ } <$in>;
    } while ($got < $n && time < $end);

    is($got, $n, $block->name . " - log \"$text\"");
}

sub master {
    open my $in, '<', $Test::Nginx::Util::PidFile or die "no pid file: $!\n";
    chomp(my $pid = <$in>);

    return $pid;
}

sub workers_of {
    my ($master) = @_;

    my @workers;

    for my $file (glob '/proc/[0-9]*/stat') {
        open my $stat, '<', $file or next;
        my ($pid, $parent) = (<$stat> // '') =~ /^(\d+) \(.*\) \S (\d+)/
            or next;
        push @workers, $pid if $parent == $master;
    }

    return @workers;
}

master_on();
workers(2);
worker_connections(1024);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: asked once, answered often
--- config eval: main::bot()
--- then
deliver(fresh('x'));
asked('say/x');

deliver(said('x'), text => 'say/y') for 1 .. 5;
asked();

counted('hit=5 miss=1 stored=1');

my $zone = status()->{zones}{answers};
is($zone->{kind}, 'cache', $block->name . ' - zone');
is($zone->{entries}, 1, $block->name . ' - entries');
is($zone->{used}, 1, $block->name . ' - blocks');
is($zone->{zone_evicted_total}, 0, $block->name . ' - nothing made room');



=== TEST 2: each chat gets it for itself
--- config eval: main::bot()
--- then
deliver(fresh('x'));
deliver(said('x', $_), chat => $_)
    for 8, -1001367429635, 9007199254740991, 7;
asked('say/x');



=== TEST 3: an answer without a chat_id, with one as a string, and with spaces
--- config eval: main::bot()
--- then
deliver('{"chat_id":7,"method":"sendDice"}', key => 1,
        text => 'json/{"method":"sendDice"}');
deliver('{"chat_id":8,"method":"sendDice"}', key => 1, chat => 8);

deliver('{"method":"sendDice","chat_id":"7"}', key => 2,
        text => 'json/{"method":"sendDice","chat_id":"7"}');
deliver('{"chat_id":8,"method":"sendDice"}', key => 2, chat => 8);

deliver('{ "chat_id" : 7 , "method" : "sendDice" }', key => 3,
        text => 'json/{ "chat_id" : 7 , "method" : "sendDice" }');
deliver('{"chat_id":8,"method" : "sendDice" }', key => 3, chat => 8);

counted('hit=3 miss=3 stored=3');



=== TEST 4: the buttons of a message
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

deliver(qr/"text":"ok"/, text => "json/$answer");
deliver('{"callback_query_id":"41",' . substr($answer, 1),
        in => press('41', 7));
deliver('{"callback_query_id":"42",' . substr($answer, 1),
        in => press('42', 8));

counted('hit=2 miss=1 stored=1');



=== TEST 5: the query that was answered is not named to another
--- config eval
my $json = '{"method":"answerCallbackQuery","callback_query_id":"41"}';
main::bot("tgbot_handler '/_program/json/$json';")
--- then
sub query {
    return { callback_query => {
        id => $_[0], data => 'buy', from => { id => 9, first_name => 'Ann' },
        inline_message_id => 'AB', chat_instance => '5' } };
}

deliver('{"method":"answerCallbackQuery","callback_query_id":"41"}',
        in => query(41));
deliver('{"callback_query_id":"42","method":"answerCallbackQuery"}',
        in => query(42));

counted('hit=1 miss=1 stored=1');



=== TEST 6: two bots with one zone and one key
--- config eval
main::bot() . main::bot('', 'c') . main::bot('', 'bk')
--- then
deliver(fresh('b'), text => 'say/b');
deliver(fresh('c'), text => 'say/c', bot => 'c');
deliver(fresh('bk'), text => 'say/bk', bot => 'bk');
asked('say/b', 'say/c', 'say/bk');

for (1 .. 2) {
    deliver(said('b'), text => 'say/no');
    deliver(said('c'), text => 'say/no', bot => 'c');
    deliver(said('bk'), text => 'say/no', bot => 'bk');
}

asked();
counted('hit=2 miss=1 stored=1', $_) for qw(b c bk);



=== TEST 7: without a key there is no cache
--- config eval: main::bot()
--- then
deliver(fresh($_), text => "say/$_", key => '') for 1 .. 3;
asked('say/1', 'say/2', 'say/3');
counted('bypass=3');
is(status()->{zones}{answers}{entries}, 0, $block->name . ' - entries');



=== TEST 8: keys of any length, told apart to the last byte
--- config eval: main::bot()
--- then
my $long = 'x' x 3000;

deliver(fresh('a'), text => 'say/a', key => $long . 'a');
deliver(fresh('b'), text => 'say/b', key => $long . 'b');
deliver(fresh('c'), text => 'say/c', key => $long);
deliver(said('a'), key => $long . 'a');
deliver(said('b'), key => $long . 'b');
deliver(said('c'), key => $long);
counted('hit=3 miss=3 stored=3');



=== TEST 9: a key is what the variables of an update make it
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

deliver(fresh(1001), in => said_by('/menu', 'en'));
deliver(fresh(1002), in => said_by('/menu', 'de'));
deliver(said(1001), in => said_by('/menu', 'en'));
deliver(said(1002), in => said_by('/menu', 'de'));
deliver(fresh(1005), in => said_by('/cart', 'en'));
deliver(fresh(1006), in => said_by('/cart', 'en'));
counted('bypass=2 hit=2 miss=2 stored=2');



=== TEST 10: what the program does not want to be kept
--- config eval: main::bot()
--- then
my @values = ('no-store', 'No-Store', 'private', 'no-cache', 'max-age=0',
              'max-age=60, no-store');

for my $i (0 .. $#values) {
    my $value = $values[$i] =~ s/ /%20/gr;

    deliver(fresh('a'), key => $i,
            text => "header/Cache-Control/$value/say/a");
    deliver(fresh('b'), key => $i, text => 'say/b');
    deliver(fresh('c'), key => $i, text => 'say/c');
}

counted('bypass=12 miss=6 uncacheable=6');



=== TEST 11: how long is said by the directive
--- config eval: main::bot('tgbot_cache $arg_k zone=answers:1m valid=2s;')
--- then
deliver(fresh('a'), text => 'say/a');
deliver(said('a'), text => 'say/b');
sleep 2.1;
deliver(fresh('c'), text => 'say/c');
deliver(said('c'), text => 'say/d');
counted('hit=2 miss=2 stored=2');



=== TEST 12: and before that by the program
--- config eval: main::bot('tgbot_cache $arg_k zone=answers:1m valid=2s;')
--- then
deliver(fresh('a'), key => 1,
        text => 'header/Cache-Control/max-age=3600/say/a');
sleep 2.1;
deliver(said('a'), key => 1, text => 'say/b');

deliver(fresh('a'), key => 2,
        text => 'header/Cache-Control/public,max-age=1/say/a');
deliver(said('a'), key => 2, text => 'say/b');
sleep 1.2;
deliver(fresh('c'), key => 2, text => 'say/c');

counted('hit=2 miss=3 stored=3');



=== TEST 13: failures are not kept
--- config eval
main::bot('tgbot_handler /_program/$tgbot_text; tgbot_hold_timeout 5s;')
--- then
my $n = 0;

for my $text (qw(status/500 status/404 status/503 status/429 status/301 close
                 reset garbage length/5000/say/a big/70000))
{
    $n++;

    my $answer = end(begin(text => $text, key => $n));
    like($answer, qr/^HTTP\/1.1 50[03] /, $block->name . " - $text");

    deliver(fresh('b'), text => 'say/b', key => $n);
    deliver(said('b'), text => 'say/c', key => $n);
}

counted("hit=$n miss=" . 2 * $n . " stored=$n");



=== TEST 14: answers that are meant for somebody, or make no calls
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
    deliver(fresh('b'), text => 'say/b', key => $n);
    deliver(fresh('c'), text => 'say/c', key => $n);
}

counted('bypass=' . 2 * $n . " miss=$n uncacheable=$n");



=== TEST 15: answers of other types
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
    deliver($forms{$form}, text => $form, key => $form) for 1 .. 3;
}

deliver('', text => 'plain', key => 'plain') for 1 .. 3;
deliver('{"chat_id":7,"method":"sendDice"}', text => 'json', key => 'json')
    for 1 .. 3;

counted('bypass=6 hit=2 miss=4 stored=1 uncacheable=3');



=== TEST 16: what could not be kept is asked for again after a while
--- config eval: main::bot('tgbot_cache $arg_k zone=answers:1m valid=2s;')
--- then
deliver('', text => 'json/{}');
deliver(fresh('b'), text => 'say/b');
sleep 2.1;
deliver(fresh('c'), text => 'say/c');
deliver(said('c'), text => 'say/d');
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

deliver(qr/$big/, text => "json/$text", key => 1);
deliver(qr/$big/, key => 1);
counted('hit=1 miss=1 stored=1');

is(status()->{zones}{small}{total} >= 16, 1, $block->name . ' - blocks');

my $quarter = int(status()->{zones}{small}{total} / 4);
my $fits = 440 + ($quarter - 1) * 508;

for my $n ($fits, $fits + 1) {
    my $body = '{"chat_id":7,' . substr of($n), 1;

    deliver($body, bot => 'c', text => 'json/' . of($n), key => $n);
    deliver($n > $fits ? fresh('b') : $body, bot => 'c', text => 'say/b',
            key => $n);
}

counted('bypass=1 hit=1 miss=2 stored=1 uncacheable=1', 'c');



=== TEST 18: more keys than there is room for
--- config eval
main::bot('tgbot_cache $arg_k zone=small:36k;')
--- then
my $total = status()->{zones}{small}{total};

for my $key (1 .. $total + 5) {
    deliver(fresh("a$key"), text => "say/a$key", key => $key);
    deliver(said('a1'), key => 1);
}

is(status()->{zones}{small}{entries}, $total, $block->name . ' - entries');
is(status()->{zones}{small}{zone_evicted_total}, 5,
   $block->name . ' - evicted');

deliver(said('a1'), key => 1);
deliver(said("a$_"), key => $_) for $total + 5, 7;
deliver(fresh('b2'), key => 2, text => 'say/b2');



=== TEST 19: with a Bot API an answer of the cache rides, if it is one call
--- config eval: main::bot($main::api)
--- then
deliver('', text => 'say/x', key => 1);
asked('say/x', 'api sendMessage');

deliver(said('x', 8), key => 1, chat => 8);
asked();

my $two = 'json/[{"method":"sendDice"},{"method":"sendPhoto","photo":"a"}]';

deliver('', text => $two, key => 2);
asked('json/[%7B%22method%22:%22sendDice%22%7D,%7B%22method%22:'
      . '%22sendPhoto%22,%22photo%22:%22a%22%7D]',
      'api sendDice', 'api sendPhoto');

deliver('', key => 2, chat => 8);
asked('api sendDice', 'api sendPhoto');

counted('hit=2 miss=2 stored=2');



=== TEST 20: or goes as tgbot_reply_via says
--- config eval
main::bot("$main::api tgbot_reply_via api;")
. main::bot($main::api =~ s/token_file .*;/token 2:TOKEN;/r
            . 'tgbot_reply_via response;', 'c')
--- then
deliver('', text => 'say/x');
deliver('', chat => 8);
asked('say/x', 'api sendMessage', 'api sendMessage');

my $two = 'json/[{"method":"sendDice"},{"method":"sendPhoto","photo":"a"}]';

deliver('{"chat_id":7,"method":"sendDice"}', text => $two, bot => 'c');
deliver('{"chat_id":8,"method":"sendDice"}', chat => 8, bot => 'c');

sleep 0.3;
asked('json/[%7B%22method%22:%22sendDice%22%7D,%7B%22method%22:'
      . '%22sendPhoto%22,%22photo%22:%22a%22%7D]',
      'api sendPhoto', 'api sendPhoto');



=== TEST 21: a hundred at once
--- config eval: main::bot()
--- then
my $text = 'sleep/1/json/{"method":"sendMessage","text":"x"}';
my @others = map { begin(text => $text, chat => $_) } 1 .. 100;

my (%workers, %got);

for (@others) {
    my $answer = end($_);

    check($answer, 'done');
    $workers{$1} = 1 if $answer =~ /^X-Worker: (\d+)/m;
    $got{$1}++ if $answer =~ /"chat_id":(\d+)/;
}

is(scalar keys %workers, 2, $block->name . ' - by two workers');

is(CORE::join(' ', map { $got{$_} // 0 } 1 .. 100),
   CORE::join(' ', (1) x 100), $block->name . ' - each to its own chat');

asked('sleep/1/json/%7B%22method%22:%22sendMessage%22,%22text%22:%22x%22%7D');
counted('hit=99 miss=1 stored=1 wait=99');



=== TEST 22: those who wait are woken when the answer is there
--- config eval: main::bot()
--- then
my $first = held(text => 'sleep/0.5/say/x');
my @waiting = map { begin(chat => $_, text => 'say/y') } 1 .. 10;
waiting(10);

check(end($first), 'done', fresh('x'));

my $start = time;

check(end($waiting[$_ - 1]), 'done', said('x', $_)) for 1 .. 10;
cmp_ok(time - $start, '<', 5 * $slowness, $block->name . ' - no timeout');

asked('sleep/0.5/say/x');
counted('hit=10 miss=1 stored=1 wait=10');



=== TEST 23: other keys and other bots do not wait
--- config eval: main::bot() . main::bot('', 'c')
--- then
my $first = held(text => 'sleep/2/say/x');

deliver(fresh('a'), text => 'say/a', key => 'other');
deliver(fresh('b'), text => 'say/b', bot => 'c');
deliver(fresh('c'), text => 'say/c', key => '');

ok(!IO::Select->new($first)->can_read(0), $block->name . ' - still in work');

check(end($first), 'done', fresh('x'));
counted('bypass=1 miss=2 stored=2');



=== TEST 24: who has waited too long asks the program
--- config eval
main::bot('tgbot_cache $arg_k zone=answers:1m lock_timeout=500ms;')
--- then
my $first = held(text => 'sleep/3/say/x');

my $start = time;

deliver(fresh('a'), text => 'say/a');
cmp_ok(time - $start, '>=', 0.4, $block->name . ' - it has waited');
deliver(fresh('b'), text => 'say/b');

ok(!IO::Select->new($first)->can_read(0), $block->name . ' - still in work');

check(end($first), 'done', fresh('x'));
deliver(said('x'), text => 'say/c');

asked('sleep/3/say/x', 'say/a', 'say/b');
counted('hit=1 miss=1 stored=1 timeout=2 wait=2');



=== TEST 25: the program fails, the next one asks
--- config eval: main::bot()
--- then
my $first = held(text => 'sleep/0.5/status/500');
my @waiting = map { begin(text => 'say/y') } 1 .. 10;
waiting(10);

check(end($first), 'failed', '');

my @answers = map { end($_) } @waiting;
my $fresh = quotemeta fresh('y');

check($_, 'done', qr/"text":"y"/) for @answers;
is(scalar(grep { /$fresh\z/ } @answers), 1, $block->name . ' - once');

asked('sleep/0.5/status/500', 'say/y');
counted('hit=9 miss=2 stored=1 wait=10');



=== TEST 26: the program is not there, nobody waits for it in vain
--- config eval: main::bot('tgbot_handler /_closed;')
--- then
my $start = time;

check($_, 'busy', '') for map { end($_) } map { begin() } 1 .. 10;

cmp_ok(time - $start, '<', 5 * $slowness, $block->name . ' - no timeout');
is(status()->{zones}{answers}{entries}, 0, $block->name . ' - entries');



=== TEST 27: the answer is none for others, who ask for themselves
--- config eval: main::bot()
--- then
my $first = held(text => 'sleep/0.5/json/{"method":"sendDice","chat_id":8}');
my @waiting = map { begin(text => "sleep/0.5/say/a$_") } 1 .. 10;
waiting(10);

check(end($first), 'done', '{"method":"sendDice","chat_id":8}');

my $start = time;

check(end($waiting[$_ - 1]), 'done', fresh("a$_")) for 1 .. 10;

cmp_ok(time - $start, '<', 5 * $slowness,
       $block->name . ' - not one after the other');
counted('bypass=10 miss=1 uncacheable=1 wait=10');



=== TEST 28: one who waits hangs up
--- config eval: main::bot()
--- then
my $first = held(text => 'sleep/2/say/x');
my @waiting = map { begin(text => 'say/y', id => 2000 + $_) } 1 .. 10;
waiting(10);

close $waiting[$_] for 0 .. 4;
logged('verdict aborted', 5);

check(end($first), 'done', fresh('x'));
check(end($_), 'done', said('x')) for @waiting[5 .. 9];

# Telegram has not seen an answer, and comes again

deliver(said('x'), id => 2001);
check(end(begin(id => 2010)), 'duplicate', said('x'));

asked('sleep/2/say/x');
counted('hit=6 miss=1 stored=1 wait=10');

my $status = status()->{bots}{b};
is($status->{held}, 0, $block->name . ' - nobody is held');
is($status->{seen}{leased}, 0, $block->name . ' - nothing is claimed');



=== TEST 29: one who asks hangs up
--- config eval: main::bot()
--- then
my $first = held(text => 'sleep/1/say/x', id => 2000);
my @waiting = map { begin(text => 'say/y') } 1 .. 5;
waiting(5);

close $first;
logged('verdict aborted', 1);

check(end($_), 'done', said('x')) for @waiting;

asked('sleep/1/say/x');
counted('hit=5 miss=1 stored=1 wait=5');



=== TEST 30: one who waits is held no longer than others
--- config eval
main::bot('tgbot_hold_timeout 1s;
           tgbot_cache $arg_k zone=answers:1m lock_timeout=30s;')
--- then
my $first = held(text => 'sleep/3/say/x');
my $second = begin(id => 2000);

my $answer = end($second);
check($answer, 'busy', '');
like($answer, qr/^HTTP\/1.1 503 .*^Retry-After: [1-9]/ms,
     $block->name . ' - comes again');

check(end($first), 'busy', '');
sleep 3 * $slowness;

deliver(said('x'), id => 2000);
asked('sleep/3/say/x');



=== TEST 31: the answer to a duplicate is that of the first delivery
--- config eval: main::bot('tgbot_cache $arg_k zone=answers:1m valid=1s;')
--- then
deliver(fresh('a'), text => 'say/a', id => 2000);
deliver(said('a', 8), text => 'say/b', id => 2001, chat => 8);

for (1 .. 2) {
    check(end(begin(text => 'say/c', id => 2000)), 'duplicate', fresh('a'));
    check(end(begin(text => 'say/c', id => 2001, chat => 8)), 'duplicate',
          said('a', 8));

    # also when it is not in the cache any more

    sleep 1.2;
}

asked('say/a');
counted('hit=1 miss=1 stored=1');



=== TEST 32: what went by the Bot API does not ride with a duplicate, too
--- config eval: main::bot($main::api)
--- then
deliver('', text => 'say/a', id => 2000);
asked('say/a', 'api sendMessage');

deliver(said('a', 8), id => 2001, chat => 8);

check(end(begin(text => 'say/a', id => 2000)), 'duplicate', '');
check(end(begin(id => 2001, chat => 8)), 'duplicate', said('a', 8));
asked();



=== TEST 33: what rides is kept for a duplicate, or goes by the Bot API
--- config eval: main::bot($main::api)
--- then
for my $size (3000, 5000) {
    my $text = 'a' x $size;

    deliver('', text => "say/$text", key => $size);
    asked("say/$text", 'api sendMessage');

    my $answer = $size < 4096 ? said($text, 8) : '';

    deliver($answer, id => $size, key => $size, chat => 8);
    asked($answer eq '' ? 'api sendMessage' : ());

    check(end(begin(id => $size, key => $size, chat => 8)), 'duplicate',
          $answer);
    asked();
}



=== TEST 34: a duplicate does not fill the cache, nor wait for it
--- config eval
main::bot('tgbot_cache $arg_k zone=answers:1m valid=1s;')
--- then
deliver('', text => 'json/{}', id => 2000);
sleep 1.2;

my $first = held(text => 'sleep/1/say/x');

check(end(begin(id => 2000)), 'duplicate', '');
ok(!IO::Select->new($first)->can_read(0), $block->name . ' - at once');

check(end($first), 'done', fresh('x'));
counted('miss=2 stored=1 uncacheable=1');



=== TEST 35: without memory of updates
--- config eval: main::bot('tgbot_dedup off;')
--- then
deliver(fresh('a'), text => 'say/a', id => 2000);
deliver(said('a'), text => 'say/b', id => 2000) for 1 .. 3;
asked('say/a');



=== TEST 36: what nginx says itself comes first, and so do limits
--- config eval
main::bot('tgbot_reply $arg_r; tgbot_limit $arg_l zone=limit:1m rate=1r/m
                                           burst=2;')
--- then
deliver(qr/"text":"hi"/, key => 'k&r=hi');
counted('');

deliver(fresh('a'), text => 'say/a', key => 'k&l=1');
deliver(said('a'), key => 'k&l=1');
check(end(begin(key => 'k&l=1')), 'limited', '');
counted('hit=1 miss=1 stored=1');



=== TEST 37: inherited, cancelled, replaced
--- http_config
    tgbot_cache $arg_k zone=outer:1m valid=1h;
--- config eval
main::bot('tgbot_handler /_program/$tgbot_text; # tgbot_cache', 'b')
. main::bot('tgbot_cache off;', 'c')
. main::bot('tgbot_cache $arg_other zone=inner:1m;', 'd')
. main::bot('tgbot_cache $arg_k zone=outer valid=1s;', 'e')
--- then
for my $bot (qw(b e)) {
    deliver(fresh('a'), text => 'say/a', bot => $bot);
    deliver(said('a'), text => 'say/b', bot => $bot);
}

for my $bot (qw(c d)) {
    deliver(fresh($_), text => "say/$_", bot => $bot) for 1 .. 2;
}

deliver(fresh('a'), text => 'say/a', bot => 'd', key => '1&other=x');
deliver(said('a'), text => 'say/b', bot => 'd', key => '2&other=x');

sleep 1.2;
deliver(said('a'), text => 'say/b');
deliver(fresh('b'), text => 'say/b', bot => 'e');

counted('hit=2 miss=1 stored=1');
counted('', 'c');
counted('bypass=2 hit=1 miss=1 stored=1', 'd');
counted('hit=1 miss=2 stored=2', 'e');

is(status()->{zones}{outer}{entries}, 2, $block->name . ' - outer');
is(status()->{zones}{inner}{entries}, 1, $block->name . ' - inner');



=== TEST 38: kept over a reload
--- config eval: main::bot()
--- then
deliver(fresh('a'), text => 'say/a');

my $first = held(text => 'sleep/2/say/x', key => 2);

kill HUP => master();
sleep 1;

deliver(said('a'), text => 'say/b');

# asked for by a worker of before

check(end(begin(key => 2, text => 'say/y')), 'done', said('x'));
check(end($first), 'done', fresh('x'));

asked('say/a', 'sleep/2/say/x');



=== TEST 39: who asks is killed, the next one asks
--- config eval: main::bot()
--- no_error_log
[crit]
[emerg]
--- then
deliver(fresh('a'), text => 'say/a', key => 1);

my $first = held(text => 'sleep/20/say/x', key => 2);

kill KILL => workers_of(master());
is(end($first), '', $block->name . ' - no answer');
sleep 0.5;

deliver(said('a'), text => 'say/b', key => 1);
deliver(fresh('y'), text => 'say/y', key => 2);
deliver(said('y'), text => 'say/z', key => 2);

is(status()->{zones}{answers}{zone_repaired_total}, 0,
   $block->name . ' - repaired');



=== TEST 40: an answer that was sent late does not ride with a duplicate
--- config eval
main::bot($main::api . 'tgbot_reply_via response; tgbot_hold_timeout 1s;')
--- then
my $n = ++$id;
my $text = 'sleep/2/say/x';

check(end(begin(id => $n, text => $text, key => 'a')), 'busy');
asked($text, 'api sendMessage');
sleep 0.3;
check(end(begin(id => $n, text => $text, key => 'a')), 'duplicate', '');
