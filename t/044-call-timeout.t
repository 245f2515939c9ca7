# tgbot_call_timeout: a call ends, whatever its location does.

use Test::Nginx::Socket;
use TgbotTest;

our $call = 'sendMessage {"method":"sendMessage","chat_id":7,"text":"x"}';

my $ms = $ENV{TEST_NGINX_USE_VALGRIND} ? 3000 : 300;

$ENV{TEST_NGINX_CALL_TIMEOUT} = "${ms}ms";

repeat_each(1);
plan 'no_plan';
TgbotTest::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: a program that does not answer has failed, and its place is free
--- http_config
    tgbot_max_calls 1;
--- bot
tgbot_call_timeout  $TEST_NGINX_CALL_TIMEOUT;
tgbot_attempts  1;
--- program
stall
--- updates: 2
--- response_headers eval
["X-Verdict: dead", "X-Verdict: done"]
--- log
1 the call by "tgbot_handler" is aborted after
1 the program failed: no end within tgbot_call_timeout



=== TEST 2: what became of a Bot API call is not known: it is repeated
--- bot
tgbot_call_timeout  $TEST_NGINX_CALL_TIMEOUT;
tgbot_retry  attempts=2 backoff=10ms;
--- program
200 {"method":"sendMessage","chat_id":7,"text":"x"}
--- api
stall
--- calls eval: "$main::call\n" x 2
--- log
1 the call by "tgbot_api" is aborted after
1 is retried in



=== TEST 3: unless it must not be
--- bot
tgbot_call_timeout  $TEST_NGINX_CALL_TIMEOUT;
--- program
200 {"method":"transferGift","chat_id":7,"title":"x"}
--- api
stall
--- calls
transferGift {"method":"transferGift","chat_id":7,"title":"x"}
--- log
1 transferGift is given up after 1 failures: it may have been executed
