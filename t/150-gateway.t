# tgbot_gateway: the calls that a program makes by itself.

use Test::Nginx::Socket;
use TgbotTest;

our $message = '{"chat_id":7,"text":"hi"}';

# what a client that is no library sends

our $json = 'Content-Type: application/json';
# the chat stands after the file

our $upload = join "\r\n",
    '--b_1', 'Content-Disposition: form-data; name="photo"; filename="p.png"',
    '', "\x89PNG" x 300_000,
    '--b_1', 'Content-Disposition: form-data; name="chat_id"', '', '42',
    '--b_1--';

our $upload_call = 'sendPhoto ' . $upload =~ s/\r/\\r/gr =~ s/\n/\\n/gr . "\n";

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



=== TEST 5: a token that is the bot's own, which no log has
--- request eval
["POST /bot/bot\$token/sendMessage\n$::message", "POST /bot/%62ot\$token//sendMessage?a=b\n$::message"]
--- calls eval: ["sendMessage $::message", "sendMessage?a=b $::message"]
--- response_body eval: [('{"ok":true,"result":true}') x 2]



=== TEST 6: another token is refused, as Telegram refuses it
--- request eval: "POST /bot/bot1:AAnother-that-has-the-length-of-one/sendMessage\n$::message"
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



=== TEST 22: what has only the shape of a token, for libraries that insist on it
--- request eval: "POST /bot/bot1000:gateway/sendMessage\n$::message"
--- calls eval: "sendMessage $::message\n"
--- response_body chomp
{"ok":true,"result":true}



=== TEST 23: an upload is passed on from nginx's file, whatever client_max_body_size the API's location has
--- api_location
client_max_body_size 1m;
--- server
location /up/ {
    tgbot_gateway $bot;
    client_max_body_size 8m;
}
--- request eval
"POST /up/sendPhoto\n$::upload"
--- more_headers
Content-Type: multipart/form-data; boundary=b_1
--- calls eval: $::upload_call
--- response_body chomp
{"ok":true,"result":true}



=== TEST 24: and again, with another chat in it
--- request eval
"POST /bot/sendPhoto\n$::upload"
--- more_headers
Content-Type: multipart/form-data; boundary=b_1
--- api
503
400 {"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1005}}
--- calls eval: $::upload_call x 2 . $::upload_call =~ s/42(?=\\r)/-1005/r
--- response_body chomp
{"ok":true,"result":true}



=== TEST 25: a body in chunks, in memory and in a file
--- raw_request eval
"POST /bot/sendMessage HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
. "5\r\n{\"cha\r\n14\r\nt_id\":7,\"text\":\"hi\"}\r\n0\r\n\r\n"
--- calls eval: "sendMessage $::message\n"
--- response_body chomp
{"ok":true,"result":true}



=== TEST 26: a body that is too large, by its length and while it is read
--- server
location /small/ {
    tgbot_gateway $bot;
    client_max_body_size 1k;
}
--- raw_request eval
["POST /small/sendMessage HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2000\r\nConnection: close\r\n\r\n" . "x" x 2000,
"POST /small/sendMessage HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
. "7d0\r\n" . "x" x 2000 . "\r\n0\r\n\r\n"]
--- calls eval: ''
--- error_code eval: [413, 413]
--- response_body eval: [('{"ok":false,"error_code":413,"description":"Request Entity Too Large"}') x 2]



=== TEST 27: a file
--- request
GET /bot/file/botx/photos/file%200.jpg
--- api
200 [Content-Type: image/jpeg] [Accept-Ranges: bytes] 0123456789
--- api_like eval: qr{^GET /file/bot[^/]+/photos/file%200.jpg HTTP/1.1\r$}m
--- response_headers
Content-Type: image/jpeg
Content-Length: 10
Accept-Ranges: bytes
--- response_body chomp
0123456789



=== TEST 28: a part of a file
--- request
GET /bot/file/botx/a
--- api
200 [Content-Type: image/jpeg] [Accept-Ranges: bytes] 0123456789
--- more_headers
Range: bytes=2-4
--- error_code: 206
--- response_headers
Content-Range: bytes 2-4/10
Content-Length: 3
--- response_body chomp
234



=== TEST 29: a file that is not there
--- request eval
['GET /bot/file/botx/a', 'POST /bot/file/botx/a', 'GET /bot/file/botx/%2e%2e/a', 'GET /bot/file/a']
--- api
404 {"ok":false,"error_code":404,"description":"Not Found"}
--- error_code eval: [404, 405, 404, 404]
--- calls eval: 'GET /file/bot$token/a HTTP/1.1 ' . "\n"



=== TEST 30: the header of a file
--- request
HEAD /bot/file/botx/a
--- api
200 [Content-Type: image/jpeg] 0123456789
--- response_headers
Content-Length: 10
--- response_body chomp



=== TEST 31: a part that the file does not have
--- request
GET /bot/file/botx/a
--- api
200 [Content-Type: image/jpeg] [Accept-Ranges: bytes] 0123456789
--- more_headers
Range: bytes=100-
--- error_code: 416
--- response_headers
Content-Range: bytes */10
--- response_body_like: 416 Requested Range Not Satisfiable



=== TEST 32: an API's location whose proxy_pass has no URI
--- api_location
    proxy_pass  http://bot_api;
--- request eval
['GET /bot/sendMessage?chat_id=7&text=a%20b', "POST /bot/sendMessage\n$::message",
 'GET /bot/file/botx/photos/file%200.jpg']
--- calls eval
'GET /bot$token/sendMessage?chat_id=7&text=a%20b HTTP/1.1 ' . "\nsendMessage $::message\n"
. 'GET /file/bot$token/photos/file%200.jpg HTTP/1.1 ' . "\n"
--- error_code eval: [200, 200, 200]
--- response_body_like eval: [('"ok":true') x 3]



=== TEST 33: and one that asks a cache first
--- http_config
    proxy_cache_path  html/cache  keys_zone=files:1m;
--- api_location
    proxy_pass         http://bot_api;
    proxy_cache        files;
    proxy_cache_lock   on;
    proxy_cache_valid  1m;
--- request eval
['GET /bot/file/botx/a', 'GET /bot/file/botx/a', 'GET /bot/file/botx/b']
--- api
200 [Content-Type: image/jpeg] first
200 [Content-Type: image/jpeg] second
--- calls eval
'GET /file/bot$token/a HTTP/1.1 ' . "\n" . 'GET /file/bot$token/b HTTP/1.1 ' . "\n"
--- error_code eval: [200, 200, 200]
--- response_body eval: ['first', 'first', 'second']
