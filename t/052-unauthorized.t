# A token that the Bot API refuses is a state of the bot, not of a call.

use Test::Nginx::Socket;
use TgbotTest;

TgbotTest::start();

our $call = 'sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}';

add_block_preprocessor(sub {
    my $block = shift;

    if (!defined $block->program) {
        $block->set_value('program',
                          'repeat 200 {"method":"sendMessage","text":"hi"}');
    }

    $block->set_value('bot', (defined $block->bot ? $block->bot : '')
                             . "\ntgbot_dead_letters off;");
});

repeat_each(1);
plan 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: the call waits, and Telegram is told to come again
--- bot
tgbot_hold_timeout  500ms;
--- api
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls eval: "$main::call\n"
--- error_code: 503
--- response_headers
X-Verdict: busy
--- response_headers_like
Retry-After: [1-9]\d*
--- log
1 is unauthorized, its calls wait and one a minute is tried: check its token
1 is still in work after
0 was refused
0 is given up
0 is repeated



=== TEST 2: other calls of the bot wait as well, without a try
--- updates: 4
--- bot
tgbot_hold_timeout  300ms;
--- api
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls eval: "$main::call\n"
--- error_code eval: [(503) x 4]
--- log
1 is unauthorized, its calls wait and one a minute is tried: check its token
4 is still in work after



=== TEST 3: what comes again meanwhile is not worked on twice
--- updates: 3
--- bot
tgbot_hold_timeout  300ms;
--- update
{"update_id":1000,"message":{"message_id":2,"date":1700000000,"chat":{"id":7,"type":"private"},"text":"hi"}}
--- api
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls eval: "$main::call\n"
--- error_code eval: [(503) x 3]
--- response_headers_like eval
["X-Verdict: busy", "X-Verdict: busy", "X-Verdict: busy"]
--- log
1 is unauthorized
1 is still in work after



=== TEST 4: it waits no longer than its life
--- bot
tgbot_retry  life=500ms;
--- api
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls eval: "$main::call\n"
--- error_code: 200
--- response_headers
X-Verdict: done
--- log
1 is unauthorized
1 sendMessage is given up after 0 failures: the bot stayed unauthorized (1 calls of this bot so far)



=== TEST 5: nor do the calls that follow
--- bot
tgbot_retry  life=400ms;
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"},{"method":"sendMessage","text":"3"}]
--- api
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
--- error_code: 200
--- response_headers
X-Verdict: done
--- log
1 is unauthorized
1 the bot stayed unauthorized (1 calls of this bot so far)
1 the bot stayed unauthorized (2 calls of this bot so far)
1 the bot stayed unauthorized (3 calls of this bot so far)



=== TEST 6: a repeat may find the bot unauthorized
--- bot
tgbot_hold_timeout  500ms;
tgbot_retry         backoff=10ms;
--- api
500
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls eval: "$main::call\n" x 2
--- error_code: 503
--- log
1 is unauthorized



=== TEST 7: 401 without JSON, as with an empty body
--- bot
tgbot_hold_timeout  300ms;
--- api
401
--- calls eval: "$main::call\n"
--- error_code: 503
--- log
1 is unauthorized



=== TEST 8: a method that nginx answers with 401 itself is not the bot's
--- bot
tgbot_retry  backoff=5s max_backoff=5s life=1s;
--- api_location
return 401;
--- calls eval: ''
--- error_code: 200
--- response_headers
X-Verdict: done
--- log
0 is unauthorized
1 was answered with 401 by nginx itself, check the location and the rewrites of its server
1 is given up after 1 failures



=== TEST 9: what rides does not ask
--- bot
tgbot_hold_timeout  300ms;
tgbot_reply_via     response;
tgbot_retry         life=1s;
--- updates: 2
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"}]
200 [{"method":"sendMessage","text":"3"}]
--- api
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
--- error_code eval: [503, 200]
--- response_body eval
['', '{"chat_id":7,"method":"sendMessage","text":"3"}']
--- log
1 is unauthorized

