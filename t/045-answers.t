# Answers of the program that are encoded, marked, typed in other ways, or
# thrown away.

use Compress::Zlib qw(memGzip compress);
use Test::Nginx::Socket;
use TgbotTest;

our $call = '{"method":"sendMessage","text":"hi"}';
our $sent = 'sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}' . "\n";

our $gzip = memGzip($call);
our $large = '[' . join(',', map { qq/{"method":"sendMessage","text":"$_"}/ }
                             1 .. 33) . ']';

# fifty results of the longest text, with letters of three bytes

our $results = '{"method":"answerInlineQuery","results":['
    . join(',', map { '{"type":"article","id":"' . $_ . '","title":"'
                      . 'x' x 64 . '","input_message_content":{'
                      . '"message_text":"' . "\xe4\xb8\xad" x 4096 . '"}}' }
                1 .. 50) . ']}';

our $inline = '{"update_id":0,"inline_query":{"id":"99",'
    . '"from":{"id":8,"is_bot":false,"first_name":"Ann"},'
    . '"query":"cats","offset":""}}';

repeat_each(1);
plan 'no_plan';
TgbotTest::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: neither the program nor the Bot API is asked for an encoded answer
--- program
200 {"method":"sendMessage","text":"hi"}
--- calls eval: $main::sent
--- program_like eval: qr/^Accept-Encoding: identity\r$/m
--- api_like eval: qr/^Accept-Encoding: identity\r$/m



=== TEST 2: one that is encoded all the same has failed, and is not "not JSON"
--- updates: 3
--- program eval
["200 [Content-Encoding: gzip] [Content-Type: application/json] $main::gzip",
 "200 [Content-Encoding: br] [Content-Type: application/json] xyz",
 "200 [Content-Encoding: gzip] [Content-Type: application/x-www-form-urlencoded] xyz"]
--- calls eval: ''
--- error_code eval: [500, 500, 500]
--- response_headers eval: [("X-Verdict: failed") x 3]
--- log
3 the program failed: the answer has a Content-Encoding; "gunzip on" in the called location decodes gzip
1 [error] Content-Encoding
2 [info] Content-Encoding
0 is not JSON



=== TEST 3: with gunzip in the location it is decoded
--- program_location
gunzip on;
--- program eval
["200 [Content-Encoding: gzip] [Content-Type: application/json] $main::gzip"]
--- calls eval: $main::sent
--- response_headers
X-Verdict: done
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 4: unless it is no gzip
--- program_location
gunzip on;
--- program
200 [Content-Encoding: gzip] [Content-Type: application/json] xyz
--- calls eval: ''
--- error_code: 500
--- log
1 the program failed: the answer cannot be decoded, or is larger than tgbot_response_size



=== TEST 5: or the answer is cut short
--- program_location
gunzip on;
--- program eval
['200 [Content-Encoding: gzip] [Content-Type: application/json] '
 . substr($main::gzip, 0, 30)]
--- calls eval: ''
--- error_code: 500
--- response_headers
X-Verdict: failed



=== TEST 6: what is encoded and makes no call anyway does not matter
--- updates: 4
--- program eval
["200 [Content-Encoding: gzip] [Content-Type: text/html] $main::gzip",
 "200 [Content-Encoding: gzip] [Content-Type: application/json] ",
 "204 [Content-Encoding: gzip]",
 "200 [Content-Encoding: Identity] [Content-Type: application/json] {}"]
--- calls eval: ''
--- error_code eval: [(200) x 4]
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 7: identity is no encoding
--- program
200 [Content-Encoding: identity] [Content-Type: application/json] {"method":"sendMessage","text":"hi"}
--- calls eval: $main::sent



=== TEST 8: a byte order mark is skipped
--- program eval
["200 [Content-Type: application/json] \xef\xbb\xbf$main::call"]
--- calls eval: $main::sent
--- response_headers
X-Verdict: done
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 9: an answer that is nothing else is empty
--- updates: 2
--- program eval
["200 [Content-Type: application/json] \xef\xbb\xbf",
 "200 [Content-Type: application/json] \xef\xbb\xbf\r\n"]
--- calls eval: ''
--- error_code eval: [200, 200]
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 10: a part of the mark is none
--- program eval
["200 [Content-Type: application/json] \xef\xbb$main::call"]
--- calls eval: ''
--- log
1 the program's answer is not JSON



=== TEST 11: by default the largest inline answer goes through
--- update eval: $main::inline
--- program eval: ["200 $main::results"]
--- calls_like eval: qr/^answerInlineQuery \{"inline_query_id":"99","method".*"id":"50".*\}\]\}\n$/
--- response_headers
X-Verdict: done



=== TEST 12: types that are JSON
--- updates: 4
--- program eval
[map { "200 [Content-Type: $_] $main::call" }
 'text/json', 'Text/JSON;charset=utf-8', 'application/problem+json',
 'application/vnd.bot.v1+JSON ; charset=utf-8']
--- calls eval: $main::sent x 4
--- error_code eval: [(200) x 4]



=== TEST 13: types that are not, though they look like it
--- updates: 4
--- program eval
[map { "200 [Content-Type: $_] $main::call" }
 'text/plain+json', 'application/+json', 'application/x-json+xml', 'text/jsonp']
--- calls eval: ''
--- error_code eval: [(200) x 4]
--- log
4 looks like a method but its Content-Type is not application/json
1 [error] looks like
3 [info] looks like



=== TEST 14: a call that was encoded twice is told, with what to do
As the adapter for hono answers, which has the text of the call made JSON again.
--- updates: 2
--- program
200 [Content-Type: application/json] "{\"method\":\"sendMessage\",\"text\":\"hi\"}"
200 [Content-Type: application/json]  "[{\"text\":\"hi\",\"method\":\"sendMessage\"}]"
--- calls eval: ''
--- error_code eval: [200, 200]
--- log
2 the program's answer is a JSON string that holds a call, the program has to answer with the object itself



=== TEST 15: other strings are none of ours
--- updates: 3
--- program
200 [Content-Type: application/json] "{\"ok\":true}"
200 [Content-Type: application/json] "the \"method\" is"
200 [Content-Type: application/json] "{"
--- calls eval: ''
--- error_code eval: [200, 200, 200]
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 16: each reason is an error in the log once a minute, the rest is info
--- updates: 8
--- program eval
['200 [Content-Type: application/json] no', '200 {"method":"getMe"}',
 '200 [Content-Type: application/json] no', '200 {"method":"close"}',
 '200 {"method":"a b"}', '200 {"method":""}',
 "200 $main::large", "200 $main::large"]
--- calls eval: ''
--- error_code eval: [(200) x 8]
--- log
1 [error] the program's answer is not JSON
1 [info] the program's answer is not JSON
1 [error] calls a method that is not allowed "getMe"
1 [info] calls a method that is not allowed "close"
1 [error] has no proper method name "a b"
1 [info] has no proper method name
1 [error] makes too many calls
1 [info] makes too many calls



=== TEST 17: a call that has nowhere to go
--- update
{"update_id":0,"guest_message":{"message_id":2,"date":1700000000,"guest_query_id":"g5","chat":{"id":-5,"type":"supergroup"},"from":{"id":8,"is_bot":false,"first_name":"Ann"},"text":"hi"}}
--- updates: 2
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","chat_id":8,"text":"2"}]
200 {"method":"sendMessage","text":"3"}
--- calls
sendMessage {"method":"sendMessage","chat_id":8,"text":"2"}
--- error_code eval: [200, 200]
--- log
1 [error] has no address
1 [info] has no address
