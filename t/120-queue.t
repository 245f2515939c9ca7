# The queue: acknowledged first, in work later, in order.
#
#   --- then      steps that follow the request (GET /status), in Perl

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotProgram;

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

    # what is left would be worked on for ever

    $block->set_value("main_config", "worker_shutdown_timeout ${slowness}s;");

    $block->set_value("request", "GET /status");

    $block->set_value("http_config", ($block->http_config // '') . <<"_EOC_");
    tgbot_secret_token  off;

    # fails at the first two attempts, the third one has what is asked for
    map "\$tgbot_attempts:\$tgbot_text" \$third {
        volatile;
        "~^[12]:"     status/500;
        "~^\\d+:(.*)"  \$1;
    }

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

    location /status {
        tgbot_status payload=on write=on;
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


# a webhook /NAME, whose program does what the text of a message says

sub bot {
    my ($directives, $name) = @_;

    $name //= 'b';
    $directives //= '';

    my $handler = $directives =~ /tgbot_handler/
                  ? '' : 'tgbot_handler /_program/$tgbot_text;';
    my $queue = $directives =~ /tgbot_queue/
                ? '' : 'tgbot_queue zone=updates'
                       . ($name eq 'b' ? ':4m;' : ';');
    my $api = $directives =~ /tgbot_api/
              ? '' : 'tgbot_api /_api/header/X-Method/$tgbot_method/'
                     . 'json/%7B%7D;';
    my $token = $name eq 'b' ? '1:TOKEN' : '2:TOKEN';
    my $attempts = $directives =~ /tgbot_attempts/
                   ? '' : 'tgbot_attempts 10 backoff=100ms max_backoff=200ms;';

    return <<"_EOC_";
    location = /$name {
        tgbot_webhook  $name;
        tgbot_token    $token;
        $handler
        $queue
        $api
        $attempts
        $directives

        add_header  X-Verdict  \$tgbot_verdict  always;
        add_header  X-Worker   \$pid            always;
        access_log  logs/error.log  verdict;
    }
_EOC_
}


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

# puts an update in the queue

sub enqueue {
    check(end(begin(@_)), 'queued', '');
}

# what the program and the Bot API were asked since the last time, by path, in
# order

sub asked {
    my (@paths) = @_;

    my $n = @paths;
    my $end = time + 10 * $slowness;
    my @got;

    do {
        sleep 0.02 if @got;
        $asked .= TgbotProgram::seen();
        @got = $asked =~ m{^/(\S*) }mg;
    } while (@got < $n && time < $end);

    $asked = '';

    s{^header/X-Method/(\w+)/.*}{api $1}s for @got;

    is(CORE::join("\n", @got), CORE::join("\n", @paths),
       $block->name . " - asked");
}

# waits until such a thing was asked

sub until_asked {
    my ($what) = @_;

    for (1 .. 500) {
        $asked .= TgbotProgram::seen();
        return if $asked =~ $what;
        sleep 0.02;
    }

    fail($block->name . " - nobody asked");
}

sub get {
    my ($uri, $method, $header) = @_;

    my $socket = IO::Socket::INET->new(
                     PeerAddr => '127.0.0.1',
                     PeerPort => $Test::Nginx::Util::ServerPortForClient,
                     Timeout => 30)
        or die "cannot connect: $!\n";

    print $socket(($method // 'GET') . " $uri HTTP/1.0\r\n"
                  . ($header // '') . "\r\n");
    $socket->flush;

    return end($socket);
}

sub status {
    my $answer = get('/status');
    $answer =~ s/^.*?\r\n\r\n//s;

    return decode_json($answer);
}

# what there is in the queue of a bot, and what became of the rest

sub depth {
    my ($want, $bot) = @_;

    my $end = time + 10 * $slowness;
    my $got;

    do {
        sleep 0.02 if defined $got;
        my $of = status()->{bots}{$bot // 'b'};
        my %n = (%{$of->{queue_depth}},
                 map { ("$_!" => $of->{queue_items_total}{$_}) }
                     keys %{$of->{queue_items_total}});

        $got = CORE::join ' ', map { "$_=$n{$_}" } grep { $n{$_} }
                         sort keys %n;
    } while ($got ne $want && time < $end);

    is($got, $want, $block->name . " - depth");
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

=== TEST 1: acknowledged at once, in work later
--- config eval: main::bot()
--- then
my $start = time;

enqueue(text => 'sleep/3/say/x');
ok(time - $start < 3 * $slowness, $block->name . ' - before the program');

asked('sleep/3/say/x', 'api sendMessage');
depth('accepted!=1 done!=1');



=== TEST 2: a chat's updates one after the other, others beside them
--- config eval: main::bot()
--- then
enqueue(text => "sleep/0.5/say/$_") for 1 .. 5;
until_asked(qr/say.1/);
enqueue(text => 'say/other', chat => 8);

asked('sleep/0.5/say/1', 'say/other', 'api sendMessage', 'api sendMessage',
      map { ("sleep/0.5/say/$_", 'api sendMessage') } 2 .. 5);



=== TEST 3: again until it does, and nothing overtakes
--- config eval: main::bot('tgbot_handler /_program/$third;')
--- then
enqueue(text => 'say/a');
enqueue(text => 'say/b');

asked((('status/500') x 2, 'say/a', 'api sendMessage') x 1,
      ('status/500') x 2, 'say/b', 'api sendMessage');
depth('accepted!=2 done!=2');



=== TEST 4: the program sees which attempt it is
--- config eval
main::bot('tgbot_handler /_program/header/A/$tgbot_attempts/$third;')
--- then
enqueue(text => 'say/a');

asked('header/A/1/status/500', 'header/A/2/status/500', 'header/A/3/say/a',
      'api sendMessage');



=== TEST 5: given up after so many, and the chat goes on
--- config eval
main::bot('tgbot_attempts 3 backoff=50ms max_backoff=100ms;')
--- then
enqueue(text => 'status/500');
enqueue(text => 'say/b');

asked(('status/500') x 3, 'say/b', 'api sendMessage');
depth('accepted!=2 dead=1 dead!=1 done!=1');
logged('is given up and is dead letter 1: failed', 1);



=== TEST 6: without dead letters it is not given up
--- config eval
main::bot('tgbot_attempts 2 backoff=50ms max_backoff=100ms;
           tgbot_dead_letters off; tgbot_handler /_program/$third;')
--- then
enqueue(text => 'say/a');

asked(('status/500') x 2, 'say/a', 'api sendMessage');



=== TEST 7: a program that is not there costs no attempt
--- config eval
main::bot('tgbot_attempts 1; tgbot_handler /_closed;')
--- no_shutdown_error_log
[crit]
[emerg]
--- then
enqueue(text => 'say/a');

logged('the program is unavailable', 2);
depth('accepted!=1 delayed=1');



=== TEST 8: what the program asks for is waited for
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



=== TEST 9: a second delivery of what is in the queue, and of what is done
--- config eval: main::bot()
--- then
my $n = ++$id;

check(end(begin(id => $n, text => 'sleep/0.5/say/x')), 'queued', '');
check(end(begin(id => $n, text => 'sleep/0.5/say/x')), 'duplicate', '');
asked('sleep/0.5/say/x', 'api sendMessage');
check(end(begin(id => $n)), 'duplicate', '');
depth('accepted!=1 done!=1');



=== TEST 10: nginx's own answer rides if nothing is before it
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

enqueue(text => 'sleep/0.5/say/x');
enqueue(text => '/hi');
check(end(begin(text => '/hi', chat => 8)), 'done', qr/"text":"hello"/);

asked('sleep/0.5/say/x', 'api sendMessage', 'api sendMessage');
depth('accepted!=2 done!=2');



=== TEST 11: lanes by a key of one's own
--- config eval: main::bot('tgbot_queue zone=updates:4m lane=$lane;')
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



=== TEST 12: as many at once as is said
--- config eval
main::bot('tgbot_queue zone=updates:4m concurrency=2;')
--- then
enqueue(text => 'sleep/0.4/say/x', chat => $_) for 1 .. 4;

until_asked(qr/say/);
sleep 0.2;
depth('accepted!=4 inflight=2 waiting=2');
depth('accepted!=4 done!=4');



=== TEST 13: a call of several is tried again, the program is not asked
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



=== TEST 14: over a reload
--- config eval: main::bot('tgbot_queue zone=updates:4m concurrency=1;')
--- then
enqueue(text => "sleep/0.3/say/$_", chat => $_) for 1 .. 6;
until_asked(qr/say/);

kill HUP => master();

depth('accepted!=6 done!=6');

my @got = grep { /say/ } map { m{^/(\S*) } } split /\n/,
          $asked . TgbotProgram::seen();
is(scalar(@got), 6, $block->name . ' - each once');



=== TEST 15: over the death of a worker
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



=== TEST 16: at an end everything is done first
--- config eval: main::bot('tgbot_queue zone=updates:4m concurrency=1;')
--- then
enqueue(text => "sleep/0.2/say/$_", chat => $_) for 1 .. 4;
until_asked(qr/say/);

my @workers = workers_of(master());
kill QUIT => $_ for @workers;
depth('accepted!=4 done!=4');



=== TEST 17: a zone that is full
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

like($answer, qr/^HTTP\/1.1 503 .*^Retry-After: [1-7]\r\n/ms,
     $block->name . ' - refused');
check($answer, 'busy');
ok($n > 5, $block->name . " - $n");
is(status()->{bots}{b}{queue_full_total}, 1, $block->name . ' - counted');
logged('has no room in zone "updates"', 1);



=== TEST 18: two bots in one zone
--- config eval: main::bot() . main::bot('', 'c')
--- then
enqueue(text => 'sleep/0.2/say/b', id => 5000);
until_asked(qr/say\/b/);
enqueue(text => 'say/c', id => 5000, bot => 'c');

asked('sleep/0.2/say/b', 'say/c', 'api sendMessage', 'api sendMessage');
depth('accepted!=1 done!=1', 'b');
depth('accepted!=1 done!=1', 'c');



=== TEST 19: answers of the program are kept
--- config eval
main::bot('tgbot_cache all zone=answers:1m;')
--- then
my $text = 'sleep/0.5/json/{"method":"sendMessage","text":"x"}';
enqueue(text => $text, chat => $_) for 1 .. 3;
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

like(get('/status/dead/b/1', 'POST', "X-Tgbot-Action: replay\r\n"
                                     . "Host: localhost\r\n"),
     qr/ 200 /, $block->name . ' - replayed');
depth('accepted!=1 dead=1 dead!=2 replayed!=1');
asked('status/500');



=== TEST 21: a second delivery of what nginx answers itself
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
enqueue(text => 'sleep/0.5/say/x');
$n = ++$id;
check(end(begin(id => $n, text => '/hi')), 'queued', '');
check(end(begin(id => $n, text => '/hi')), 'duplicate', '');

asked('sleep/0.5/say/x', 'api sendMessage', 'api sendMessage');
depth('accepted!=2 done!=2');
check(end(begin(id => $n, text => '/hi')), 'duplicate', '');




=== TEST 22: an update that is queued has the variables of one that is held
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
