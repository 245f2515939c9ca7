# What a program answers, and the Bot API calls that become of it.

use lib 't/lib';
use Test::Nginx::Socket;
use TgbotLogged;
use TgbotTest;

our $form = join "\r\n",
    '--b_1', 'Content-Type: text/plain; charset=utf-8',
    'Content-Disposition: form-data; name="method"', '', 'sendPhoto',
    '--b_1', 'Content-Disposition: form-data; name="chat_id"', '', '42',
    '--b_1', 'Content-Type: image/png',
    'Content-Disposition: form-data; name="photo"; filename="p.png"', '',
    "\x89PNG\r\n\x00--b_2\xff", '--b_1--', '';

our $form_call = $form =~ s/\r/\\r/gr =~ s/\n/\\n/gr;

our $callback = '{"update_id":0,"callback_query":{"id":"4711",'
    . '"from":{"id":8,"is_bot":false,"first_name":"Ann"},'
    . '"message":{"message_id":2,"date":1700000000,'
    . '"chat":{"id":7,"type":"private"},"text":"hi"},'
    . '"chat_instance":"1","data":"yes"}}';

our $inline = '{"update_id":0,"inline_query":{"id":"99",'
    . '"from":{"id":8,"is_bot":false,"first_name":"Ann"},'
    . '"query":"cats","offset":""}}';

repeat_each(1);
plan 'no_plan';
TgbotTest::start();

TgbotLogged::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: an object is a call, to the chat of the update
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}
--- response_headers
X-Verdict: done
--- response_body



=== TEST 2: its bytes are kept as they are
--- program
200 { "text" : "\u0041 \"{é}\" <&>" , "chat_id" :  "@chan",  "method": "sendMessage","x":[1e3 ,null]  }
--- calls
sendMessage { "text" : "\u0041 \"{é}\" <&>" , "chat_id" :  "@chan",  "method": "sendMessage","x":[1e3 ,null]  }



=== TEST 3: the method's name may be escaped
--- program
200 {"\u006dethod":"send\u004dessage","chat_id":1,"text":"hi"}
--- calls
sendMessage {"\u006dethod":"send\u004dessage","chat_id":1,"text":"hi"}



=== TEST 4: what the Bot API is sent
--- program
200 {"method":"sendMessage","chat_id":1,"text":"hi"}
--- calls
sendMessage {"method":"sendMessage","chat_id":1,"text":"hi"}
--- api_like eval: [qr/^Content-Type: application\/json\r$/m, qr/^Content-Length: 48\r$/m]
--- api_unlike eval: [qr/^(?:Cookie|User-Agent|X-.*):/mi, qr/Transfer-Encoding/]



=== TEST 5: what the program is sent
--- update
{ "update_id":0, "message" : {"message_id":2,"date":1700000000,"chat":{"id":7,"type":"private"},"text":"\u00e9 é \ud83d\ude00"}  }
--- program
200
--- calls eval: ''
--- program_like eval
[sub { my $b = TgbotTest::bot(); qr/^X-Tgbot-Bot: \Q$b\E\r$/m },
 sub { my $i = TgbotTest::update_id(); qr/^X-Tgbot-Update-Id: $i\r$/m },
 sub { my $u = TgbotTest::update(); qr/\r\n\r\n\Q$u\E\z/ },
 qr/^POST \/_program HTTP/m,
 qr/^X-Tgbot-Attempt: 1\r$/m,
 qr/^Content-Type: application\/json\r$/m,
 qr/^X-Telegram-Bot-Api-Secret-Token: sekret\r$/m]



=== TEST 6: a program is shown the current secret, whichever came
--- bot
tgbot_secret_token  fresh_sekret_2 sekret;
--- program
200
--- calls eval: ''
--- program_like eval: qr/^X-Telegram-Bot-Api-Secret-Token: fresh_sekret_2\r$/m
--- response_headers
X-Verdict: done



=== TEST 7: an array is calls in that order, one after the other
--- program
200 [{"method":"sendChatAction","action":"typing"},{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2","chat_id":9}]
--- api
stall 0.3 200 {"ok":true,"result":true}
stall 0.1 200 {"ok":true,"result":true}
--- calls
sendChatAction {"chat_id":7,"method":"sendChatAction","action":"typing"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"method":"sendMessage","text":"2","chat_id":9}
--- response_headers
X-Verdict: done



=== TEST 8: answers that are no reply
--- updates: 8
--- program eval
['200', '204', '200 {}', '200 []', '200 "ok"', '200 null', '200 {"status":"ok","chat_id":7}', "200 [Content-Type: application/json]  \r\n "]
--- calls eval: ''
--- error_code eval: [(200) x 8]
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 9: an answer that says it is JSON, and is not
--- updates: 3
--- program
200 [Content-Type: application/json] {"method":"sendMessage","text":"hi"
200 [Content-Type: application/json] ok
200 [Content-Type: application/json] {"method":"sendMessage","text":"hi"} {}
--- calls eval: ''
--- error_code eval: [200, 200, 200]
--- log
3 the program's answer is not JSON



=== TEST 10: a page in place of an answer is no reply
--- program
200 <html><body>It works!</body></html>
--- calls eval: ''
--- response_headers
X-Verdict: done
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 11: a method under another type is not called, but told
--- program
200 [Content-Type: text/plain] {"method":"sendMessage","text":"hi"}
--- calls eval: ''
--- response_headers
X-Verdict: done
--- log
1 looks like a method but its Content-Type is not application/json



=== TEST 12: JSON in chunks, with a charset
--- program
chunked 200 [Content-Type: Application/JSON; charset=utf-8] {"method":"sendMessage","text":"hi"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}



=== TEST 13: a callback query is answered by its id
--- update eval: $main::callback
--- program
200 [{"method":"answerCallbackQuery","text":"ok"},{"method":"answerCallbackQuery","callback_query_id":"1"},{"method":"editMessageText","message_id":2,"text":"done"}]
--- calls
answerCallbackQuery {"callback_query_id":"4711","method":"answerCallbackQuery","text":"ok"}
answerCallbackQuery {"method":"answerCallbackQuery","callback_query_id":"1"}
editMessageText {"chat_id":7,"method":"editMessageText","message_id":2,"text":"done"}



=== TEST 14: so is an inline query, which has no chat
--- update eval: $main::inline
--- program
200 [{"method":"answerInlineQuery","results":[]},{"method":"sendMessage","text":"hi"}]
--- calls
answerInlineQuery {"inline_query_id":"99","method":"answerInlineQuery","results":[]}
sendMessage {"method":"sendMessage","text":"hi"}



=== TEST 15: methods that are refused, among others
--- updates: 7
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"getMe"},{"method":"sendMessage","text":"2"}]
200 {"method":"setWebhook","url":"https://evil.example"}
200 {"method":"SETWEBHOOK","url":"https://evil.example"}
200 {"method":"close"}
200 {"method":"logOut"}
200 {"method":"deleteWebhook","drop_pending_updates":true}
200 {"method":"getUpdates"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}
--- error_code eval: [(200) x 7]
--- log
7 calls a method that is not allowed
1 not allowed "getMe"
1 not allowed "setWebhook"
1 not allowed "SETWEBHOOK"
1 not allowed "close"
1 not allowed "logOut"
1 not allowed "deleteWebhook"
1 not allowed "getUpdates"



=== TEST 16: names that are none, among others
--- updates: 9
--- program
200 [{"method":"sendMessage/../close"},{"method":"sendMessage","text":"1"}]
200 {"method":"../../bot1:x/close"}
200 {"method":"sendMessage\r\nX-Evil: 1\r\n"}
200 {"method":"sendMessage?x=1"}
200 {"method":"send%4dessage"}
200 {"method":""}
200 {"method":17}
200 {"method":"sendMessage\u0000"}
200 {"method":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
--- error_code eval: [(200) x 9]
--- log
9 has no proper method name
1 name "sendMessage/../close"
1 name "sendMessage  X-Evil: 1  "



=== TEST 17: a key that stands twice is not for us to choose
--- program
200 [{"method":"sendMessage","chat_id":1,"method":"close"},{"method":"sendMessage","chat_id":1,"chat_id":2}]
--- calls eval: ''
--- log
1 has "method" or "chat_id" twice



=== TEST 18: as many calls as an answer may have
--- program eval
['200 [' . CORE::join(',', map { qq/{"method":"sendMessage","text":"$_"}/ } 1 .. 32) . ']']
--- calls eval
[map { qq/sendMessage {"chat_id":7,"method":"sendMessage","text":"$_"}/ } 1 .. 32]



=== TEST 19: one more, and none is made
--- program eval
['200 [' . CORE::join(',', map { qq/{"method":"sendMessage","text":"$_"}/ } 1 .. 33) . ']']
--- calls eval: ''
--- response_headers
X-Verdict: done
--- log
1 makes too many calls



=== TEST 20: a form is forwarded untouched, its parts' headers in any order
--- program eval
["200 [Content-Type: multipart/form-data; boundary=b_1] $main::form"]
--- calls eval: "sendPhoto $main::form_call\n"
--- api_like eval: qr/^Content-Type: multipart\/form-data; boundary=b_1\r$/m



=== TEST 21: so is one with its boundary in quotes
--- program eval
["200 [Content-Type: Multipart/Form-Data; charset=utf-8; boundary=\"b_1\"] $main::form"]
--- calls eval: "sendPhoto $main::form_call\n"
--- api_like eval: qr/^Content-Type: Multipart\/Form-Data; charset=utf-8; boundary="b_1"\r$/m



=== TEST 22: a form whose method is refused
--- program eval
["200 [Content-Type: multipart/form-data; boundary=b_1] " . $main::form =~ s/sendPhoto/setWebhook/r]
--- calls eval: ''
--- log
1 calls a method that is not allowed "setWebhook"



=== TEST 23: a form without method is no reply, a broken one is told
--- updates: 2
--- program eval
["200 [Content-Type: multipart/form-data; boundary=b_1] " . $main::form =~ s/"method"/"text"/r,
 "200 [Content-Type: multipart/form-data; boundary=b_7] $main::form"]
--- calls eval: ''
--- error_code eval: [200, 200]
--- log
1 is not a form



=== TEST 24: an urlencoded form is forwarded untouched
--- program
200 [Content-Type: application/x-www-form-urlencoded] chat_id=42&text=a%20b+c%26&method=sendMessage
--- calls
sendMessage chat_id=42&text=a%20b+c%26&method=sendMessage
--- api_like eval: qr/^Content-Type: application\/x-www-form-urlencoded\r$/m



=== TEST 25: several bots by the same rules share one api location
--- server
location = /other {
    tgbot_webhook       other-$bot;
    tgbot_token         99$token;
    tgbot_secret_token  other;
    tgbot_handler       /_program;
    tgbot_api           /_api;
}
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}



=== TEST 26: the token stays out of the log of subrequests
--- http_config
    map  $tgbot_api_uri  $mapped  { default "$tgbot_api_uri?x=1"; }
    log_format  all  '$request $request_uri $uri $args [$tgbot_api_uri] '
                     '[$mapped] $proxy_host $tgbot_method $upstream_addr '
                     '$http_x_telegram_bot_api_secret_token';
--- api_location
    proxy_pass      http://bot_api$mapped;
    log_subrequest  on;
    access_log      logs/access.log  all;
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls
sendMessage?x=1 {"chat_id":7,"method":"sendMessage","text":"hi"}
--- access_log
/_api - [-] [-] bot_api sendMessage



=== TEST 27: without a way out, the program's first call rides
--- without_api
--- program
200 { "method":"sendMessage","text":"hi"}
--- calls eval: ''
--- response_headers
Content-Type: application/json
X-Verdict: done
--- response_body eval
'{"chat_id":7, "method":"sendMessage","text":"hi"}'
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 28: and what does not fit is told once
--- without_api
--- updates: 2
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"},{"method":"sendMessage","text":"3"}]
200 [{"method":"sendMessage","text":"4"},{"method":"sendMessage","text":"5"}]
--- calls eval: ''
--- response_body eval
['{"chat_id":7,"method":"sendMessage","text":"1"}', '{"chat_id":7,"method":"sendMessage","text":"4"}']
--- log
1 and no "tgbot_api": such calls are dropped



=== TEST 29: response: one call rides, several go by api in order
--- bot
tgbot_reply_via  response;
--- updates: 2
--- program
200 {"method":"sendMessage","text":"0"}
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"},{"method":"sendMessage","text":"3"}]
--- api
stall 0.2 200 {"ok":true,"result":true}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"3"}
--- response_headers eval
["Content-Type: application/json\nX-Verdict: done",
 "!Content-Type\nX-Verdict: done"]
--- response_body eval
['{"chat_id":7,"method":"sendMessage","text":"0"}', '']
--- error_code eval: [200, 200]



=== TEST 30: api: nothing rides
--- bot
tgbot_reply_via  api;
tgbot_reply      $reply;
--- server
set $reply '';
if ($http_x_reply) { set $reply $http_x_reply; }
--- program
200 {"method":"sendMessage","text":"1"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
--- response_headers
!Content-Type
X-Verdict: done
--- response_body



=== TEST 31: api: not even what nginx answers itself
--- bot
tgbot_reply_via  api;
tgbot_reply      "Hello";
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"Hello"}
--- response_headers
!Content-Type
X-Verdict: done
--- response_body



=== TEST 32: auto: what nginx answers itself rides
--- bot
tgbot_reply  "Hello";
--- calls eval: ''
--- response_headers
Content-Type: application/json
X-Verdict: done
--- response_body eval
'{"chat_id":7,"method":"sendMessage","text":"Hello"}'



=== TEST 33: auto: unless it is several calls
--- bot
tgbot_reply json '[{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"}]';
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}
--- response_headers
!Content-Type
X-Verdict: done
--- response_body



=== TEST 34: response: nor with it
--- bot
tgbot_reply json '[{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"}]';
tgbot_reply_via response;
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}
--- response_headers
!Content-Type
X-Verdict: done
--- response_body



=== TEST 35: a form rides untouched
--- without_api
--- program eval
["200 [Content-Type: multipart/form-data; boundary=\"b_1\"] $main::form"]
--- calls eval: ''
--- response_headers
Content-Type: multipart/form-data; boundary="b_1"
X-Verdict: done
--- response_body eval: $main::form



=== TEST 36: a refused call does not ride, nor does it keep others from it
--- without_api
--- program
200 [{"method":"deleteWebhook"},{"method":"sendMessage","text":"1"}]
--- calls eval: ''
--- response_body eval
'{"chat_id":7,"method":"sendMessage","text":"1"}'
--- log
1 calls a method that is not allowed "deleteWebhook"



=== TEST 37: when the program is late, its answer goes by api
--- bot
tgbot_reply_via     response;
tgbot_hold_timeout  300ms;
--- program
stall 1 200 {"method":"sendMessage","text":"late"}
--- error_code: 503
--- response_headers
X-Verdict: busy
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"late"}
--- log
1 is still in work after



=== TEST 38: or not at all, which is told
--- without_api
--- bot
tgbot_dedup         off;
tgbot_hold_timeout  300ms;
--- program
stall 1 200 {"method":"sendMessage","text":"late"}
--- error_code: 503
--- calls eval: ''
--- log
1 and no "tgbot_api": such calls are dropped



=== TEST 39: error_page does not make a reply of a refusal
--- server
error_page 404 500 502 503 504 =200 /page;
location = /page { default_type application/json; return 200 '{"method":"sendMessage","text":"page"}'; }
--- program_location
proxy_intercept_errors  on;
--- program
500 {"method":"sendMessage","text":"hi"}
--- calls eval: ''
--- error_code: 500
--- response_headers
X-Verdict: failed
--- response_body
--- log
1 the program failed: status 500



=== TEST 40: X-Accel-Redirect of the program is ignored
--- server
location = /page { internal; default_type application/json; return 200 '{"method":"sendMessage","text":"page"}'; }
--- program
200 [X-Accel-Redirect: /page] {"method":"sendMessage","text":"own"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"own"}
--- log
1 X-Accel-Redirect of a called location is ignored



=== TEST 41: a proxy_pass without a URI sends that of the call, which no log has
--- http_config
    map  $request_uri  $mapped  { default "[$request_uri]"; }
    log_format  all  '$request $request_uri $uri $args $mapped $before $here';
--- server
set  $before  $request_uri;
--- api_location
    set               $here  $request_uri;
    proxy_pass        http://bot_api;
    proxy_set_header  X-Path  $request_uri;
    proxy_set_header  X-Mapped  $mapped;
    log_subrequest    on;
    access_log        logs/access.log  all;
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}
--- api_like eval: qr{^X-Path: /\r$}m
--- access_log eval: qr{/ /_api - \[/\] / /$}m



=== TEST 42: nor one that has it from the location's own directives
--- http_config
    map  $request_uri  $mapped  { volatile; default "[$request_uri]"; }
    log_format  all  '$request $request_uri $uri $args $mapped';
--- server
set  $before  "";
--- api_location
    proxy_pass        http://bot_api;
    proxy_set_header  X-Path  $request_uri;
    proxy_set_header  X-Mapped  $mapped;
    log_subrequest    on;
    access_log        logs/access.log  all;
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}
--- api_like eval: qr{^X-Path: /bot.+/sendMessage\r$}m



=== TEST 43: nor the lines of an upstream that fails
--- http_config
    log_format  all  '$request $request_uri $uri $args $upstream_addr';
--- bot
tgbot_retry_on  off;
tgbot_dead_letters  off;
--- api_location
    proxy_pass      http://127.0.0.1:$closed;
    log_subrequest  on;
    access_log      logs/access.log  all;
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls eval: ''
--- log
1 sendMessage is given up
--- error_log eval: qr{upstream: "http://127.0.0.1:\d+/bot<redacted>/sendMessage"}



=== TEST 44: a rewrite of the location comes before it
--- api_location
    rewrite     ^  $tgbot_api_uri?y=1  break;
    proxy_pass  http://bot_api;
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls
sendMessage?y=1 {"chat_id":7,"method":"sendMessage","text":"hi"}



=== TEST 45: a named location has it, too
--- api_location
    try_files   /none  @other;
    # proxy_pass stands there
--- server
location @other {
    proxy_http_version  1.1;
    proxy_pass          http://bot_api;
}
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}



=== TEST 46: a redirect takes it away
--- api_location
    try_files   /none  /other;
    # proxy_pass stands there
--- server
location = /other {
    internal;
    proxy_http_version  1.1;
    proxy_pass          http://bot_api$tgbot_api_uri?uri=$request_uri;
}
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls
sendMessage?uri=/ {"chat_id":7,"method":"sendMessage","text":"hi"}



=== TEST 47: a proxy_pass with a constant URI is a warning, once
--- api_location
    proxy_pass  http://program/;
    proxy_set_header  X-Tgbot-Bot  $bot;
--- bot
tgbot_retry_on  off;
tgbot_dead_letters  off;
--- program
200 {"method":"sendMessage","text":"hi"}
200 {"ok":true}
--- error_log
the location called by "tgbot_api" sends all calls to "/", expected a "proxy_pass" without a URI
