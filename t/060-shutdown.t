# Reload, stop and upgrade while updates are in work.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;
use TgbotProgram;

add_block_preprocessor(sub {
    my $block = shift;

    # the program signals nginx, which has then got the update for sure

    $block->set_value("config", <<"_EOC_");
    location = /tg {
        tgbot_webhook       b;
        tgbot_secret_token  off;
        tgbot_token_file    \$TEST_NGINX_TOKEN_FILE;
        tgbot_handler       /_program/\$tgbot_text;
        @{[$block->config]}

        add_header  X-Verdict  \$tgbot_verdict  always;
        add_header  X-Time     \$request_time   always;
    }

    location /_program/ {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/;
    }

    location /_api/ {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/;
    }
_EOC_
});

TgbotLogged::start();
TgbotProgram::start($Test::Nginx::Util::PidFile);
TgbotProgram::blocks();

sub post {
    my ($text, $id) = @_;

    return "POST /tg\n" . '{"update_id":' . ($id // 1) . ',"message":{'
           . '"message_id":2,"chat":{"id":7,"type":"private"},"text":"'
           . $text . '"}}';
}

our $said = '{"method":"sendMessage","chat_id":7,"text":"x"}';

master_on();
workers(2);
no_long_string();
run_tests();

__DATA__

=== TEST 1: a reload lets a held update be handled and answered
--- config
--- request eval: main::post('signal/HUP/sleep/1/say/x')
--- response_body eval: $main::said
--- response_headers
X-Verdict: done
--- error_log
gracefully shutting down
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0



=== TEST 2: several, one after the other
--- config
--- request eval
[ main::post('signal/HUP/sleep/0.6/signal/HUP/sleep/0.6/say/x', 1),
  main::post('signal/HUP/say/x', 2), main::post('say/x', 3) ]
--- response_headers eval: [("X-Verdict: done") x 3]
--- response_body eval: [($main::said) x 3]



=== TEST 3: a stop does, too
--- config
--- request eval: main::post('signal/QUIT/sleep/1/say/x')
--- response_body eval: $main::said
--- error_log
gracefully shutting down
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0



=== TEST 4: a stop waits for the calls of an answer
--- config
        tgbot_api    /_api/sleep/0.3/json/%7B%22ok%22:true%7D;
--- request eval: main::post('signal/QUIT/sleep/0.6/say/x')
--- response_headers
X-Verdict: done
Content-Length: 0
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0
--- no_error_log
[alert]
[crit]
[emerg]
[error]



=== TEST 5: an update whose call has to wait for long is given back
--- config
        tgbot_api    /_api/later/QUIT/0.4/flood/30;
--- request eval: main::post('say/x')
--- response_headers_like
X-Verdict: busy
Retry-After: [12]
X-Time: \d\.\d+
--- response_body
--- error_code: 503
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0



=== TEST 6: so it is when the wait begins while nginx stops
--- config
        tgbot_api    /_api/flood/30;
--- request eval: main::post('signal/QUIT/sleep/0.5/say/x')
--- response_headers_like
X-Verdict: busy
Retry-After: [12]
X-Time: \d\.\d+
--- error_code: 503
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0



=== TEST 7: and at a reload
--- config
        tgbot_api    /_api/later/HUP/0.4/flood/30;
--- request eval: main::post('say/x')
--- response_headers_like
X-Verdict: busy
Retry-After: [12]
X-Time: \d\.\d+
--- error_code: 503
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0



=== TEST 8: a program that does not answer holds a worker no longer than told
--- main_config
    worker_shutdown_timeout 1s;
--- config
--- request eval: main::post('signal/HUP/stall')
--- response_headers_like
X-Verdict: busy
Retry-After: [12]
X-Time: [1-9]\.\d+
--- error_code: 503
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0
--- no_error_log
open socket
[alert]
[crit]
[emerg]



=== TEST 9: nor does it at a stop
--- main_config
    worker_shutdown_timeout 1s;
--- config
--- request eval: main::post('signal/QUIT/stall')
--- response_headers_like
X-Verdict: busy
Retry-After: [12]
X-Time: [1-9]\.\d+
--- error_code: 503
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0
--- no_error_log
open socket
[alert]
[crit]
[emerg]



=== TEST 10: the reply of a limit, whose update was answered, is told to be lost
--- main_config
    worker_shutdown_timeout 1s;
--- config
        tgbot_limit      $tgbot_chat_id zone=slow:1m rate=1r/m burst=1
                         reply=slowly;
        tgbot_reply_via  api;
        tgbot_api        /_api/later/QUIT/0.3/flood/30;
--- raw_request eval
CORE::join '', map {
    my ($line, $body) = split /\n/, $_;

    "$line HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body"
} main::post('status/204'), main::post('x', 2)
--- ignore_response
--- timeout: 1
--- error_log
the reply of a limit is dropped at exit
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0
--- no_error_log
open socket
[alert]
[crit]
[emerg]



=== TEST 11: a client that left does not keep its job from an end
--- main_config
    worker_shutdown_timeout 1s;
--- config
--- request eval: main::post('later/QUIT/0.5/stall')
--- abort
--- timeout: 0.2
--- ignore_response
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0
--- no_error_log
open socket
[alert]
[crit]
[emerg]



=== TEST 12: a fast stop answers nothing, and leaves nothing
--- config
--- request eval: main::post('signal/TERM/stall')
--- ignore_response
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0
--- no_error_log
open socket
[alert]
[crit]
[emerg]
[error]



=== TEST 13: while calls wait
--- config
        tgbot_api    /_api/later/TERM/0.4/flood/30;
--- request eval: main::post('say/x')
--- ignore_response
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0
--- no_error_log
open socket
[alert]
[crit]
[emerg]
[error]



=== TEST 14: a new binary takes over, the old one ends its work
--- config
--- request eval: main::post('signal/USR2/sleep/0.8/old/QUIT/sleep/0.5/say/x')
--- response_body eval: $main::said
--- response_headers
X-Verdict: done
--- error_log
changing binary
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
exited with code 0
--- skip_eval: 9: $ENV{TEST_NGINX_USE_VALGRIND}



=== TEST 15: and the new one takes updates
--- config
--- request eval
[ main::post('signal/USR2/sleep/0.8/old/QUIT/sleep/0.5/say/x'),
  main::post('say/x', 2) ]
--- response_body eval: [$main::said, $main::said]
--- response_headers eval: ["X-Verdict: done", "X-Verdict: done"]
--- skip_eval: 12: $ENV{TEST_NGINX_USE_VALGRIND}



=== TEST 16: after all that nginx works
--- config
--- request eval: main::post('say/x')
--- response_body eval: $main::said
