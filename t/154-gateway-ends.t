# tgbot_gateway: calls in whose middle the program, nginx or the Bot API goes
# away, and answers that are passed on while they come.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotSteps;

use IO::Select;
use Time::HiRes qw(time sleep);

# the Bot API does what the name of the method says

our $does = '
    map $tgbot_method $does {
        volatile;
        default        json/%7B%22ok%22:true%7D;
        sendHeld       wait/go/json/%7B%22ok%22:true%7D;
        sendFlood      flood/3;
        sendLarge      keep/big/6000000;
        sendHuge       keep/big/30000000;
        sendUnsized    big/6000000;
        sendCut        length/3000000/big/2000000;
        sendChunk      chunked/big/2000000;
        sendRefused    status/400;
        sendClosed     close;
        sendGroup      code/400/json/%7B%22parameters%22:%7B%22migrate_to_chat_id%22:-1005%7D%7D;
        sendMoved      wait/go/code/400/json/%7B%22parameters%22:%7B%22migrate_to_chat_id%22:-1005%7D%7D;
        sendEnd        signal/QUIT/sleep/1/json/%7B%22ok%22:true%7D;
        sendReload     signal/HUP/sleep/1/json/%7B%22ok%22:true%7D;
    }
    proxy_max_temp_file_size 0;
';

TgbotSteps::start(
    request => 'GET /status',
    main    => "worker_shutdown_timeout ${slowness}0s;",
    real_time => 1,
    webhook => {
        tgbot_token => '1:TOKEN',
        tgbot_api   => '/_does',
    });

sub gateway {
    my ($more, $parameters, $location) = @_;

    $parameters //= '';
    $more //= '';
    $location //= '';

    return bot() . <<"_EOC_";
    location = /_does {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/\$does;
        $location
    }
    location /g/ {
        tgbot_gateway b $parameters;
        $more
    }
_EOC_
}

# a call, whose answer end() takes; the connection is kept with "keep"

sub call {
    my ($method, %of) = @_;

    return request('POST', "/g/$method",
                   [ 'Content-Type: application/json', @{$of{headers} // []} ],
                   '{"chat_id":7}');
}

# an upload that is too large for memory

my $form = CORE::join "\r\n",
    '--b', 'Content-Disposition: form-data; name="photo"; filename="p"',
    '', 'x' x 2000000,
    '--b', 'Content-Disposition: form-data; name="chat_id"', '', '7',
    '--b--', '';
my $form_type = 'Content-Type: multipart/form-data; boundary=b';

sub upload {
    my ($uri, $file) = @_;

    return end(request('POST', $uri, [ $form_type ],
                       defined $file ? $form =~ s/x+/$file/r : $form));
}

# that is whole only when the worker has been told to end

sub upload_at_end {
    my ($uri, @headers) = @_;

    my $socket = request('POST', $uri,
                         [ $form_type, 'Content-Length: ' . length $form,
                           @headers ]);

    print $socket substr $form, 0, -1;
    $socket->flush;
    logged('is buffered to a temporary file', 1);

    kill QUIT => master();
    logged('gracefully shutting down', 1);

    print $socket substr $form, -1;
    $socket->flush;

    like(end($socket), qr/\{"ok":true\}$/, $block->name . ' - answered');
}

# the books of calls to the Bot API, once none is in flight

sub books {
    my ($want) = @_;

    becomes($want, 'calls', sub {
        my $of = status()->{bots}{b};
        my $calls = { %{$of->{calls_total}{api}},
                      inflight => $of->{calls_inflight}{api} };

        return CORE::join ' ', map { $calls->{$_} ? "$_ $calls->{$_}" : () }
                                   sort keys %$calls;
    });
}

sub passed {
    my ($answer, $size) = @_;

    my ($head, $body) = split /\r\n\r\n/, $answer, 2;

    like($head, qr{^HTTP/1.1 200 }, $block->name . ' - status');
    is(length $body, $size, $block->name . ' - size');

    return $head;
}

# reads an answer of some bytes a little at a time

sub slowly {
    my ($socket, $size) = @_;

    my $answer = '';

    while (sysread $socket, $answer, 65536, length $answer) {
        sleep 0.005;
    }

    return $answer;
}

master_on();
workers(1);
worker_connections(1024);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: a program hangs up, the call that was sent runs to its end
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
my $socket = call('sendHeld');
until_asked(qr{^/wait/go}m);
close $socket;
books('inflight 1 started 1');
logged('client prematurely closed connection', 1);
TgbotProgram::go('go');
books('ok 1 started 1');
--- no_error_log
[error]



=== TEST 2: a program hangs up, the call is not repeated
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
my $socket = call('sendFlood');
logged('is retried in 3000 ms', 1);
close $socket;
logged('client prematurely closed connection', 1);
books('failed 1 started 1');

# the next call of the chat goes when the first one would have been repeated

like(end(call('sendMessage')), qr/\{"ok":true\}$/, $block->name . ' - the next');
asked('flood/3', 'json/%7B%22ok%22:true%7D');



=== TEST 3: a program hangs up, the call that waits for another one is not made
--- config eval: main::gateway()
--- http_config eval: "$::does tgbot_max_calls 1;"
--- then
my $first = call('sendHeld');
until_asked(qr{^/wait/go}m);
my $second = call('sendMessage');
my $third = call('sendPhoto');
books('inflight 1 started 1');
close $second;
logged('client prematurely closed connection', 1);
TgbotProgram::go('go');
like(end($first), qr/\{"ok":true\}$/, $block->name . ' - first');
like(end($third), qr/\{"ok":true\}$/, $block->name . ' - third');
books('ok 2 started 2');



=== TEST 4: the program waits for no longer than it is told to, the call runs to its end
--- config eval: main::gateway('', 'timeout=300ms')
--- http_config eval: $::does
--- then
my $socket = call('sendHeld');
my $answer = '';
1 while $answer !~ /\}$/ && sysread $socket, $answer, 65536, length $answer;
like($answer, qr{^HTTP/1.1 504 }, $block->name . ' - status');
like($answer, qr/^Connection: close\r$/m, $block->name . ' - the last one');
like($answer, qr/\{"ok":false,"error_code":504,"description":"Gateway Timeout: [^"]+"\}$/,
     $block->name . ' - shape');
books('inflight 1 started 1');
TgbotProgram::go('go');
books('ok 1 started 1');



=== TEST 5: nor for a call that was not sent
--- config eval: main::gateway('', 'timeout=300ms')
--- http_config eval: "$::does tgbot_max_calls 1;"
--- then
my $first = call('sendHeld');
until_asked(qr{^/wait/go}m);
my $answer = end(call('sendMessage'));
like($answer, qr{^HTTP/1.1 504 }, $block->name . ' - status');
TgbotProgram::go('go');
end($first);
books('ok 1 started 1');
asked('wait/go/json/%7B%22ok%22:true%7D');



=== TEST 6: a large answer is passed on as fast as the program takes it
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
my $head = passed(slowly(call('sendLarge')), 6000000);
like($head, qr/^Content-Length: 6000000\r$/m, $block->name . ' - length');
books('ok 1 started 1');



=== TEST 7: without a length, unbuffered, with a rate, and compressed
--- config eval
main::gateway('', '', 'proxy_buffering off;')
. 'location /rate/ { tgbot_gateway b; limit_rate 3m; }
   location /zip/ { tgbot_gateway b; gzip on; gzip_types *; }'
--- http_config eval: $::does
--- then
passed(slowly(call('sendLarge')), 6000000);
passed(slowly(call('sendUnsized')), 6000000);
passed(slowly(request('GET', '/rate/sendLarge', [])), 6000000);

my $head = passed(slowly(request('GET', '/zip/sendLarge',
                                 [ 'Accept-Encoding: gzip' ])) =~ s/\r\n\r\n\K.*//sr, 0);
like($head, qr/^Content-Encoding: gzip\r?$/m, $block->name . ' - compressed');
books('ok 4 started 4');



=== TEST 8: a large answer waits in a file if nginx is told so
--- config eval: main::gateway('', '', 'proxy_max_temp_file_size 100m; sendfile on;')
--- http_config eval: $::does
--- then
passed(slowly(call('sendLarge')), 6000000);
books('ok 1 started 1');



=== TEST 9: a program goes in the middle of an answer
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
my $socket = call('sendLarge');
sysread $socket, my $some, 65536;
close $socket;
books('ok 1 started 1');
passed(end(call('sendLarge')), 6000000);



=== TEST 10: an answer that is cut short is cut short for the program
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
my $head = passed(end(call('sendCut')), 2000000);
like($head, qr/^Content-Length: 3000000\r$/m, $block->name . ' - length');
logged('sendCut is given up after 0 failures: the answer was cut short', 1);

my $answer = end(call('sendChunk'));
like($answer, qr/^Transfer-Encoding: chunked\r$/m, $block->name . ' - chunks');
unlike($answer, qr/\r\n0\r\n\r\n\z/, $block->name . ' - no last chunk');
books('started 2 unknown 2');



=== TEST 11: a connection is kept, and calls in a row are answered in a row
--- config eval: main::gateway()
--- http_config eval: $::does
--- pipelined_requests eval
["POST /g/sendMessage\n{\"chat_id\":7}", "GET /g/sendLarge", "GET /g/getMe"]
--- response_body eval
['{"ok":true}', '{"x":"' . 'x' x (6000000 - 8) . '"}', '{"ok":true}']



=== TEST 12: HTTP/2
--- config eval
main::gateway() . 'listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2 http2;'
--- http_config eval: $::does
--- then
my $curl = "curl -s --http2-prior-knowledge -H 'Expect:'";
my $port = $Test::Nginx::Util::RandPorts->{TEST_NGINX_RAND_PORT_2};
my $url = "http://127.0.0.1:$port/g";
is(`$curl -d chat_id=7 $url/sendMessage`, '{"ok":true}', $block->name);
is(length `$curl --limit-rate 20M $url/sendLarge`, 6000000,
   $block->name . ' - large');
`$curl -o /dev/null $url/sendCut`;
isnt($?, 0, $block->name . ' - cut short');

my $left = open(my $held, '-|', "exec $curl $url/sendHeld") // die "curl: $!";
until_asked(qr{^/wait/go}m);
kill TERM => $left;
close $held;
TgbotProgram::go('go');
books('ok 3 started 4 unknown 1');



=== TEST 13: nginx is told to end
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
my $socket = call('sendEnd');
like(end($socket), qr/\{"ok":true\}$/, $block->name . ' - answered');



=== TEST 14: nginx reads its configuration again
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
my $socket = call('sendReload');
like(end($socket), qr/\{"ok":true\}$/, $block->name . ' - answered');
like(end(call('sendMessage')), qr/\{"ok":true\}$/, $block->name . ' - the next');



=== TEST 15: a call does not keep nginx longer than worker_shutdown_timeout
--- main_config
worker_shutdown_timeout 500ms;
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
my $held = call('sendHeld');
until_asked(qr{^/wait/go}m);
my $gone = call('sendHeld');
until_asked(qr{^/wait/go.*^/wait/go}ms);
close $gone;
my ($worker) = workers_of();
kill QUIT => master();
is(end($held), '', $block->name . ' - closed');
becomes(0, 'the worker has ended', sub { kill(0, $worker) ? 1 : 0 });



=== TEST 16: nginx sends a call in a query, as any other one, to one peer only
--- config eval
main::bot('tgbot_api /_two;')
. 'location = /_two { internal; proxy_pass http://two/$does; }
   location /g/ { tgbot_gateway b; tgbot_retry_on off; }'
--- http_config eval
$::does . 'upstream two {
    server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
    server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
}'
--- then
like(get('/g/sendClosed?chat_id=7'), qr{^HTTP/1.1 502 }, $block->name);
books('started 1 unknown 1');
asked('close');



=== TEST 17: a program that does not wait any more, a migrated chat does not get the call
--- config eval
main::gateway() . 'location /short/ { tgbot_gateway b timeout=300ms; }'
--- http_config eval: $::does
--- then
my $socket = call('sendMoved');
until_asked(qr{^/wait/go}m);
my $short = request('GET', '/short/sendMoved?chat_id=7', []);
like(<$short>, qr{^HTTP/1.1 504 }, $block->name);
close $socket;
logged('client prematurely closed connection', 1);
TgbotProgram::go('go');
books('failed 2 started 2');



=== TEST 18: an answer that is passed on may take longer than tgbot_call_timeout
--- config eval
main::gateway('limit_rate 2m;') . 'tgbot_call_timeout 1s;'
--- http_config eval: $::does
--- then
passed(end(call('sendLarge')), 6000000);
books('ok 1 started 1');



=== TEST 19: nginx is told to end while it looks for the chat of an upload
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
upload_at_end('/g/sendPhoto');



=== TEST 20: or while it compares the upload with another one
--- config eval: main::gateway('', 'idempotency=keys:1m')
--- http_config eval: $::does
--- then
upload_at_end('/g/sendPhoto?chat_id=7', 'Idempotency-Key: one');



=== TEST 21: a program that takes nothing any more is given up after send_timeout
--- config eval
main::gateway('', '', 'proxy_max_temp_file_size 100m;') . 'send_timeout 2s;'
--- http_config eval: $::does
--- then
my $socket = call('sendHuge');
books('started 1 unknown 1');
cmp_ok(length end($socket), '<', 30000000, $block->name . ' - cut short');



=== TEST 22: a program goes in the middle of an answer that threads write and read
--- config eval
main::gateway('aio threads; sendfile on;', '',
              'proxy_max_temp_file_size 100m; aio threads; aio_write on;')
--- http_config eval: $::does
--- then
for (1 .. 3) {
    my $socket = call('sendHuge');
    sysread $socket, my $some, 65536;
    close $socket;
}
books('ok 3 started 3');
passed(slowly(call('sendLarge')), 6000000);



=== TEST 23: an upload for a migrated chat goes to no other peer
--- config eval
main::bot('tgbot_api /_two;')
. 'location = /_two {
       internal;
       proxy_pass http://two/$does;
       proxy_next_upstream error non_idempotent;
   }
   location /g/ { tgbot_gateway b; client_max_body_size 8m; }'
--- http_config eval
$::does . 'upstream two {
    server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
    server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
}'
--- then
like(upload('/g/sendGroup'), qr{^HTTP/1.1 400 .*"migrate_to_chat_id":-1005}s,
     $block->name);
like(upload('/g/sendGroup', 'small'), qr{^HTTP/1.1 400 }, $block->name . ' - in memory');
books('failed 3 started 3');



=== TEST 24: what is not counted by the name of a method
--- config eval: main::gateway()
--- http_config eval: $::does
--- then
get('/g/file/botx/photo.jpg');
get('/g/getMe');
get('/g/getNothing');
becomes('file getMe other', 'methods', sub {
    my $calls = status()->{bots}{b}{api_calls_total};

    CORE::join ' ', sort grep { $calls->{$_}{ok} } keys %$calls;
});



=== TEST 25: a call has nothing of the one before it, which another bot made
--- http_config
    map  $http_host $mapped {
        default    "";
        localhost  first;
    }

    server {
        listen       $TEST_NGINX_SERVER_PORT;
        server_name  other;

        proxy_set_header  X-Mapped  $mapped;
        proxy_set_header  X-Set     $note;
        proxy_set_header  X-Lasts   $http_idempotency_key$content_type$arg_k;

        uninitialized_variable_warn  off;

        location = /c {
            tgbot_webhook  c;
            tgbot_token    2:OTHER;
            tgbot_handler  /_api;
            tgbot_api      /_api;
        }

        location = /_api {
            internal;
            proxy_pass  http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/dump;
        }

        location /g/ {
            tgbot_gateway  c;
        }
    }
--- config eval
main::bot('tgbot_api /_api?k=first;') . '
    set  $note  first;

    location = /_api {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/dump;

        proxy_set_header  X-Mapped  $mapped;
        proxy_set_header  X-Set     $note;
        proxy_set_header  X-Lasts   $content_type$arg_k$uri$tgbot_bot;
    }

    location /g/ {
        tgbot_gateway  b;
    }'
--- then
sub dumped {
    my ($answer) = @_;

    my $text = JSON::PP->new->decode($answer =~ s/^.*?\r\n\r\n//sr)->{text};

    # newer versions of nginx keep the connection

    return $text =~ s/ HTTP\/1\.[01]$//mr =~ s/^Connection: .*\n//mr;
}

for my $turn (1 .. 3) {
    is(dumped(end(call('sendMessage'))), <<"_EOC_" . '{"chat_id":7}', $block->name . " - $turn, the first");
POST /dump?k=first
Accept-Encoding: identity
Content-Length: 13
Content-Type: application/json
Host: 127.0.0.1:$ENV{TEST_NGINX_PROGRAM_PORT}
X-Lasts: application/jsonfirst/_apib
X-Mapped: first
X-Set: first

_EOC_
    is(dumped(end(request('GET', '/g/getMe', [ 'Host: other' ]))), <<"_EOC_", $block->name . " - $turn, the other one");
GET /dump
Accept-Encoding: identity
Content-Length: 0
Host: 127.0.0.1:$ENV{TEST_NGINX_PROGRAM_PORT}

_EOC_
}
