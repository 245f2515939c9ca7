# tgbot_broadcast: one call to many chats.  For blocks with steps see
# TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotSteps;

use JSON::PP;
use Time::HiRes qw(time sleep);

our $ok = '%7B%22ok%22:true,%22result%22:true%7D';

# an answer of the Bot API to each call
our $answers = 'json/' . $ok;

TgbotSteps::start(
    request => 'GET /status',
    status  => 'write=on',
    main    => "worker_shutdown_timeout ${slowness}s;",

    webhook => {
        tgbot_token => '1:TOKEN',
        tgbot_api   => '/_api/header/X-Method/$tgbot_method/' . $answers,
    });

master_on();
workers(2);
worker_connections(1024);
no_root_location();
no_long_string();
run_tests();


# the bot, and its location /cast

sub cast {
    my ($bot, $here, $zone) = @_;

    $zone //= 'cast:2m';
    $here //= '';

    return main::bot($bot // '') . <<"_EOC_";
    location /cast {
        tgbot_broadcast b zone=$zone;
        client_max_body_size 16m;
        tgbot_pace off;
        tgbot_retry attempts=2 backoff=20ms max_backoff=50ms life=1s;
        $here
    }
_EOC_
}


# a request to it: its status, and what its JSON is

sub ask {
    my ($method, $path, $body, @headers) = @_;

    $body = JSON::PP->new->canonical->encode($body) if ref $body;

    @headers = ('Content-Type: application/json')
        if defined $body && !@headers;

    my $answer = end(request($method, "/cast$path", \@headers, $body));
    my ($head, $text) = split /\r\n\r\n/, $answer, 2;
    my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};

    if ($head =~ /^Transfer-Encoding: chunked/mi) {
        my $all = '';

        while ($text =~ s/^([0-9a-f]+)\r\n//i && hex $1) {
            $all .= substr $text, 0, hex($1), '';
            $text =~ s/^\r\n//;
        }

        $text = $all;
    }

    my $json = eval { JSON::PP->new->decode($text) };

    return ($status, $json // $text);
}


# makes a broadcast and returns its id

sub make {
    my ($chats, %more) = @_;

    my ($status, $json) = ask(POST => '', { method => 'sendMessage',
                                            params => { text => 'hi' },
                                            chat_ids => $chats, %more });
    is($status, 201, $block->name . ' - made');

    return $json->{id};
}


# waits until a broadcast is in a state, and returns it

sub state_of {
    my ($id, $state) = @_;

    my $json;

    becomes($state, 'state', sub {
        (my $status, $json) = ask(GET => "/$id");
        return $json->{state};
    });

    return $json;
}


sub refused {
    my ($status, $like, @request) = @_;

    my ($got, $json) = ask(@request);

    is($got, $status, $block->name . " - status of $like");
    like($json->{error}, $like, $block->name . ' - error');
}

__DATA__

=== TEST 1: a broadcast from its creation to its end
--- config eval: main::cast()
--- then
my $id = make([7, -100123, 9]);
my $json = state_of($id, 'done');

is($json->{sent}, 3, $block->name . ' - sent');
is($json->{total}, 3, $block->name . ' - total');
is_deeply($json->{params}, { text => 'hi' }, $block->name . ' - params');
is($json->{left}, undef, $block->name . ' - left');

asked_any(('api sendMessage') x 3);

(my $status, $json) = ask(GET => '');
is($json->{broadcasts}[0]{id}, $id, $block->name . ' - in the list');
is($json->{next}, 0, $block->name . ' - no more');

is((ask(DELETE => "/$id"))[0], 204, $block->name . ' - deleted');
refused(404, qr/no such/, GET => "/$id");
refused(404, qr/no such/, DELETE => "/$id");

logged("broadcast $id is done: 3 sent, 0 blocked, 0 failed, 0 unknown", 1);



=== TEST 2: each chat gets its own id, and the parameters as they were written
--- config eval
main::bot('tgbot_api /_api/say;') . <<'_EOC_'
    location /cast {
        tgbot_broadcast b zone=cast:2m;
    }
_EOC_
--- then
my ($status) = ask(POST => '', '{"chat_ids": [ 17 , -42 ], "params": '
                               . '{ "text":"a\"}{\u0416" , "reply_markup":'
                               . '{"inline_keyboard":[]} }, "method": '
                               . '"sendMessage"}',
                   'Content-Type: application/json');
is($status, 201, $block->name . ' - made');

state_of(1, 'done');

until_asked(qr/"chat_id":-42,/);
until_asked(qr/"chat_id":17,/);

ok(index($asked, '{"chat_id":17,"text":"a\"}{\u0416" , "reply_markup":'
                 . '{"inline_keyboard":[]} }') > 0, $block->name . ' - body');



=== TEST 3: a call without parameters
--- config eval: main::cast()
--- then
is((ask(POST => '', { method => 'unpinAllChatMessages',
                      chat_ids => [5] }))[0], 201, $block->name . ' - made');
state_of(1, 'done');
is((ask(POST => '', { method => 'unpinAllChatMessages', params => {},
                      chat_ids => [5] }))[0], 201, $block->name . ' - made');
state_of(2, 'done');
asked(('api unpinAllChatMessages') x 2);



=== TEST 5: chats that are blocked, with the reason
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;

        location / {
            default_type application/json;
            return 403 '{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}';
        }
    }
--- config eval
main::cast('tgbot_api /_no;') . <<'_EOC_'
    location /_no {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2;
    }
_EOC_
--- then
my $id = make([1 .. 300]);
my $json = state_of($id, 'done');

is($json->{blocked}, 300, $block->name . ' - blocked');

(my $status, $json) = ask(GET => "/$id/blocked");
is($status, 200, $block->name . ' - list');
is_deeply($json->{blocked},
          [ map { { chat_id => $_, status => 403,
                    error => 'Forbidden: bot was blocked by the user' } }
            1 .. 300 ], $block->name . ' - list');

($status, $json) = ask(GET => "/$id/failed");
is_deeply($json->{failed}, [], $block->name . ' - none failed');




=== TEST 6: an error of one call that the Bot API does not mend
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;

        location / {
            default_type application/json;
            return 400 '{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}';
        }
    }
--- config eval
main::cast('tgbot_api /_no;') . <<'_EOC_'
    location /_no {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2;
    }
_EOC_
--- then
my $id = make([1, 2]);
is(state_of($id, 'done')->{failed}, 2, $block->name . ' - failed');
is_deeply((ask(GET => "/$id/failed"))[1]{failed}[1],
          { chat_id => 2, status => 400,
            error => 'Bad Request: chat not found' },
          $block->name . ' - error');

# once more

my ($status, $json) = ask(POST => "/$id/failed/again");
is($status, 200, $block->name . ' - again');

is(state_of($id, 'done')->{failed}, 2, $block->name . ' - failed again');



=== TEST 7: a Bot API that answers 500: a chat is tried three times, then it failed
--- config eval: main::cast('tgbot_api /_api/status/500;')
--- then
my $id = make([5]);
my $json = state_of($id, 'done');
is($json->{failed}, 1, $block->name . ' - failed');
is((ask(GET => "/$id/failed"))[1]{failed}[0]{status}, 500,
   $block->name . ' - status');



=== TEST 8: no answer: unknown, and not sent again unless asked for
--- config eval: main::cast('tgbot_api /_api/close;')
--- then
my $id = make([5, 6]);
my $json = state_of($id, 'done');
is($json->{unknown}, 2, $block->name . ' - unknown');
asked('close', 'close');

is_deeply((ask(GET => "/$id/unknown"))[1]{unknown},
          [ { chat_id => 5 }, { chat_id => 6 } ], $block->name . ' - list');

is((ask(POST => "/$id/unknown/again"))[0], 200, $block->name . ' - again');
state_of($id, 'done');
asked('close', 'close');



=== TEST 9: the Bot API cannot be reached: chats wait
--- config eval: main::cast('tgbot_api /_closed;')
--- then
my $id = make([5]);

sleep 1.5;
is(state_of($id, "going")->{sent}, 0, $block->name . " - waits");
is((ask(POST => "/$id/cancel"))[0], 200, $block->name . ' - cancelled');
refused(409, qr/cancelled/, POST => "/$id/go");
refused(409, qr/cancelled/, POST => "/$id/chats", [7]);
becomes(204, 'deleted', sub { (ask(DELETE => "/$id"))[0] });



=== TEST 10: paused, filled by further requests, and gone on
--- config eval: main::cast()
--- then
my $id = make([1, 2], start => JSON::PP::false);

is(state_of($id, 'paused')->{waiting}, 2, $block->name . ' - waits');

my ($status, $json) = ask(POST => "/$id/chats", [2, 3, 3, 4]);
is($status, 200, $block->name . ' - chats');
is($json->{added}, 2, $block->name . ' - added');
is($json->{duplicates}, 2, $block->name . ' - duplicates');

($status, $json) = ask(POST => "/$id/chats", "5\r\n\n 6\n-100\n1",
                       'Content-Type: text/plain; charset=utf-8');
is($json->{added}, 3, $block->name . ' - added by lines');
is($json->{total}, 7, $block->name . ' - total');

asked();

is((ask(POST => "/$id/go"))[1]{state}, 'going', $block->name . ' - goes on');
is(state_of($id, 'done')->{sent}, 7, $block->name . ' - sent');
asked_any(('api sendMessage') x 7);

# further chats of one that is done

ask(POST => "/$id/chats", [8]);
is(state_of($id, 'done')->{sent}, 8, $block->name . ' - one more');



=== TEST 11: a broadcast that is going is not deleted
--- config eval: main::cast('tgbot_api /_api/wait/on/json/%7B%22ok%22:true%7D;')
--- then
my $id = make([1 .. 3]);
becomes(3, 'in flight', sub { (ask(GET => "/$id"))[1]{in_flight} });
refused(409, qr/going or has chats in flight/, DELETE => "/$id");
is((ask(POST => "/$id/pause"))[1]{state}, 'paused', $block->name . ' - paused');
refused(409, qr/going or has chats in flight/, DELETE => "/$id");
TgbotProgram::go('on');
becomes(204, 'deleted', sub { (ask(DELETE => "/$id"))[0] });



=== TEST 12: what is refused, with the element
--- config eval: main::cast()
--- then
refused(400, qr/^element 1 of the chats is "\@durov", expected the id/,
        POST => '', { method => 'sendMessage', chat_ids => [5, '@durov'] });
refused(400, qr/^element 0 of the chats is "1.5"/,
        POST => '', '{"method":"sendMessage","chat_ids":[1.5]}');
refused(400, qr/^element 0 of the chats is neither/,
        POST => '', '{"method":"sendMessage","chat_ids":[[1]]}');
refused(400, qr/^element 0 of the chats is "0"/,
        POST => '', '{"method":"sendMessage","chat_ids":[0]}');
refused(400, qr/no array/,
        POST => '', '{"method":"sendMessage","chat_ids":5}');
refused(400, qr/there is no "method"/, POST => '', '{"chat_ids":[5]}');
refused(400, qr/"method" is "getMe", expected/,
        POST => '', '{"method":"getMe","chat_ids":[5]}');
refused(400, qr/"params" has "chat_id"/,
        POST => '', '{"method":"sendMessage","params":{"chat_id":5}}');
refused(400, qr/"params" is no object/,
        POST => '', '{"method":"sendMessage","params":[]}');
refused(400, qr/the member "chats" is not known/,
        POST => '', '{"method":"sendMessage","chats":[]}');
refused(400, qr/the member "method" is there twice/,
        POST => '', '{"method":"sendMessage","method":"sendMessage"}');
refused(400, qr/"start" is neither/,
        POST => '', '{"method":"sendMessage","start":1}');
refused(400, qr/not JSON/, POST => '', '{"method":"sendMessage",');
refused(400, qr/not JSON/, POST => '', '');
refused(400, qr/expected an object/, POST => '', '[1]');
refused(413, qr/"params" is too long/,
        POST => '', '{"method":"sendMessage","params":{"text":"'
                    . 'x' x 70000 . '"}}');

refused(413, qr/a value is too long/,
        POST => '', '{"method":"' . 'x' x 200000);
refused(413, qr/a value is too long/,
        POST => '', '{"method":"sendMessage","chat_ids":[' . '1' x 200000);

my $id = make([], start => JSON::PP::false);
refused(400, qr/^line 2 of the chats is "\@durov"/,
        POST => "/$id/chats", "5\n\@durov\n6\n", 'Content-Type: text/plain');
refused(400, qr/^line 2 of the chats is "7 9"/,
        POST => "/$id/chats", "5\n7 9\n", 'Content-Type: text/plain');
refused(400, qr/^line 1 of the chats is "7 9"/,
        POST => "/$id/chats", "7\r9\r", 'Content-Type: text/plain');
refused(400, qr/^element 1 of the chats is "x"/,
        POST => "/$id/chats", '[5,"x"]');
refused(400, qr/expected an array/, POST => "/$id/chats", '{}');
is((ask(GET => "/$id"))[1]{total}, 0, $block->name . ' - nothing is added');

refused(404, qr/no such/, POST => '/99/chats', [5]);
refused(404, qr/no such/, POST => '/99/pause');
refused(404, qr/expected nothing/, GET => '/x');
refused(404, qr/expected nothing/, GET => "/$id/x");
refused(405, qr/no such method/, DELETE => '');
refused(405, qr/no such method/, GET => "/$id/chats");

is(scalar @{(ask(GET => ''))[1]{broadcasts}}, 1,
   $block->name . ' - nothing is made by halves');



=== TEST 13: a body that is large, and in a file
--- config eval: main::cast('', 'client_body_buffer_size 1k;')
--- then
my $id = make([map { 1000000000 + $_ } 1 .. 60000], start => JSON::PP::false);
my $json = (ask(GET => "/$id"))[1];
is($json->{total}, 60000, $block->name . ' - total');

my $text = '';
$text .= (1000050000 + $_) . "\n" for 1 .. 20000;

(my $status, $json) = ask(POST => "/$id/chats", $text,
                          'Content-Type: text/plain');
is($status, 200, $block->name . ' - chats');
is($json->{added}, 10000, $block->name . ' - added');
is($json->{duplicates}, 10000, $block->name . ' - duplicates');



=== TEST 14: a full zone makes nothing by halves
--- config eval: main::cast('', '', 'cast:128k')
--- then
refused(507, qr/the zone has no room/, POST => '',
        { method => 'sendMessage', start => JSON::PP::false,
          chat_ids => [1 .. 20000] });

my $id = make([1 .. 100], start => JSON::PP::false);

refused(507, qr/the zone has no room/, POST => "/$id/chats",
        [1000 .. 20000]);

is((ask(GET => "/$id"))[1]{total}, 100, $block->name . ' - as before');
is(scalar @{(ask(GET => ''))[1]{broadcasts}}, 1, $block->name . ' - one');



=== TEST 15: a page of another site cannot make a broadcast
--- config eval: main::cast()
--- then
refused(403, qr/another site/, POST => '/1/pause', '',
        'Origin: http://evil.example');
refused(403, qr/another site/, POST => '', '{}',
        'Sec-Fetch-Site: cross-site');
refused(403, qr/expected an address/, GET => '', undef, 'Host: evil.example');



=== TEST 16: a worker that is killed: what was in flight is unknown, the rest goes on
--- config eval: main::cast('tgbot_api /_api/sleep/1/json/%7B%22ok%22:true%7D;')
--- no_error_log
[crit]
[emerg]
--- then
my $id = make([1 .. 100]);

becomes(1, 'in flight', sub { (ask(GET => "/$id"))[1]{sent} > 0 ? 1 : 0 });

kill_workers();

my $json = state_of($id, 'done');
ok($json->{unknown} > 0 && $json->{unknown} <= 32,
   $block->name . " - $json->{unknown} unknown");
is($json->{sent} + $json->{unknown}, 100, $block->name . ' - all of them');



=== TEST 17: a reload in the middle
--- main_config
worker_shutdown_timeout 30s;
--- config eval: main::cast('tgbot_api /_api/sleep/0.2/json/%7B%22ok%22:true%7D;')
--- then
my $id = make([1 .. 100]);

becomes(1, 'in flight', sub { (ask(GET => "/$id"))[1]{sent} > 0 ? 1 : 0 });

kill HUP => master();

my $json = state_of($id, 'done');

is($json->{sent}, 100, $block->name . ' - each once');
is(scalar(my @all = TgbotProgram::seen() =~ m{^/sleep}mg), 100,
   $block->name . ' - asked');



=== TEST 18: limit_except keeps the location's handler
--- config eval: main::cast('', 'limit_except GET { deny all; }')
--- then
is((ask(GET => ''))[0], 200, $block->name . ' - GET');
is((ask(POST => '', '{}'))[0], 403, $block->name . ' - POST');



=== TEST 19: tgbot_status shows it, and may pause it and let it go on
--- config eval: main::cast('tgbot_api /_api/wait/on/json/%7B%22ok%22:true%7D;')
--- then
my $id = make([1 .. 200], start => JSON::PP::false);

my $bot = status()->{bots}{b};

is_deeply($bot->{broadcasts},
          { going => 0, paused => 1, cancelled => 0, done => 0 },
          $block->name . ' - broadcasts');
is($bot->{broadcast_chats}{waiting}, 200, $block->name . ' - chats');
is($bot->{broadcast_list}[0]{id}, $id, $block->name . ' - list');

my $text = get('/status?format=prometheus');
like($text, qr/^nginx_tgbot_broadcast_chats\{bot="b",state="waiting"\} 200$/m,
     $block->name . ' - prometheus');

for my $action (qw(go pause go cancel)) {
    my ($status, undef, $body) = get("/status/broadcast/b/$id/$action",
                                     ["X-Tgbot-Action: $action"], 'POST');
    is($status, 200, $block->name . " - $action");
    is(JSON::PP->new->decode($body)->{state},
       { go => 'going', pause => 'paused', cancel => 'cancelled' }->{$action},
       $block->name . ' - state');
}

is((get("/status/broadcast/b/$id/go", ['X-Tgbot-Action: go'], 'POST'))[0], 409,
   $block->name . ' - cancelled for good');
is((get("/status/broadcast/b/$id/go", [], 'POST'))[0], 403,
   $block->name . ' - without the header');
is((get("/status/broadcast/b/$id/go"))[0], 405, $block->name . ' - GET');
is((get("/status/broadcast/b/9/go", ['X-Tgbot-Action: go'], 'POST'))[0], 404,
   $block->name . ' - no such broadcast');
is((get("/status/broadcast/x/$id/go", ['X-Tgbot-Action: go'], 'POST'))[0], 404,
   $block->name . ' - no such bot');
TgbotProgram::go('on');



=== TEST 20: tgbot_status without write=on changes nothing
--- config eval: main::cast() . 'location /plain { tgbot_status; }'
--- then
my $id = make([1], start => JSON::PP::false);

is((get("/plain/broadcast/b/$id/go", ['X-Tgbot-Action: go'], 'POST'))[0], 403,
   $block->name . ' - refused');
is((ask(GET => "/$id"))[1]{state}, 'paused', $block->name . ' - paused');



=== TEST 21: chats that are lost with nginx are told of
--- config eval: main::cast()
--- then
make([1, 2], start => JSON::PP::false);
--- shutdown_error_log eval
qr/2 chats of broadcasts that wait are lost with zone "cast", which is no file/



=== TEST 22: two peers got a call that must not be repeated, the last one said 429: unknown
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;
        location / {
            return 500;
        }
    }
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_3;
        location / {
            default_type application/json;
            return 429 '{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":1}}';
        }
    }
    upstream api {
        server 127.0.0.1:$TEST_NGINX_RAND_PORT_2;
        server 127.0.0.1:$TEST_NGINX_RAND_PORT_3;
    }
--- config eval
main::cast('tgbot_api /_no;') . <<'_EOC_'
    location /_no {
        internal;
        proxy_pass http://api;
        proxy_next_upstream http_500 non_idempotent;
    }
_EOC_
--- then
my ($status) = ask(POST => '', { method => 'sendGift', chat_ids => [5],
                                 params => { gift_id => '1' } });
is($status, 201, $block->name . ' - made');
is(state_of(1, 'done')->{unknown}, 1, $block->name . ' - unknown');



=== TEST 23: a pause stops the chats that wait for their turn
--- config eval
main::bot() . <<'_EOC_'
    location /cast {
        tgbot_broadcast b zone=cast:2m;
        tgbot_pace global=1r/s global_burst=1;
    }
_EOC_
--- then
my $id = make([1 .. 25]);

becomes(1, 'sent', sub { (ask(GET => "/$id"))[1]{sent} > 0 ? 1 : 0 });

is((ask(POST => "/$id/cancel"))[1]{state}, 'cancelled',
   $block->name . ' - cancelled');
becomes(0, 'in flight', sub { (ask(GET => "/$id"))[1]{in_flight} });
ok((ask(GET => "/$id"))[1]{waiting} > 0, $block->name . ' - wait');



=== TEST 24: a reload while chats are added
--- config eval: main::cast('', 'client_body_buffer_size 16m;', 'cast:16m')
--- then
my $id = make([], start => JSON::PP::false);

for my $round (1 .. 3) {
    my $text = join "\n", map { 1000000 * $round + $_ } 1 .. 200000;
    my $fill = request('POST', "/cast/$id/chats",
                       ['Content-Type: text/plain'], $text);

    kill HUP => master();

    like(end($fill), qr/"added":200000,/, $block->name . ' - added');
}

is((ask(GET => "/$id"))[1]{total}, 600000, $block->name . ' - total');



=== TEST 25: chats that only waited for their turn are not unknown after a kill
--- config eval
main::bot() . <<'_EOC_'
    location /cast {
        tgbot_broadcast b zone=cast:2m;
        tgbot_pace global=1r/s global_burst=1;
    }
_EOC_
--- no_error_log
[crit]
[emerg]
--- then
my $id = make([1 .. 25]);

becomes(1, 'sent', sub { (ask(GET => "/$id"))[1]{sent} > 0 ? 1 : 0 });

kill_workers();
becomes(1, 'goes on', sub { (ask(GET => "/$id"))[1]{sent} > 2 ? 1 : 0 });

my $json = (ask(GET => "/$id"))[1];

ok($json->{unknown} <= 1, $block->name . " - $json->{unknown} unknown");
ok($json->{in_flight} <= 1, $block->name . " - $json->{in_flight} in flight");



=== TEST 26: a reload does not wait for the calls in flight
--- main_config
worker_shutdown_timeout 60s;
--- config eval: main::cast('tgbot_api /_api/wait/on/json/%7B%22ok%22:true%7D;')
--- then
my $id = make([1 .. 40]);

becomes(32, 'in flight', sub { (ask(GET => "/$id"))[1]{in_flight} });

kill HUP => master();

becomes(40, 'in flight, under two workers',
        sub { (ask(GET => "/$id"))[1]{in_flight} });
TgbotProgram::go('on');

my $json = state_of($id, 'done');
is($json->{sent}, 40, $block->name . ' - each once');
is(scalar(my @all = TgbotProgram::seen() =~ m{^/wait}mg), 40,
   $block->name . ' - asked');



=== TEST 27: many chats are tried again, in slices
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;

        location / {
            default_type application/json;
            return 400 '{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}';
        }
    }
--- config eval
main::cast('tgbot_api /_no;') . <<'_EOC_'
    location /_no {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2;
    }
_EOC_
--- then
my $id = make([1 .. 2000]);
is(state_of($id, 'done')->{failed}, 2000, $block->name . ' - failed');
is((ask(POST => "/$id/pause"))[0], 200, $block->name . ' - paused');

my ($status, $json) = ask(POST => "/$id/failed/again");
is($status, 200, $block->name . ' - again');
is($json->{waiting}, 2000, $block->name . ' - all wait');

logged("broadcast $id: 2000 chats are tried again", 1);



=== TEST 28: a method that the Bot API does not know pauses the broadcast
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;

        location / {
            default_type application/json;
            return 404 '{"ok":false,"error_code":404,"description":"Not Found"}';
        }
    }
--- config eval
main::cast('tgbot_api /_no;') . <<'_EOC_'
    location /_no {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2;
    }
_EOC_
--- then
my $id = make([1 .. 300], method => 'sendMesage');

my $json = state_of($id, 'paused');
is($json->{error}, '404 Not Found', $block->name . ' - error');

becomes(0, 'in flight', sub { (ask(GET => "/$id"))[1]{in_flight} });
is((ask(GET => "/$id"))[1]{waiting}, 300, $block->name . ' - all wait');

logged("broadcast $id is paused, as sendMesage was answered with 404: "
       . '"Not Found"', 1);

is((ask(POST => "/$id/cancel"))[1]{error}, undef, $block->name . ' - cancelled');



=== TEST 29: calls of a broadcast that are tried again are not given up
--- config eval
main::cast('tgbot_api /_no; tgbot_retry_on off;') . <<'_EOC_'
    location /_no {
        internal;
        return 403;
    }
_EOC_
--- then
my $id = make([1 .. 100]);

my $lines = sub {
    open my $in, '<', $Test::Nginx::Util::ErrLogFile or die "no log: $!\n";

    return scalar grep { /was answered with 403 by nginx itself/ } <$in>;
};

becomes(1, 'tried more than once', sub { $lines->() > 1 ? 1 : 0 });

ok($lines->() < 10, $block->name . ' - ' . $lines->() . ' lines');

like(get('/status?format=prometheus'),
     qr/^nginx_tgbot_api_calls_given_up_total\{bot="b"\} 0$/m,
     $block->name . ' - given up');

my $chats = status()->{bots}{b}{broadcast_chats};

is($chats->{waiting} + $chats->{in_flight}, 100, $block->name . ' - all wait');



=== TEST 30: two bots share a zone: it is told of once, with all chats
--- config eval
main::cast() . main::bot('tgbot_token 2:TOKEN;', 'c') . <<'_EOC_'
    location /second {
        tgbot_broadcast c zone=cast;
    }
_EOC_
--- then
make([1, 2], start => JSON::PP::false);
like(end(request('POST', '/second', ['Content-Type: application/json'],
                 '{"method":"sendMessage","chat_ids":[7],"start":false}')),
     qr/ 201 /, $block->name . ' - made');
--- shutdown_error_log eval
qr/ 3 chats of broadcasts that wait are lost with zone "cast", which is no file/



=== TEST 31: a chat whose calls fail is tried three times, also if repeats have no turn
--- config eval
main::bot('tgbot_api /_api/status/502;') . <<'_EOC_'
    location /cast {
        tgbot_broadcast b zone=cast:2m;
        tgbot_pace chat=2r/s chat_burst=1;
        tgbot_retry attempts=3 backoff=20ms max_backoff=50ms life=200ms;
    }
_EOC_
--- then
my $id = make([5]);
is(state_of($id, 'done')->{failed}, 1, $block->name . ' - failed');
is((ask(GET => "/$id/failed"))[1]{failed}[0]{status}, 502,
   $block->name . ' - status');



=== TEST 32: a creation that is repeated with its Idempotency-Key makes one broadcast
--- config eval
main::cast() =~ s/(zone=cast:2m)/$1 idempotency=keys:1m/r
--- then
my @key = ('Content-Type: application/json', 'Idempotency-Key: monday');
my $body = { method => 'sendMessage', params => { text => 'hi' },
             chat_ids => [7, 9] };

my ($status, $first) = ask(POST => '', $body, @key);
is($status, 201, $block->name . ' - made');

state_of($first->{id}, 'done');

my ($again, $json) = ask(POST => '', $body, @key);
is($again, 201, $block->name . ' - again');
is_deeply($json, $first, $block->name . ' - the same answer');

refused(422, qr/this Idempotency-Key was used for another call/,
        POST => '', { %$body, chat_ids => [8] }, @key);

# a key says nothing for other requests

is((ask(POST => "/$first->{id}/chats", [11], @key))[0], 200,
   $block->name . ' - chats');
is(scalar @{(ask(GET => ''))[1]{broadcasts}}, 1, $block->name . ' - one');

# what was refused made nothing: the key is free

$key[1] = 'Idempotency-Key: tuesday';

refused(400, qr/there is no "method"/, POST => '', { chat_ids => [7] }, @key);
is((ask(POST => '', $body, @key))[1]{id}, 2, $block->name . ' - another');

refused(400, qr/Idempotency-Key has to be one header/, POST => '', $body,
        @key, 'Idempotency-Key: wednesday');

like(get('/status?format=prometheus'),
     qr/^nginx_tgbot_idempotency_total\{bot="b",result="repeated"\} 1$/m,
     $block->name . ' - counted');



=== TEST 33: many creations with one Idempotency-Key at once make one broadcast
--- config eval
main::cast() =~ s/(zone=cast:2m)/$1 idempotency=keys:1m/r
--- then
my $body = JSON::PP->new->encode({ method => 'sendMessage',
                                   start => JSON::PP::false,
                                   chat_ids => [1 .. 50000] });

my @answers = map { end($_) } map {
    request('POST', '/cast', ['Content-Type: application/json',
                              'Idempotency-Key: monday'], $body)
} 1 .. 5;

for my $answer (@answers) {
    like($answer, qr/ 201 .*"id":1,.*"added":50000,/s, $block->name . ' - made');
}

is(scalar @{(ask(GET => ''))[1]{broadcasts}}, 1, $block->name . ' - one');



=== TEST 34: params that are not UTF-8 are refused, what is shown is cut between characters
--- config eval: main::cast()
--- then
my @json = ('Content-Type: application/json');

for my $text ("\xff", "caf\xe9", "\xc0\xaf", "\xed\xa0\x80", "\xf0\x9f\x98") {
    refused(400, qr/^byte \d+ of "params" is no UTF-8, expected JSON in UTF-8$/,
            POST => '', qq({"method":"sendMessage","params":{"text":"$text"},)
                        . '"chat_ids":[7]}', @json);
}

is((ask(POST => '', '{"method":"sendMessage","params":{"text":"'
                    . "caf\xc3\xa9 \xf0\x9f\x98\x80" . '"}}', @json))[0], 201,
   $block->name . ' - UTF-8');

refused(400, qr/member "x{63}" is not known/, POST => '',
        '{"' . 'x' x 63 . "\xc3\xa9" . '":1}', @json);
refused(400, qr/"method" is "x{62}"/, POST => '',
        '{"method":"' . 'x' x 62 . "\xe2\x82\xac" . '"}', @json);
refused(400, qr/element 0 of the chats is "\@x{62}"/, POST => '',
        '{"method":"sendMessage","chat_ids":["@' . 'x' x 62 . "\xc3\xa9"
        . '"]}', @json);
