# tgbot_gateway idempotency=: calls with an Idempotency-Key.

use Test::Nginx::Socket;
use TgbotTest;

our $message = '{"chat_id":7,"text":"hi"}';
our $call = "POST /bot/sendMessage\n$message";

our $json = 'Content-Type: application/json';
our $form = 'Content-Type: application/x-www-form-urlencoded';

# a body that does not stay in memory, and one that differs at its end

our $big = '{"chat_id":7,"text":"' . 'x' x 700000 . '"}';
our $other = $big =~ s/x"\}$/y"}/r;

# the headers of a call with this key, one that is repeated by a program

sub key {
    my ($key, $type) = @_;

    return ($type // $json) . "\nIdempotency-Key: $key";
}

# an upload by a library, which draws a boundary for each

sub upload {
    my ($boundary, $photo) = @_;

    return "POST /bot/sendPhoto\n"
           . "--$boundary\r\nContent-Disposition: form-data; "
           . "name=\"chat_id\"\r\n\r\n7\r\n--$boundary\r\nContent-Disposition: "
           . "form-data; name=\"photo\"; filename=\"a\"\r\n\r\n$photo\r\n"
           . "--$boundary--\r\n";
}

sub conflict {
    return '{"ok":false,"error_code":409,"description":"Conflict: ' . shift
           . '"}';
}

our $unknown = conflict('the outcome of the call with this Idempotency-Key is '
                        . 'unknown, it is not sent again');

our $ok = '{"ok":true,"result":true}';

repeat_each(1);
plan 'no_plan';
TgbotTest::start();

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value('server', ($block->server // '') . <<'_EOC_');
tgbot_retry_on off;
location /bot/ {
    tgbot_gateway $bot idempotency=keys:4m;
    client_max_body_size 55m;
}
_EOC_
});

no_long_string();
run_tests();

__DATA__

=== TEST 1: a call is sent once, and the answer is given again
--- request eval: [($::call) x 3]
--- more_headers eval: [(main::key('a-1')) x 3]
--- api
200 [Content-Type: application/json; charset=utf-8] {"ok":true,"result":{"message_id":5}}
--- calls eval: "sendMessage $::message\n"
--- response_headers eval: [("Content-Type: application/json; charset=utf-8\nContent-Length: 37") x 3]
--- response_body eval: [('{"ok":true,"result":{"message_id":5}}') x 3]



=== TEST 2: other keys, and none, are other calls
--- request eval: [($::call) x 5]
--- more_headers eval: [main::key('one'), main::key('ONE'), main::key('two'), $::json, $::json]
--- calls eval: "sendMessage $::message\n" x 5
--- error_code eval: [(200) x 5]



=== TEST 3: another call under the same key
--- request eval
[$::call, "POST /bot/sendMessage\n{\"chat_id\":8}", "POST /bot/sendPhoto\n$::message", "POST /bot/sendMessage?a=1\n$::message", $::call, $::call]
--- more_headers eval
[(main::key('k')) x 4, main::key('k', 'Content-Type: application/JSON'), main::key('k')]
--- calls eval: "sendMessage $::message\n"
--- error_code eval: [200, (422) x 4, 200]
--- response_body eval
[$::ok, ('{"ok":false,"error_code":422,"description":"Unprocessable Entity: this Idempotency-Key was used for another call"}') x 4, $::ok]



=== TEST 4: keys that are none
--- request eval: [($::call) x 6]
--- more_headers eval
["$::json\nIdempotency-Key: ", main::key('a b'), main::key("a\x{e4}"), main::key('x' x 256), main::key("a\nIdempotency-Key: a"), main::key("a\x{7f}")]
--- calls eval: ''
--- error_code eval: [(400) x 6]
--- response_body eval: [('{"ok":false,"error_code":400,"description":"Bad Request: Idempotency-Key has to be one header with 1 to 255 visible characters of ASCII"}') x 6]



=== TEST 5: the longest key
--- request eval: [($::call) x 2]
--- more_headers eval: [(main::key('!~' . 'x' x 253)) x 2]
--- calls eval: "sendMessage $::message\n"
--- error_code eval: [200, 200]



=== TEST 6: an error is an answer, too
--- request eval: [($::call) x 2]
--- more_headers eval: [(main::key('k')) x 2]
--- api
400 {"ok":false,"error_code":400,"description":"Bad Request: chat not found"}
--- calls eval: "sendMessage $::message\n"
--- error_code eval: [400, 400]
--- response_headers eval: [('Content-Type: application/json') x 2]
--- response_body eval: [('{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}') x 2]



=== TEST 7: 429 and 5xx are not kept
--- request eval: [($::call) x 4]
--- more_headers eval: [(main::key('k')) x 4]
--- api
429 {"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1","parameters":{"retry_after":1}}
500 {"ok":false,"error_code":500,"description":"Internal Server Error"}
502 x
--- calls eval: "sendMessage $::message\n" x 4
--- error_code eval: [429, 500, 502, 200]



=== TEST 8: neither is a refused token
--- request eval: [($::call) x 2]
--- more_headers eval: [(main::key('k')) x 2]
--- api
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls eval: "sendMessage $::message\n"
--- error_code eval: [401, 401]
--- log
1 [error] is unauthorized



=== TEST 9: an unknown outcome: the call is not sent again
--- request eval: [($::call) x 3]
--- more_headers eval: [(main::key('k')) x 3]
--- api
reset
--- calls eval: "sendMessage $::message\n"
--- error_code eval: [502, 409, 409]
--- response_body_like eval: ['Bad Gateway', ($::unknown) x 2]



=== TEST 10: with repeats, the answer to one of them counts
--- server
tgbot_retry attempts=5 backoff=10ms max_backoff=20ms;
location /again/ {
    tgbot_gateway $bot idempotency=keys;
    tgbot_retry_on error http_5xx;
}
--- request eval: [("POST /again/sendMessage\n$::message") x 2]
--- more_headers eval: [(main::key('k')) x 2]
--- api
reset
503
--- calls eval: "sendMessage $::message\n" x 3
--- error_code eval: [200, 200]



=== TEST 11: and a 5xx after an unknown outcome does not tell it
--- server
tgbot_retry attempts=2 backoff=10ms max_backoff=20ms;
location /again/ {
    tgbot_gateway $bot idempotency=keys;
    tgbot_retry_on error;
}
--- request eval: [("POST /again/sendMessage\n$::message") x 2]
--- more_headers eval: [(main::key('k')) x 2]
--- api
reset
503 x
--- calls eval: "sendMessage $::message\n" x 2
--- error_code eval: [503, 409]



=== TEST 12: money is not sent again after a 5xx either
--- request eval: [("POST /bot/sendGift\n$::message") x 2]
--- more_headers eval: [(main::key('k')) x 2]
--- api
500 x
--- calls eval: "sendGift $::message\n"
--- error_code eval: [500, 409]



=== TEST 13: a call that was not sent may be sent
--- api_location
if ($http_idempotency_key = '') { set $x 1; }
proxy_pass http://127.0.0.1:$closed$tgbot_api_uri;
--- request eval: [($::call) x 2]
--- more_headers eval: [(main::key('k')) x 2]
--- error_code eval: [502, 502]
--- no_error_log
[alert]



=== TEST 14: the largest answer that is kept, and one that is too large
--- request eval: [($::call) x 4]
--- more_headers eval: [(main::key('a')) x 2, (main::key('b')) x 2]
--- api eval
['200 ' . 'x' x 16384, '200 ' . 'x' x 16385]
--- calls eval: "sendMessage $::message\n" x 2
--- error_code eval: [200, 200, 200, 409]
--- response_body eval
['x' x 16384, 'x' x 16384, 'x' x 16385, main::conflict('the call with this Idempotency-Key was answered, its answer could not be kept')]



=== TEST 15: an answer of no body
--- request eval: [($::call) x 2]
--- more_headers eval: [(main::key('k')) x 2]
--- api
200
--- calls eval: "sendMessage $::message\n"
--- error_code eval: [200, 200]
--- response_body eval: ['', '']



=== TEST 16: a query
--- request eval: [('GET /bot/sendMessage?chat_id=7') x 2, 'GET /bot/sendMessage?chat_id=8']
--- more_headers eval: [('Idempotency-Key: k') x 3]
--- calls eval: 'GET /bot$token/sendMessage?chat_id=7 HTTP/1.1 ' . "\n"
--- error_code eval: [200, 200, 422]



=== TEST 17: an urlencoded form
--- request eval: [("POST /bot/sendMessage\nchat_id=7&text=a+b") x 2]
--- more_headers eval: [(main::key('k', $::form)) x 2]
--- calls
sendMessage chat_id=7&text=a+b
--- error_code eval: [200, 200]



=== TEST 18: an upload, whose boundary differs each time
--- request eval: [main::upload('xyz', 'photo'), main::upload('another1', 'photo'), main::upload('xyz', 'phot0')]
--- more_headers eval
[map { main::key('k', "Content-Type: multipart/form-data; boundary=$_") } qw(xyz another1 xyz)]
--- calls_like eval: qr/\AsendPhoto --xyz[^\n]*photo[^\n]*\n\z/
--- error_code eval: [200, 200, 422]



=== TEST 19: a body in a file
--- request eval: ["POST /bot/sendMessage\n$::big", "POST /bot/sendMessage\n$::big", "POST /bot/sendMessage\n$::other"]
--- more_headers eval: [(main::key('k')) x 3]
--- calls eval: "sendMessage $::big\n"
--- error_code eval: [200, 200, 422]



=== TEST 20: without idempotency= the header says nothing
--- server
location /plain/ {
    tgbot_gateway $bot;
}
--- request eval: [("POST /plain/sendMessage\n$::message") x 2]
--- more_headers eval: [(main::key('k')) x 2]
--- calls eval: "sendMessage $::message\n" x 2
--- error_code eval: [200, 200]



=== TEST 21: a full zone refuses what it could not keep
--- server
location /small/ {
    tgbot_gateway $bot idempotency=few:96k;
}
--- request eval: [map { "POST /small/sendMessage\n$::message" } 1 .. 10]
--- more_headers eval: [map { main::key($_) } 'a' .. 'i', 'a']
--- api eval: [('200 ' . 'x' x 16384) x 9]
--- calls eval: "sendMessage $::message\n" x 5
--- error_code eval: [(200) x 5, (507) x 4, 200]
--- response_body_like eval
[('^x+$') x 5, ('\{"ok":false,"error_code":507,"description":"Insufficient Storage: there is no room for another Idempotency-Key, the call was not sent"\}') x 4, '^x+$']



=== TEST 22: what the status says
--- server
location /status { tgbot_status; }
--- request eval
[$::call, $::call, "POST /bot/sendMessage\n{}", $::call, $::call, 'GET /status/?format=prometheus']
--- more_headers eval
[(main::key('k')) x 3, (main::key('l')) x 2, '']
--- api
200
reset
--- calls eval: "sendMessage $::message\n" x 2
--- error_code eval: [200, 200, 422, 502, 409, 200]
--- response_body_like eval
[('') x 5, 'idempotency_total\{bot="bot\d+-\d+",result="started"\} 2\n(?s:.*)result="repeated"\} 1\n(?s:.*)result="waited"\} 0\n(?s:.*)result="conflict"\} 1\n(?s:.*)result="refused"\} 1\n(?s:.*)nginx_tgbot_zone_bytes\{zone="keys",state="used"\}']



=== TEST 23: a refused token after an unknown outcome does not tell it either
--- server
tgbot_retry attempts=2 backoff=10ms max_backoff=20ms;
location /again/ {
    tgbot_gateway $bot idempotency=keys;
    tgbot_retry_on error;
}
--- request eval: [("POST /again/sendMessage\n$::message") x 2]
--- more_headers eval: [(main::key('k')) x 2]
--- api
reset
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls eval: "sendMessage $::message\n" x 2
--- error_code eval: [401, 409]
--- response_body_like eval: ['Unauthorized', $::unknown]
--- log
1 [error] is unauthorized
