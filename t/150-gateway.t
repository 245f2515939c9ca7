# tgbot_gateway: the calls that a program makes by itself.

use Test::Nginx::Socket;
use TgbotTest;

our $message = '{"chat_id":7,"text":"hi"}';

# what a client that is no library sends

our $json = 'Content-Type: application/json';
our $form = 'Content-Type: application/x-www-form-urlencoded';

repeat_each(1);
plan 'no_plan';
TgbotTest::start();

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value('server', ($block->server // '') . <<'_EOC_');
location /bot/ {
    tgbot_gateway $bot;
    add_header X-Method $tgbot_method;
}
_EOC_

    $block->set_value('more_headers', $json) unless $block->more_headers;
});

no_long_string();
run_tests();

__DATA__

=== TEST 1: a call goes to the Bot API as it is, with the token
--- request eval: "POST /bot/sendMessage\n$::message"
--- api
200 [X-Own: 1] {"ok":true,"result":{"message_id":5}}
--- calls eval: "sendMessage $::message\n"
--- api_like eval: [qr/^Content-Type: application\/json\r$/m, qr/^Content-Length: 25\r$/m]
--- response_headers
Content-Type: application/json
Content-Length: 37
X-Own: 1
X-Method: sendMessage
--- response_body chomp
{"ok":true,"result":{"message_id":5}}



=== TEST 2: whatever stands in the place of the token
--- request eval: "POST /bot/botanything/sendMessage\n$::message"
--- calls eval: "sendMessage $::message\n"
--- response_body chomp
{"ok":true,"result":true}



=== TEST 3: a query
--- request
GET /bot/bot/sendMessage?chat_id=7&text=a%20b
--- calls eval: 'GET /bot$token/sendMessage?chat_id=7&text=a%20b HTTP/1.1 ' . "\n"
--- response_body chomp
{"ok":true,"result":true}



=== TEST 4: an urlencoded form
--- request
POST /bot/botx/sendMessage
chat_id=7&text=a+b
--- more_headers eval: $::form
--- calls
sendMessage chat_id=7&text=a+b
--- api_like eval: qr/^Content-Type: application\/x-www-form-urlencoded\r$/m
--- response_body chomp
{"ok":true,"result":true}



=== TEST 5: a token that is the bot's own
--- server
location /own/ {
    access_log off;
    set $t "$token";
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/bot/bot$token/;
    proxy_set_header Host $host;
}
access_log off;
--- request eval: "POST /own/sendMessage\n$::message"
--- calls eval: "sendMessage $::message\n"
--- response_body chomp
{"ok":true,"result":true}



=== TEST 6: another token is refused, as Telegram refuses it
--- request eval: "POST /bot/bot1:AAnother/sendMessage\n$::message"
--- calls eval: ''
--- error_code: 401
--- response_headers
Content-Type: application/json
--- response_body chomp
{"ok":false,"error_code":401,"description":"Unauthorized"}
--- log
1 [info] gateway: another token



=== TEST 7: paths that are no call
--- request eval
['POST /bot/', 'POST /bot/botx/', 'POST /bot/a/b', 'POST /bot/send-message', 'POST /bot/botx/sendMessage/', 'POST /bot/file/x', 'POST /bot/botx/test/getMe']
--- calls eval: ''
--- error_code eval: [(404) x 7]
--- response_body eval: [('{"ok":false,"error_code":404,"description":"Not Found"}') x 7]



=== TEST 8: methods that take the webhook away, in any case of letters
--- request eval
[map { "GET /bot/botx/$_" } qw(getUpdates setwebhook DELETEWEBHOOK close logOut)]
--- calls eval: ''
--- error_code eval: [(403) x 5]
--- response_body_like eval: [(qr/^\{"ok":false,"error_code":403,"description":"Forbidden: the method is left to nginx/) x 5]
--- log
5 [info] is refused



=== TEST 9: unless allow= names them
--- server
location /more/ {
    tgbot_gateway $bot allow=close,setWebhook;
}
--- request eval
['GET /more/close', 'GET /more/SetWebhook?url=', 'GET /more/logOut']
--- calls eval: 'GET /bot$token/close HTTP/1.1 ' . "\n" . 'GET /bot$token/SetWebhook?url= HTTP/1.1 ' . "\n"
--- error_code eval: [200, 200, 403]



=== TEST 10: other methods of HTTP
--- request eval
["PUT /bot/sendMessage\n$::message", 'DELETE /bot/getMe']
--- calls eval: ''
--- error_code eval: [405, 405]
--- response_body eval: [('{"ok":false,"error_code":405,"description":"Method Not Allowed"}') x 2]



=== TEST 11: an error of the Bot API goes back as it is
--- request eval: "POST /bot/sendMessage\n$::message"
--- api
400 [X-Own: 1] {"ok":false,"error_code":400,"description":"Bad Request: chat not found"}
--- calls eval: "sendMessage $::message\n"
--- error_code: 400
--- response_headers
Content-Type: application/json
X-Own: 1
--- response_body chomp
{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}
--- log
1 [info] gateway: sendMessage was refused with 400: "Bad Request: chat not found"



=== TEST 12: what may be repeated is
--- request eval: "POST /bot/sendMessage\n$::message"
--- api
503
429 {"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1","parameters":{"retry_after":1}}
reset
--- bot
--- server
tgbot_retry attempts=5 backoff=10ms max_backoff=20ms;
--- calls eval: "sendMessage $::message\n" x 4
--- gaps
0 1 0
--- response_body chomp
{"ok":true,"result":true}
--- log
3 [info] gateway: sendMessage is retried in



=== TEST 13: a 429 that lasts longer than the program waits goes back
--- server
location /soon/ {
    tgbot_gateway $bot timeout=5s;
}
--- request eval: "POST /soon/sendMessage\n$::message"
--- api
429 [Retry-After: 9] {"ok":false,"error_code":429,"description":"Too Many Requests: retry after 9","parameters":{"retry_after":9}}
--- calls eval: "sendMessage $::message\n"
--- error_code: 429
--- response_headers
Retry-After: 9
--- response_body chomp
{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 9","parameters":{"retry_after":9}}



=== TEST 14: a body without a use for programs goes back, too
--- server
tgbot_retry_on off;
--- request eval: "POST /bot/sendMessage\n$::message"
--- api
502 <html>
--- calls eval: "sendMessage $::message\n"
--- error_code: 502
--- response_headers
Content-Type: text/html
--- response_body chomp
<html>



=== TEST 15: no answer
--- server
tgbot_retry_on off;
--- request eval: "POST /bot/sendMessage\n$::message"
--- api
reset
--- calls eval: "sendMessage $::message\n"
--- error_code: 502
--- response_headers
Content-Type: application/json
--- response_body_like eval: qr/^\{"ok":false,"error_code":502,"description":"Bad Gateway: the connection broke/



=== TEST 16: money is not sent twice
--- request eval
["POST /bot/sendGift\n$::message"]
--- api
reset
--- calls eval: "sendGift $::message\n"
--- error_code: 502
--- response_body_like eval: qr/it may have been executed, and must not be retried/



=== TEST 17: an answer of no body
--- request eval: "POST /bot/sendMessage\n$::message"
--- api
200
--- calls eval: "sendMessage $::message\n"
--- response_headers
Content-Length: 0
--- response_body chomp



=== TEST 18: a migrated group
--- request
POST /bot/sendMessage
{"text":"hi","chat_id":-5}
--- api
400 {"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1005}}
--- calls
sendMessage {"text":"hi","chat_id":-5}
sendMessage {"text":"hi","chat_id":-1005}
--- response_body chomp
{"ok":true,"result":true}
--- log
1 [info] gateway: sendMessage goes to chat -1005



=== TEST 19: the same in a query
--- request
GET /bot/sendMessage?chat_id=-5&text=hi
--- api
400 {"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1005}}
--- calls eval
['GET /bot$token/sendMessage?chat_id=-5&text=hi HTTP/1.1 ', 'GET /bot$token/sendMessage?chat_id=-1005&text=hi HTTP/1.1 ']
--- response_body chomp
{"ok":true,"result":true}



=== TEST 20: Telegram's test environment
--- bot
tgbot_api /_api test;
--- request eval
["POST /bot/botx/test/sendMessage\n$::message", "POST /bot/sendMessage\n$::message"]
--- calls eval: "test/sendMessage $::message\n" x 2
--- response_body eval: [('{"ok":true,"result":true}') x 2]



=== TEST 21: a refused token is a state of the bot, of which the program is told at once
--- request eval
["GET /bot/getMe", "GET /bot/getMe"]
--- api
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls eval: 'GET /bot$token/getMe HTTP/1.1 ' . "\n"
--- error_code eval: [401, 401]
--- response_body eval: [('{"ok":false,"error_code":401,"description":"Unauthorized"}') x 2]
--- log
1 [error] is unauthorized
