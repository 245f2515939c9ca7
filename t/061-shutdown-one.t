# Stop of the only worker there is, which has all updates.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;
use TgbotProgram;

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value("config", <<"_EOC_");
    location = /tg {
        tgbot_webhook       b;
        tgbot_secret_token  off;
        tgbot_token_file    \$TEST_NGINX_TOKEN_FILE;
        tgbot_handler       /_program/\$tgbot_text;
        @{[$block->config]}

        add_header  X-Verdict  \$tgbot_verdict  always;
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
TgbotProgram::blocks(log => 'open socket');

sub post {
    my ($text, $id) = @_;

    return "POST /tg\n" . '{"update_id":' . ($id // 1) . ',"message":{'
           . '"message_id":2,"chat":{"id":7,"type":"private"},"text":"'
           . $text . '"}}';
}

# over one connection; the first lets go before the second is there

sub posts {
    my $n = 0;

    return CORE::join '', map {
        my ($line, $body) = split /\n/, post($_, ++$n), 2;

        "$line HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\n"
        . "Content-Length: " . length($body) . "\r\n"
        . "Connection: " . ($n == @_ ? 'close' : 'keep-alive')
        . "\r\n\r\n$body"
    } @_;
}

master_on();
workers(1);
no_long_string();
run_tests();

__DATA__

=== TEST 1: updates that wait for a slot are handled before nginx stops
--- http_config
    tgbot_max_calls 1;
--- config
        tgbot_hold_timeout 200ms;
        tgbot_api  /_api/json/%7B%22ok%22:true%7D;
--- raw_request eval
main::posts('later/QUIT/1.6/sleep/2/say/x', 'say/y', 'say/z')
--- ignore_response
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
--- error_log
http finalize request: 0, "/_program/say/y?
http finalize request: 0, "/_program/say/z?



=== TEST 2: those that wait when the time is over are given up
--- http_config
    tgbot_max_calls 1;
--- main_config
    worker_shutdown_timeout 1s;
--- config
        tgbot_hold_timeout 200ms;
--- raw_request eval
main::posts('later/QUIT/0.7/stall', 'say/y', 'say/z')
--- ignore_response
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0



=== TEST 3: one of them is still held
--- http_config
    tgbot_max_calls 1;
--- main_config
    worker_shutdown_timeout 1s;
--- config
        tgbot_hold_timeout 700ms;
--- raw_request eval
main::posts('later/QUIT/0.8/stall', 'say/y')
--- ignore_response
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0



=== TEST 4: a fast stop
--- http_config
    tgbot_max_calls 1;
--- config
        tgbot_hold_timeout 200ms;
--- raw_request eval
main::posts('later/TERM/0.9/stall', 'say/y', 'say/z')
--- ignore_response
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0



=== TEST 5: a reload, with a worker that has all to do
--- http_config
    tgbot_max_calls 1;
--- config
        tgbot_hold_timeout 200ms;
        tgbot_api  /_api/json/%7B%22ok%22:true%7D;
--- raw_request eval
main::posts('later/HUP/1.6/sleep/2/say/x', 'say/y', 'say/z')
--- ignore_response
--- grep_error_log: exited with code 0
--- grep_error_log_out
exited with code 0
--- error_log
http finalize request: 0, "/_program/say/y?
http finalize request: 0, "/_program/say/z?
