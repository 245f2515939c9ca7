# The program's faults, and what Telegram is told of them.

use lib 't/lib';
use File::Temp;
use IO::Socket::INET;
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;
use TgbotProgram;

TgbotProgram::start($Test::Nginx::Util::PidFile);
TgbotProgram::blocks(one => 1);

# one who does not accept: its queue is full

our $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp',
                                  Listen => 1) or die "cannot listen: $!\n";
our @queue = map {
    IO::Socket::INET->new(PeerAddr => '127.0.0.1', Proto => 'tcp',
                          PeerPort => $deaf->sockport, Blocking => 0)
} 1 .. 4;

$ENV{TEST_NGINX_DEAF_PORT} = $deaf->sockport;

# a webhook whose program is at the path that the text of a message says

sub config {
    my ($location, $server) = @_;

    $location //= '';
    $location = "proxy_pass http://PROGRAM/; $location"
        unless $location =~ /proxy_pass/;

    my $config = <<"_EOC_";
    location = /tg {
        tgbot_webhook       b;
        tgbot_secret_token  off;
        tgbot_handler       /_program/\$tgbot_text;

        add_header  X-Verdict  \$tgbot_verdict  always;
    }

    location /_program/ {
        internal;
        proxy_read_timeout  1s;
        $location
    }

    location = /seen {
        proxy_pass http://PROGRAM/seen;
    }

    @{[$server // '']}
_EOC_

    $config =~ s/PROGRAM/127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/g;

    return $config;
}

sub post {
    my $text = shift;

    return "POST /tg\n" . '{"update_id":1,"message":{"message_id":2,'
           . '"chat":{"id":7,"type":"private"},"text":"' . $text . '"}}';
}

sub query {
    my ($type, $text) = @_;

    return "POST /tg\n" . '{"update_id":1,"' . $type . '":{"id":"1",'
           . '"from":{"id":7},"query":"' . $text . '"}}';
}

our %code = (done => 200, busy => 503, failed => 500);

# what is made of each status of the program

our @statuses = (
    200 => 'done',   201 => 'done',   202 => 'done',   204 => 'done',
    301 => 'busy',   302 => 'busy',   304 => 'busy',   307 => 'busy',
    400 => 'failed', 401 => 'busy',   402 => 'failed', 403 => 'busy',
    404 => 'busy',   405 => 'busy',   406 => 'failed', 408 => 'failed',
    409 => 'failed', 410 => 'failed', 413 => 'failed', 415 => 'busy',
    421 => 'busy',   422 => 'failed', 429 => 'busy',   451 => 'failed',
    499 => 'failed', 500 => 'failed', 501 => 'failed', 502 => 'busy',
    503 => 'busy',   504 => 'busy',   505 => 'failed', 520 => 'failed',
    599 => 'failed', 999 => 'failed', 200 => 'done',
);

# and of what is wrong otherwise

our @faults = (
    'reset'                                    => 'failed',
    'close'                                    => 'failed',
    'part'                                     => 'failed',
    'garbage'                                  => 'failed',
    'stall'                                    => 'failed',
    'length/100/say/x'                         => 'failed',
    'chunked/say/x'                            => 'failed',
    'length/100/status/503'                    => 'failed',
    'header/Transfer-Encoding/chunked/say/x'   => 'failed',
    'header/X-Long/' . 'x' x 9000 . '/say/x'   => 'failed',
    'big/1048576'                              => 'done',
    'big/1048577'                              => 'failed',
    'big/10000000'                             => 'failed',
    'chunked/big/10000000'                     => 'failed',
    'keep/big/10000000'                        => 'failed',
    'say/x'                                    => 'done',
);

sub keys_of { my %i; return grep { ++$i{x} % 2 } @_ }
sub values_of { my %i; return grep { ++$i{x} % 2 == 0 } @_ }

# of every verdict: its code, and whether to come again

sub codes { return [ map { $code{$_} } values_of(@_) ] }

sub headers {
    return [ map {
        "X-Verdict: $_\nRetry-After: " . ($_ eq 'busy' ? '[1-5]' : '()')
    } values_of(@_) ];
}

sub statuses { return [ map { post("status/$_") } keys_of(@statuses) ] }

# only what is handled is answered with a call

sub bodies {
    my %table = @statuses;

    return [ map {
        $table{$_} ne 'done' || $_ == 204 ? ''
            : '{"method":"sendMessage","chat_id":7,"text":"of status '
              . $_ . '"}'
    } keys_of(@statuses) ];
}

our $rides = '{"method":"sendMessage","chat_id":7,"text":"x"}';

TgbotLogged::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: statuses, over one connection
--- config eval: main::config()
--- pipelined_requests eval: main::statuses()
--- response_headers_like eval: main::headers(@main::statuses)
--- response_body eval: main::bodies()
--- error_code eval: main::codes(@main::statuses)



=== TEST 2: unbuffered
--- config eval: main::config('proxy_buffering off;')
--- pipelined_requests eval: main::statuses()
--- response_headers_like eval: main::headers(@main::statuses)
--- response_body eval: main::bodies()
--- error_code eval: main::codes(@main::statuses)



=== TEST 3: with proxy_intercept_errors
--- config eval: main::config('proxy_intercept_errors on;')
--- pipelined_requests eval: main::statuses()
--- response_headers_like eval: main::headers(@main::statuses)
--- response_body eval: main::bodies()
--- error_code eval: main::codes(@main::statuses)



=== TEST 4: with an error_page that says all is well
--- config eval
main::config('proxy_intercept_errors on;', '
    error_page 301 302 400 401 402 403 404 405 406 408 409 410 413 415 421 422
               429 451 500 501 502 503 504 505 =200 /sorry;
    location = /sorry {
        default_type application/json;
        return 200 "{\"method\":\"sendMessage\",\"text\":\"sorry\"}";
    }')
--- pipelined_requests eval: main::statuses()
--- response_headers_like eval: main::headers(@main::statuses)
--- response_body eval: main::bodies()
--- error_code eval: main::codes(@main::statuses)



=== TEST 5: with one that is inherited and intercepts nothing
--- config eval
main::config('', '
    error_page 500 502 503 504 =200 /sorry;
    location = /sorry { return 200 "sorry"; }')
--- pipelined_requests eval: main::statuses()
--- response_headers_like eval: main::headers(@main::statuses)
--- response_body eval: main::bodies()
--- error_code eval: main::codes(@main::statuses)



=== TEST 6: with one that leads to a named location
--- config eval
main::config('proxy_intercept_errors on;', '
    error_page 404 500 503 = @sorry;
    location @sorry { return 200 "sorry"; }')
--- pipelined_requests eval
[ map { main::post("status/$_") } 404, 500, 503, 200 ]
--- response_headers eval
[ map { "X-Verdict: $_" } qw(busy failed busy done) ]
--- error_code eval: [503, 500, 503, 200]



=== TEST 7: broken answers, over one connection
--- config eval: main::config()
--- pipelined_requests eval
[ map { main::post($_) } main::keys_of(@main::faults) ]
--- response_headers_like eval: main::headers(@main::faults)
--- error_code eval: main::codes(@main::faults)
--- timeout: 10



=== TEST 8: unbuffered
--- config eval: main::config('proxy_buffering off;')
--- pipelined_requests eval
[ map { main::post($_) } main::keys_of(@main::faults) ]
--- response_headers_like eval: main::headers(@main::faults)
--- error_code eval: main::codes(@main::faults)
--- timeout: 10



=== TEST 9: HTTP/1.1, with connections that are kept
--- http_config
    upstream program {
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
        keepalive 4;
    }
--- config eval
main::config('proxy_pass http://program/; proxy_http_version 1.1;
              proxy_set_header Connection "";')
--- pipelined_requests eval
[ map { main::post($_) } main::keys_of(@main::faults) ]
--- response_headers_like eval: main::headers(@main::faults)
--- error_code eval: main::codes(@main::faults)
--- timeout: 10



=== TEST 10: both
--- http_config
    upstream program {
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
        keepalive 4;
    }
--- config eval
main::config('proxy_pass http://program/; proxy_http_version 1.1;
              proxy_set_header Connection ""; proxy_buffering off;')
--- pipelined_requests eval
[ map { main::post($_) } main::keys_of(@main::faults) ]
--- response_headers_like eval: main::headers(@main::faults)
--- error_code eval: main::codes(@main::faults)
--- timeout: 10



=== TEST 11: with temporary files
--- config eval
main::config('proxy_buffers 2 4k; proxy_busy_buffers_size 4k;
              proxy_buffer_size 4k;')
--- pipelined_requests eval
[ map { main::post($_) } main::keys_of(@main::faults) ]
--- response_headers_like eval: main::headers(@main::faults)
--- error_code eval: main::codes(@main::faults)
--- timeout: 10



=== TEST 12: with an error_page that says all is well
--- config eval
main::config('proxy_intercept_errors on;', '
    error_page 500 502 504 =200 /sorry;
    location = /sorry { return 200 "sorry"; }')
--- pipelined_requests eval
[ map { main::post($_) } main::keys_of(@main::faults) ]
--- response_headers_like eval: main::headers(@main::faults)
--- error_code eval: main::codes(@main::faults)
--- timeout: 10



=== TEST 13: larger than tgbot_response_size says
--- config eval
main::config() =~ s/(tgbot_webhook)/tgbot_response_size 1k; $1/r
--- pipelined_requests eval
[ map { main::post("big/$_") } 1024, 1025, 100000, 100 ]
--- response_headers eval
[ map { "X-Verdict: $_" } qw(done failed failed done) ]
--- error_code eval: [200, 500, 500, 200]



=== TEST 14: nobody there
--- config eval
main::config('proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/;')
--- pipelined_requests eval: [(main::post('x')) x 3]
--- response_headers_like eval: main::headers((x => 'busy') x 3)
--- error_code eval: [503, 503, 503]



=== TEST 15: nobody there, and an error_page that says all is well
--- config eval
main::config('proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/;', '
    error_page 502 =200 /sorry;
    location = /sorry { return 200 "sorry"; }')
--- request eval: main::post('x')
--- response_headers
X-Verdict: busy
--- error_code: 503
--- error_log
bot "b", update 1: the program is unavailable: no connection to the upstream



=== TEST 16: no live upstreams
--- http_config
    upstream program {
        server 127.0.0.1:$TEST_NGINX_RAND_PORT_1 max_fails=1;
        server 127.0.0.1:$TEST_NGINX_RAND_PORT_2 max_fails=1;
    }
--- config eval: main::config('proxy_pass http://program/;')
--- pipelined_requests eval: [(main::post('x')) x 3]
--- response_headers_like eval: main::headers((x => 'busy') x 3)
--- error_code eval: [503, 503, 503]



=== TEST 17: one of two is there
--- http_config
    upstream program {
        server 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
    }
--- config eval: main::config('proxy_pass http://program/;')
--- pipelined_requests eval: [(main::post('say/x')) x 3]
--- response_body eval: [($main::rides) x 3]



=== TEST 18: the name does not resolve
--- config eval
main::config('resolver 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
              resolver_timeout 300ms; set $name nowhere.example;
              proxy_pass http://$name/;')
--- pipelined_requests eval: [(main::post('x')) x 2]
--- response_headers_like eval: main::headers((x => 'busy') x 2)
--- error_code eval: [503, 503]



=== TEST 19: a name without a resolver, and an address that is none
Angie has one that nobody configured: it may find nothing, in no time.
--- config eval
main::config('resolver_timeout 1s; proxy_pass http://$tgbot_text;')
--- pipelined_requests eval
[ map { main::post($_) } "nowhere.example", "127.0.0.1:99999", ":::/x" ]
--- response_headers_like eval: main::headers((x => 'busy') x 3)
--- error_code eval: [503, 503, 503]



=== TEST 20: no connection in time
--- config eval
main::config('proxy_pass http://127.0.0.1:$TEST_NGINX_DEAF_PORT/;
              proxy_connect_timeout 300ms;')
--- request eval: main::post('x')
--- response_headers_like
X-Verdict: busy
Retry-After: [1-5]
--- error_code: 503
--- error_log
upstream timed out (110: Connection timed out) while connecting to upstream
the program is unavailable: no connection to the upstream



=== TEST 21: no answer in time
--- config eval: main::config('proxy_read_timeout 300ms;') =~ s/proxy_read_timeout  1s;//r
--- request eval: main::post('stall')
--- response_headers_like
X-Verdict: failed
Retry-After: ()
--- response_body
--- error_code: 500
--- error_log
bot "b", update 1: the program failed: no answer in time



=== TEST 22: what is logged of a connection that breaks
--- config eval: main::config()
--- request eval: main::post('reset')
--- error_code: 500
--- error_log
the program failed: the connection broke before a proper answer came



=== TEST 23: of an answer that is cut short
--- config eval: main::config()
--- request eval: main::post('length/100/say/x')
--- error_code: 500
--- response_body
--- error_log
the program failed: the answer was cut short



=== TEST 24: of one that is too large
--- config eval: main::config()
--- request eval: main::post('big/2000000')
--- error_code: 500
--- error_log
the program failed: the answer is larger than tgbot_response_size



=== TEST 25: of a status
--- config eval: main::config()
--- request eval: main::post('status/422')
--- error_code: 500
--- error_log
bot "b", update 1: the program failed: status 422



=== TEST 26: a request that was sent is not sent to the next server
--- http_config
    upstream program {
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
        server localhost:$TEST_NGINX_PROGRAM_PORT backup;
    }
--- config eval: main::config('proxy_pass http://program/;')
--- request eval: [main::post('reset'), "GET /seen"]
--- response_headers eval: ["X-Verdict: failed", ""]
--- response_body_like eval: ['^$', '^/reset [^\n]*\n$']
--- error_code eval: [500, 200]



=== TEST 27: unless it is told to
--- http_config
    upstream program {
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
        server 127.0.0.2:$TEST_NGINX_RAND_PORT_1 backup;
    }
    server {
        listen 127.0.0.2:$TEST_NGINX_RAND_PORT_1;
        location / {
            proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/dump/;
        }
    }
--- config eval
main::config('proxy_pass http://program/;
              proxy_next_upstream error timeout http_500 non_idempotent;')
--- pipelined_requests eval
[ map { main::post($_) } "reset", "stall", "status/500" ]
--- response_headers eval: [("X-Verdict: done") x 3]
--- response_body_like eval
[ map { "text\\\\\":\\\\\"$_\\\\\"\\}\\}" } "reset", "stall", "status/500" ]



=== TEST 28: it is failed, too, if the next server could not be asked
--- http_config
    upstream program {
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
        server 127.0.0.1:$TEST_NGINX_RAND_PORT_1 backup;
    }
--- config eval
main::config('proxy_pass http://program/;
              proxy_next_upstream error timeout non_idempotent;')
--- request eval: main::post('reset')
--- response_headers
X-Verdict: failed
--- error_code: 500



=== TEST 29: Retry-After of what Telegram keeps for half a minute
--- config eval
main::config() =~ s!/_program/\$tgbot_text!/_program/status/503!r
--- pipelined_requests eval: [(main::query("inline_query", "x")) x 12]
--- response_headers_like eval
[("X-Verdict: busy\nRetry-After: [12]") x 12]
--- error_code eval: [(503) x 12]



=== TEST 30: and of buttons
--- config eval
main::config() =~ s!/_program/\$tgbot_text!/_program/status/503!r
--- pipelined_requests eval: [(main::query("callback_query", "x")) x 12]
--- response_headers_like eval
[("X-Verdict: busy\nRetry-After: [1-5]") x 12]
--- error_code eval: [(503) x 12]



=== TEST 31: an answer that comes before the request was sent whole
--- config eval
main::config('proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/;', '') =~
s!/_program/\$tgbot_text!/_program/x!r
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            client_max_body_size 1k;
            proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
        }
    }
--- request eval: main::post('x' x 500000)
--- response_headers
X-Verdict: failed
--- error_code: 500
--- error_log
client intended to send too large body
