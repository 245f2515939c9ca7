# What is done about a Bot API that refuses, floods, fails or falls silent.

use Test::Nginx::Socket;
use TgbotTest;

TgbotTest::start();

our $call = 'sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}';
our $inline = '{"update_id":0,"inline_query":{"id":"99",'
    . '"from":{"id":8,"is_bot":false,"first_name":"Ann"},'
    . '"query":"cats","offset":""}}';

add_block_preprocessor(sub {
    my $block = shift;

    if (!defined $block->program) {
        $block->set_value('program',
                          '200 {"method":"sendMessage","text":"hi"}');
    }

    # fast, where nothing else is asked for

    my $bot = defined $block->bot ? $block->bot : '';

    $bot .= "\ntgbot_retry attempts=5 backoff=10ms;"
        if $bot !~ /tgbot_retry\s/;

    $block->set_value('bot', "$bot\ntgbot_dead_letters off;");
});

repeat_each(1);
plan 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: flood control, told by the header
--- api
429 [Retry-After: 1] {"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1"}
--- calls eval: "$main::call\n" x 2
--- gaps: 1
--- response_headers
X-Verdict: done
--- log
1 sendMessage is retried in 1000 ms: flood control



=== TEST 2: flood control, told by the body
--- api
429 {"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1","parameters":{"retry_after":1}}
--- calls eval: "$main::call\n" x 2
--- gaps: 1
--- log
1 sendMessage is retried in 1000 ms: flood control



=== TEST 3: the header counts before the body
--- api
429 [Retry-After: 1] {"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":3000}}
--- calls eval: "$main::call\n" x 2
--- gaps: 1
--- log
1 sendMessage is retried in 1000 ms: flood control



=== TEST 4: flood control that names no time, and one that makes no sense
--- api
429
429 [Retry-After: soon] {"ok":false,"parameters":{"retry_after":-1}}
429 [Retry-After: 0] <html>slow down</html>
--- calls eval: "$main::call\n" x 4
--- log
3 flood control



=== TEST 5: errors of the Bot API, and of what stands before it
--- api
500 {"ok":false,"error_code":500,"description":"Internal Server Error"}
502 <html><head><title>502 Bad Gateway</title></head></html>
503
504 <html>
--- calls eval: "$main::call\n" x 5
--- response_headers
X-Verdict: done
--- log
4 the Bot API is unavailable
0 is given up



=== TEST 6: such errors are not counted as attempts
--- bot
tgbot_retry  attempts=2 backoff=10ms max_backoff=20ms;
--- api
500
429
502
500
503
429
--- calls eval: "$main::call\n" x 7
--- log
0 is given up



=== TEST 7: what was sent and has no answer is
--- bot
tgbot_retry  attempts=3 backoff=10ms max_backoff=20ms;
--- api
500
reset
500
reset
500
reset
--- calls eval: "$main::call\n" x 6
--- response_headers
X-Verdict: done
--- log
1 sendMessage is given up after 6 failures



=== TEST 8: one attempt is one
--- bot
tgbot_retry  attempts=1 backoff=10ms;
--- api
reset
--- calls eval: "$main::call\n"
--- response_headers
X-Verdict: done
--- log
1 sendMessage is given up after 1 failures: the connection broke before a proper answer came (1 calls of this bot so far)



=== TEST 9: after a call that is given up the others are made
--- bot
tgbot_retry  attempts=2 backoff=10ms;
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"},{"method":"sendMessage","text":"3"}]
--- api
reset
reset
200 {"ok":true}
close
close
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"3"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"3"}
--- error_code: 200
--- response_headers
X-Verdict: done
--- log
1 is given up after 2 failures: the connection broke before a proper answer came (1 calls of this bot so far)
1 is given up after 2 failures: the connection broke before a proper answer came (2 calls of this bot so far)



=== TEST 10: a repeat keeps its place before the calls that follow
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"}]
--- api
500
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}



=== TEST 11: connections that are reset, closed, or talk something else
--- api
reset
close
garbage
--- calls eval: "$main::call\n" x 4
--- response_headers
X-Verdict: done



=== TEST 12: a silent Bot API
--- api_location
proxy_read_timeout  300ms;
--- api
stall
stall 200
--- calls eval: "$main::call\n" x 3
--- gaps: 0.3 0.3
--- log
2 no answer in time



=== TEST 13: answers that are cut short, by length and in chunks
--- api
cut 10 200 {"ok":true,"result":{"message_id":3}}
cut 10 chunked 200 {"ok":true,"result":{"message_id":3}}
--- calls eval: "$main::call\n" x 3
--- response_headers
X-Verdict: done
--- log
2 the answer was cut short



=== TEST 14: an answer that falls silent
--- api_location
proxy_read_timeout  300ms;
--- api
cut 10 stall 0.1 500 {"ok":false,"error_code":500,"description":"x"}
--- calls eval: "$main::call\n" x 2



=== TEST 15: a port that is closed at first
--- bot
tgbot_retry  attempts=1 backoff=50ms max_backoff=100ms;
--- api_location
proxy_pass  http://127.0.0.1:$closed$tgbot_api_uri;
--- program
open 2 200 {"method":"sendMessage","text":"hi"}
--- calls eval: "$main::call\n"
--- response_headers
X-Verdict: done
--- log
2+ Connection refused
2+ no connection to the upstream
0 is given up



=== TEST 16: a port that stays closed, until the call's life ends
--- bot
tgbot_retry  attempts=1 backoff=50ms max_backoff=100ms life=500ms;
--- api_location
proxy_pass  http://127.0.0.1:$closed$tgbot_api_uri;
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"}]
--- calls eval: ''
--- error_code: 200
--- response_headers
X-Verdict: done
--- log
2 is given up after
1 no connection to the upstream (1 calls of this bot so far)
1 no connection to the upstream (2 calls of this bot so far)



=== TEST 17: no live upstream
--- http_config
    upstream gone { server 127.0.0.1:1 down; }
--- bot
tgbot_retry  backoff=5s max_backoff=5s life=1s;
--- api_location
proxy_pass  http://gone$tgbot_api_uri;
--- calls eval: ''
--- response_headers
X-Verdict: done
--- log
1 is given up after 1 failures: no connection to the upstream



=== TEST 18: errors without end end with the call's life
--- bot
tgbot_retry  attempts=1 backoff=20ms max_backoff=50ms life=2s;
--- api
repeat 500 {"ok":false}
--- calls_like eval: qr/\A(?:\Q$main::call\E\n){2,}\z/
--- response_headers
X-Verdict: done
--- log
1 the Bot API is unavailable (1 calls of this bot so far)



=== TEST 19: a flood longer than that ends the calls to its chat at once
--- bot
tgbot_retry  life=20s backoff=10ms;
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"},{"method":"sendMessage","chat_id":8,"text":"3"}]
--- api
429 [Retry-After: 30]
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"method":"sendMessage","chat_id":8,"text":"3"}
--- response_headers
X-Verdict: done
--- log
1 is given up after 1 failures: it would have to wait for too long
1 is given up after 0 failures: it would have to wait for too long



=== TEST 20: a call does not outlive its update
--- update eval: $main::inline
--- program
200 {"method":"answerInlineQuery","results":[]}
--- api
429 [Retry-After: 31]
--- calls
answerInlineQuery {"inline_query_id":"99","method":"answerInlineQuery","results":[]}
--- log
1 is given up after 1 failures: it would have to wait for too long



=== TEST 21: tgbot_retry_on: floods only
--- updates: 5
--- bot
tgbot_retry_on  http_429;
--- api_location
proxy_read_timeout  300ms;
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- api
429
200
500
reset
stall
cut 3 200 {"ok":true}
--- calls eval: "$main::call\n" x 6
--- error_code eval: [(200) x 5]
--- log
4 is given up after 1 failures



=== TEST 22: tgbot_retry_on: errors of the Bot API only
--- updates: 4
--- bot
tgbot_retry_on  http_5xx;
--- api_location
proxy_read_timeout  300ms;
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- api
502
200
429
reset
stall
--- calls eval: "$main::call\n" x 5
--- error_code eval: [(200) x 4]
--- log
3 is given up after 1 failures



=== TEST 23: tgbot_retry_on: lost connections only
--- updates: 4
--- bot
tgbot_retry_on  error;
--- api_location
proxy_read_timeout  300ms;
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- api
reset
200
429
500
stall
--- calls eval: "$main::call\n" x 5
--- error_code eval: [(200) x 4]
--- log
3 is given up after 1 failures



=== TEST 24: tgbot_retry_on: silence only
--- updates: 4
--- bot
tgbot_retry_on  timeout;
--- api_location
proxy_read_timeout  300ms;
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- api
stall
200
429
500
reset
--- calls eval: "$main::call\n" x 5
--- error_code eval: [(200) x 4]
--- log
3 is given up after 1 failures



=== TEST 25: tgbot_retry_on without error: a closed port is final
--- bot
tgbot_retry_on  http_429 http_5xx timeout;
--- api_location
proxy_pass  http://127.0.0.1:$closed$tgbot_api_uri;
--- calls eval: ''
--- log
1 is given up after 1 failures: no connection to the upstream



=== TEST 26: refusals are final, and told with what the Bot API says
--- updates: 4
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- api
400 {"ok":false,"error_code":400,"description":"Bad Request: chat\r\n2026/01/01 [error] \u0007not found"}
403 {"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}
404 {"ok":false,"error_code":404,"description":"Not Found"}
409 <html>no JSON</html>
--- calls eval: "$main::call\n" x 4
--- error_code eval: [(200) x 4]
--- log
4 was refused with
1 sendMessage was refused with 400: "Bad Request: chat  2026/01/01 [error]  not found"
1 sendMessage was refused with 403: "Forbidden: bot was blocked by the user"
1 sendMessage was refused with 404: "Not Found"
1 sendMessage was refused with 409: ""



=== TEST 27: after a refusal the others are made
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"}]
--- api
400 {"ok":false,"error_code":400,"description":"Bad Request"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}
--- response_headers
X-Verdict: done



=== TEST 28: a long description is shortened
--- api eval
['400 {"ok":false,"error_code":400,"description":"' . ('e' x 255) . 'éabc"}']
--- calls eval: "$main::call\n"
--- log eval
'1 was refused with 400: "' . ('e' x 255) . '"'



=== TEST 29: a group that moved: once more, to its new chat
--- program
200 [{"method":"sendMessage","text":"1","x":{"chat_id":7}},{"method":"sendMessage","chat_id": "@group" ,"text":"2"},{"text":"3","method":"sendMessage","chat_id":-42}]
--- api
400 {"ok":false,"error_code":400,"description":"group upgraded","parameters":{"migrate_to_chat_id":-1001234567890}}
200
400 {"ok":false,"error_code":400,"description":"group upgraded","parameters":{"migrate_to_chat_id":-1001234567890}}
200
400 {"ok":false,"error_code":400,"description":"group upgraded","parameters":{"migrate_to_chat_id":-1001234567890}}
200
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1","x":{"chat_id":7}}
sendMessage {"chat_id":-1001234567890,"method":"sendMessage","text":"1","x":{"chat_id":7}}
sendMessage {"method":"sendMessage","chat_id": "@group" ,"text":"2"}
sendMessage {"method":"sendMessage","chat_id": -1001234567890 ,"text":"2"}
sendMessage {"text":"3","method":"sendMessage","chat_id":-42}
sendMessage {"text":"3","method":"sendMessage","chat_id":-1001234567890}
--- log
3 goes to chat -1001234567890, to which the group was migrated
0 was refused



=== TEST 30: likewise for forms
--- updates: 2
--- program eval
["200 [Content-Type: multipart/form-data; boundary=b]--b\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n-42\r\n--b\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nsendMessage\r\n--b--\r\n",
 "200 [Content-Type: application/x-www-form-urlencoded] chat_id=-42&method=sendMessage"]
--- api
400 {"ok":false,"error_code":400,"description":"group upgraded","parameters":{"migrate_to_chat_id":-1001234567890}}
200
400 {"ok":false,"error_code":400,"description":"group upgraded","parameters":{"migrate_to_chat_id":-1001234567890}}
200
--- calls
sendMessage --b\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n-42\r\n--b\r\nContent-Disposition: form-data; name="method"\r\n\r\nsendMessage\r\n--b--\r\n
sendMessage --b\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n-1001234567890\r\n--b\r\nContent-Disposition: form-data; name="method"\r\n\r\nsendMessage\r\n--b--\r\n
sendMessage chat_id=-42&method=sendMessage
sendMessage chat_id=-1001234567890&method=sendMessage
--- error_code eval: [200, 200]



=== TEST 31: once, not in circles
--- api
400 {"ok":false,"error_code":400,"description":"group upgraded","parameters":{"migrate_to_chat_id":-1001}}
400 {"ok":false,"error_code":400,"description":"group upgraded","parameters":{"migrate_to_chat_id":-1002}}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}
sendMessage {"chat_id":-1001,"method":"sendMessage","text":"hi"}
--- log
1 sendMessage was refused with 400: "group upgraded"



=== TEST 32: a repeat after that goes to the new chat
--- api
400 {"ok":false,"error_code":400,"description":"group upgraded","parameters":{"migrate_to_chat_id":-1001}}
500
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}
sendMessage {"chat_id":-1001,"method":"sendMessage","text":"hi"}
sendMessage {"chat_id":-1001,"method":"sendMessage","text":"hi"}



=== TEST 33: what moves money is not repeated when nobody knows
--- updates: 5
--- api_location
proxy_read_timeout  300ms;
--- program
200 {"method":"sendGift","user_id":1,"gift_id":"2"}
200 {"method":"refundStarPayment","user_id":1,"telegram_payment_charge_id":"c"}
200 {"method":"giftPremiumSubscription","user_id":1}
200 {"method":"transferGift","owned_gift_id":"g"}
200 {"method":"convertGiftToStars","owned_gift_id":"g"}
--- api
reset
stall
cut 3 200 {"ok":true}
close
502 <html>
--- calls_like eval: qr/\A(?:[a-zA-Z]+ \{.*\}\n){5}\z/
--- error_code eval: [(200) x 5]
--- log
5 it may have been executed, and must not be retried



=== TEST 34: but when it was not executed
--- program
200 {"method":"sendGift","user_id":1,"gift_id":"2"}
--- api
429 [Retry-After: 1] {"ok":false}
429 {"ok":false}
--- calls eval
qq/sendGift {"method":"sendGift","user_id":1,"gift_id":"2"}\n/ x 3
--- gaps: 1
--- log
0 is given up



=== TEST 35: or not even sent
--- api_location
proxy_pass  http://127.0.0.1:$closed$tgbot_api_uri;
--- bot
tgbot_retry  attempts=1 backoff=50ms max_backoff=100ms;
--- program
open 0.5 200 {"method":"refundStarPayment","user_id":1}
--- calls
refundStarPayment {"method":"refundStarPayment","user_id":1}
--- log
1+ Connection refused
0 is given up



=== TEST 36: there is no such location
--- bot
tgbot_api    /_nowhere;
tgbot_retry  backoff=5s max_backoff=5s life=1s;
--- calls eval: ''
--- error_code: 200
--- response_headers
X-Verdict: done
--- log
1 was answered with 404 by nginx itself, check the location and the rewrites of its server
1 is given up after 1 failures: nginx did not pass the request on



=== TEST 37: the server redirects what comes without TLS
--- server
if ($http_x_forwarded_proto != https) { return 301 https://example.com$request_uri; }
--- bot
tgbot_reply      "Hello";
tgbot_reply_via  api;
tgbot_retry      backoff=5s max_backoff=5s life=1s;
--- more_headers
Content-Type: application/json
X-Telegram-Bot-Api-Secret-Token: sekret
X-Forwarded-Proto: https
--- calls eval: ''
--- error_code: 200
--- response_headers
X-Verdict: done
--- log
1 was answered with 301 by nginx itself, check the location and the rewrites of its server
1 is given up after 1 failures: nginx did not pass the request on



=== TEST 38: nginx answers with success itself
--- api_location
return 200 '{"ok":true}';
--- bot
tgbot_retry  backoff=5s max_backoff=5s life=1s;
--- calls eval: ''
--- log
0 is given up



=== TEST 39: error_page of the api location hides nothing
--- server
location = /page { return 200 '{"ok":true}'; }
--- api_location
proxy_intercept_errors  on;
error_page  400 500 =200 /page;
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"}]
--- api
500 {"ok":false,"error_code":500,"description":"Internal"}
200
400 {"ok":false,"error_code":400,"description":"Bad Request: no such chat"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}
--- log
1 was refused with 400



=== TEST 40: nor does an inherited one
--- server
error_page  500 502 503 504 =200 /page;
location = /page { return 200 '{"ok":true}'; }
--- bot
tgbot_retry  attempts=2 backoff=10ms;
--- api
502 <html>
reset
reset
--- calls eval: "$main::call\n" x 3
--- log
1 sendMessage is given up after 3 failures



=== TEST 41: nor one for a closed port
--- server
error_page  500 502 503 504 =200 /page;
location = /page { return 200 '{"ok":true}'; }
--- bot
tgbot_retry  backoff=5s max_backoff=5s life=1s;
--- api_location
proxy_pass  http://127.0.0.1:$closed$tgbot_api_uri;
--- calls eval: ''
--- log
1 sendMessage is given up after 1 failures: no connection to the upstream



=== TEST 42: X-Accel-Redirect of the Bot API is ignored
--- server
location = /page { internal; return 500; }
--- api
200 [X-Accel-Redirect: /page] {"ok":true}
403 [X-Accel-Redirect: /page] {"ok":false,"description":"blocked"}
--- updates: 2
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- calls eval: "$main::call\n" x 2
--- error_code eval: [200, 200]
--- log
1 X-Accel-Redirect of a called location is ignored
1 was refused with 403: "blocked"



=== TEST 43: an answer as large as it may be
--- bot
tgbot_response_size  8k;
--- api
size 8192 200
--- calls eval: "$main::call\n"
--- log
0 is given up



=== TEST 44: the Bot API's redirects are refusals
--- api
302 [Location: http://127.0.0.1/evil] <html>
--- calls eval: "$main::call\n"
--- log
1 sendMessage was refused with 302



=== TEST 45: of a larger one the status counts
--- updates: 4
--- bot
tgbot_response_size  8k;
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- api
size 8193 200
size 10000000 200
chunked size 100000 400
size 8193 500
200 {"ok":true}
--- calls eval: "$main::call\n" x 5
--- error_code eval: [(200) x 4]
--- log
2 sendMessage was answered with 200: the answer is larger than tgbot_response_size
1 sendMessage was refused with 400: ""
1 sendMessage is retried in
0 is given up



=== TEST 46: an answer of 10 MB does not keep the next call from being made
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"}]
--- api
size 10000000 200
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}
--- response_headers
X-Verdict: done
--- log
1 the answer is larger than tgbot_response_size
