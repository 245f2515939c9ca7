# Replies: what nginx answers itself, and what users cannot make of it.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;
use TgbotProgram;

TgbotProgram::start($Test::Nginx::Util::PidFile);
TgbotProgram::blocks(one => 1, log => '[error]');

# a webhook with these directives, and what they may call

sub config {
    my $directives = shift;

    return <<"_EOC_";
    location = /tg {
        tgbot_webhook       b;
        tgbot_token_file    \$TEST_NGINX_TOKEN_FILE;
        tgbot_secret_token  off;

        $directives

        add_header  X-Verdict  \$tgbot_verdict  always;
    }

    location = /_program {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/say/program;
    }

    location = /_api {
        internal;
        proxy_pass
            http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/json/%7B%22ok%22:true%7D;
    }

    location = /seen {
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/seen;
    }
_EOC_
}

# a message with this text, a piece of JSON

sub message {
    my ($text, $more) = @_;

    return "POST /tg\n" . '{"update_id":1,"message":{"message_id":2,'
        . '"date":1700000000,"chat":{"id":7,"type":"private"},'
        . '"from":{"id":7,"first_name":"Ann \"A\"","username":"ann"},'
        . ($more // '') . '"text":' . $text . '}}';
}

our $callback = "POST /tg\n" . '{"update_id":1,"callback_query":{"id":"4\u0022",'
    . '"from":{"id":7,"first_name":"Ann"},"data":"\"},{\"x\":\"",'
    . '"message":{"message_id":2,"chat":{"id":7,"type":"private"}}}}';

our $inline = "POST /tg\n" . '{"update_id":1,"inline_query":{"id":"55",'
    . '"from":{"id":7,"first_name":"Ann"},"query":"cats","offset":""}}';

our $poll = "POST /tg\n" . '{"update_id":1,"poll":{"id":"66","question":"?",'
    . '"options":[]}}';

our $sent = '{"chat_id":7,"method":"sendMessage","text":';

TgbotLogged::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: text of a map is sent to the chat
--- http_config
    map $tgbot_command $canned {
        /start   "Hello, $tgbot_username!";
        /help    "help";
        default  "";
    }
--- config eval: main::config('tgbot_reply $canned;')
--- request eval: main::message('"/start@some_bot now"')
--- response_body eval: $main::sent . '"Hello, ann!"}'
--- response_headers
Content-Type: application/json
Content-Length: 57
X-Verdict: done
--- error_code: 200



=== TEST 2: what the map has no answer to is ignored
--- http_config
    map $tgbot_command $canned {
        /start   "Hello, $tgbot_username!";
        default  "";
    }
--- config eval: main::config('tgbot_reply $canned;')
--- request eval: main::message('"/stop"')
--- response_headers
Content-Length: 0
X-Verdict: ignored
!Content-Type
--- response_body
--- error_code: 200



=== TEST 3: quotes and backslashes of a text
--- config eval: main::config('tgbot_reply $tgbot_text;')
--- request eval: main::message('"a \"b\" \\\\ c\u0022\u005c /"')
--- response_body eval: $main::sent . '"a \"b\" \\\\ c\"\\\\ /"}'
--- response_headers
X-Verdict: done



=== TEST 4: characters beyond ASCII
--- config eval: main::config('tgbot_reply $tgbot_text;')
--- request eval
main::message("\"\\u00e9\xc3\xa9 \\ud83d\\ude00\xf0\x9f\x98\x80\"")
--- response_body eval
$main::sent . "\"\xc3\xa9\xc3\xa9 \xf0\x9f\x98\x80\xf0\x9f\x98\x80\"}"



=== TEST 5: control characters, a half of a surrogate pair, broken UTF-8
--- config eval: main::config('tgbot_reply $tgbot_text;')
--- request eval
main::message("\"a\\n\\u0000\\u007f\\u0085b \\ud83d \xff\xc3 c\"")
--- response_body_like eval
qr/^\Q$main::sent\E"a    b [^ \x00-\x1f"\\]+ \?\? c"\}\z/



=== TEST 6: a callback query is answered
--- config eval: main::config('tgbot_reply "thanks";')
--- request eval: $main::callback
--- response_body chomp
{"callback_query_id":"4\"","method":"answerCallbackQuery","text":"thanks"}
--- response_headers
X-Verdict: done



=== TEST 7: a topic is answered in the topic
--- config eval: main::config('tgbot_reply "here";')
--- request eval
main::message('"hi"', '"message_thread_id":5,"is_topic_message":true,')
--- response_body chomp
{"chat_id":7,"message_thread_id":5,"method":"sendMessage","text":"here"}



=== TEST 8: a thread that is no topic is not
--- config eval: main::config('tgbot_reply "here";')
--- request eval: main::message('"hi"', '"message_thread_id":5,')
--- response_body chomp
{"chat_id":7,"method":"sendMessage","text":"here"}



=== TEST 9: an inline query cannot be answered with text
--- config eval: main::config('tgbot_reply "text";')
--- request eval: $main::inline
--- response_body
--- response_headers
X-Verdict: ignored
--- error_code: 200



=== TEST 10: nor can a poll
--- config eval: main::config('tgbot_reply "text";')
--- request eval: $main::poll
--- response_body
--- response_headers
X-Verdict: ignored
--- error_code: 200



=== TEST 11: then the next reply is tried
--- config eval
main::config(q{
    tgbot_reply "text";
    tgbot_reply json '{"method":"answerInlineQuery","results":[]}';
})
--- request eval: $main::inline
--- response_body chomp
{"inline_query_id":"55","method":"answerInlineQuery","results":[]}
--- response_headers
X-Verdict: done



=== TEST 12: or the program
--- config eval: main::config('tgbot_reply "text"; tgbot_handler /_program;')
--- request eval: $main::inline
--- response_body chomp
{"method":"sendMessage","chat_id":7,"text":"program"}
--- response_headers
X-Verdict: done



=== TEST 13: the first reply that is not empty answers
--- http_config
    map $tgbot_command $reply_one { default ""; /one "1"; }
    map $tgbot_command $reply_two { default ""; /one "2"; /two "2"; }
--- config eval
main::config(q{
    tgbot_reply $reply_one;
    tgbot_reply $reply_two;
    tgbot_reply "rest";
})
--- request eval
[ map { main::message("\"$_\"") } "/one", "/two", "/three" ]
--- response_body eval
[ map { $main::sent . "\"$_\"}" } "1", "2", "rest" ]



=== TEST 14: replies of a location replace those of the server
--- config eval
q{ tgbot_reply "server one"; tgbot_reply "server two"; }
. main::config('tgbot_reply $arg_none; tgbot_reply "location";')
--- request eval: main::message('"hi"')
--- response_body eval: $main::sent . '"location"}'



=== TEST 15: they are inherited otherwise
--- config eval
q{ tgbot_reply $arg_none; tgbot_reply "server two"; } . main::config('')
--- request eval: main::message('"hi"')
--- response_body eval: $main::sent . '"server two"}'



=== TEST 16: and off cancels them
--- config eval: q{ tgbot_reply "server"; } . main::config('tgbot_reply off;')
--- request eval: main::message('"hi"')
--- response_body
--- response_headers
X-Verdict: ignored



=== TEST 17: a method object goes as it is, but for the chat
--- config eval
main::config(q{
    tgbot_reply json '{ "method" : "sendDice", "emoji":"\u0041" }';
})
--- request eval: main::message('"hi"')
--- response_body chomp
{"chat_id":7, "method" : "sendDice", "emoji":"\u0041" }
--- response_headers
Content-Type: application/json
X-Verdict: done



=== TEST 18: a chat that is given is kept
--- config eval
main::config(q{
    tgbot_reply json '{"method":"sendDice","chat_id":"@ours"}';
})
--- request eval: main::message('"hi"')
--- response_body chomp
{"method":"sendDice","chat_id":"@ours"}



=== TEST 19: none of several calls rides: the others would come before it
--- config eval
main::config(q{
    tgbot_reply json '[{"method":"sendDice","emoji":"1"},
        {"method":"sendDice","emoji":"2"},{"method":"sendDice","emoji":"3"}]';
    tgbot_reply_via response;
    tgbot_api /_api;
})
--- request eval: [main::message('"hi"'), "GET /seen"]
--- response_body eval
['',
'/json/%7B%22ok%22:true%7D {"chat_id":7,"method":"sendDice","emoji":"1"}
/json/%7B%22ok%22:true%7D {"chat_id":7,"method":"sendDice","emoji":"2"}
/json/%7B%22ok%22:true%7D {"chat_id":7,"method":"sendDice","emoji":"3"}
']



=== TEST 20: without a way to the Bot API the others are dropped and logged
--- config eval
main::config(q{
    tgbot_reply json '[{"method":"sendDice","emoji":"1"},
        {"method":"sendDice","emoji":"2"},{"method":"sendDice","emoji":"3"}]';
})
--- raw_request eval
my $r = "POST /tg HTTP/1.1\r\nHost: localhost\r\nContent-Length: 43\r\n"
        . "Content-Type: application/json\r\nConnection: %s\r\n\r\n"
        . '{"update_id":1,"message":{"chat":{"id":7}}}';

sprintf($r, 'keep-alive') . sprintf($r, 'close')
--- ignore_response
--- grep_error_log eval: qr/bot "b" has \d Bot API calls to make besides/
--- grep_error_log_out
bot "b" has 2 Bot API calls to make besides
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 21: several calls all go to the Bot API, in order
--- config eval
main::config(q{
    tgbot_reply json '[{"method":"sendDice","emoji":"1"},
                       {"method":"sendDice","emoji":"2"}]';
    tgbot_api /_api;
})
--- request eval: [main::message('"hi"'), "GET /seen"]
--- response_body eval
['',
'/json/%7B%22ok%22:true%7D {"chat_id":7,"method":"sendDice","emoji":"1"}
/json/%7B%22ok%22:true%7D {"chat_id":7,"method":"sendDice","emoji":"2"}
']



=== TEST 22: tgbot_reply_via api
--- config eval
main::config('tgbot_reply "x"; tgbot_reply_via api; tgbot_api /_api;')
--- request eval: [main::message('"hi"'), "GET /seen"]
--- response_headers eval: ["X-Verdict: done\nContent-Length: 0", ""]
--- response_body eval
['', '/json/%7B%22ok%22:true%7D ' . $main::sent . '"x"}' . "\n"]



=== TEST 23: one reply rides though there is a way to the Bot API
--- config eval: main::config('tgbot_reply "x"; tgbot_api /_api;')
--- request eval: [main::message('"hi"'), "GET /seen"]
--- response_body eval: [$main::sent . '"x"}', '']



=== TEST 24: a text cannot end the JSON string it stands in
--- config eval
main::config(q{
    tgbot_reply json '{"method":"sendMessage","text":"you said $tgbot_text"}';
})
--- request eval
[ map { main::message("\"$_\"") }
      'x\",\"chat_id\":1,\"y\":\"', 'x\u0022,\u0022chat_id\u0022:1}',
      'x\\\\', 'x\\\\\",\"chat_id\":1,\"y\":\"\\\\', 'x\ny\u0000z\u2028' ]
--- response_body eval
[ map { '{"chat_id":7,"method":"sendMessage","text":"you said ' . $_ . '"}' }
      'x\",\"chat_id\":1,\"y\":\"', 'x\",\"chat_id\":1}',
      'x\\\\', 'x\\\\\",\"chat_id\":1,\"y\":\"\\\\', "x y z\xe2\x80\xa8" ]



=== TEST 25: nor can arguments, data, and names
--- config eval
main::config(q{
    tgbot_reply json '{"method":"sendMessage","text":"$tgbot_args|$tgbot_data|$tgbot_first_name|$tgbot_query_id"}';
})
--- request eval: [main::message('"/start a\"b\\\\c"'), $main::callback]
--- response_body eval
['{"chat_id":7,"method":"sendMessage","text":"a\"b\\\\c||Ann \"A\"|"}',
 '{"chat_id":7,"method":"sendMessage","text":"|\"},{\"x\":\"|Ann|4\""}']



=== TEST 26: nor through a map
--- http_config
    map $tgbot_text $shown {
        ~^/       "a command";
        default   "<$tgbot_text>";
    }
    map $shown $again {
        default   "[$shown]";
    }
--- config eval
main::config(q{
    tgbot_reply json '{"method":"sendMessage","text":"$again"}';
})
--- request eval: main::message('"x\",\"chat_id\":1,\"y\":\"\\\\"')
--- response_body chomp
{"chat_id":7,"method":"sendMessage","text":"[<x\",\"chat_id\":1,\"y\":\"\\>]"}



=== TEST 27: nor through a capture of a map's expression
--- http_config
    map $tgbot_text $name {
        "~^I am (?<who>.*)$"  $who;
        default  "";
    }
--- config eval
main::config(q{
    tgbot_reply json '{"method":"sendMessage","text":"$name"}';
})
--- request eval: main::message('"I am x\",\"chat_id\":1,\"y\":\"\\\\"')
--- response_body chomp
{"chat_id":7,"method":"sendMessage","text":"x\",\"chat_id\":1,\"y\":\"\\"}



=== TEST 28: nor through a map that a text was made of before
--- http_config
    map $tgbot_text $shown { default "<$tgbot_text>"; }
    map $shown      $empty { default ""; "x" "y"; }
--- config eval
main::config(q{
    tgbot_reply $empty;
    tgbot_reply json '{"method":"sendMessage","text":"$shown"}';
})
--- request eval: main::message('"x\",\"chat_id\":1,\"y\":\"\\\\"')
--- response_body chomp
{"chat_id":7,"method":"sendMessage","text":"<x\",\"chat_id\":1,\"y\":\"\\>"}



=== TEST 29: what is escaped for JSON is seen by nobody else
--- http_config
    map $tgbot_text $shown { default "<$tgbot_text>"; }
--- config eval
main::config(q{
    tgbot_reply json '{"method":"sendMessage","text":"$shown$tgbot_text"}';
    add_header X-Shown $shown;
    add_header X-Text  $tgbot_text;
})
--- request eval: main::message('"a\"b"')
--- response_headers
X-Shown: <a"b>
X-Text: a"b
X-Verdict: done
--- response_body chomp
{"chat_id":7,"method":"sendMessage","text":"<a\"b>a\"b"}



=== TEST 30: nor by a text that comes after it
--- http_config
    map $tgbot_text $shown { default "<$tgbot_text>"; }
    map $shown $none       { default ""; "x" "y"; }
--- config eval
main::config(q{
    tgbot_reply json $none;
    tgbot_reply $shown;
})
--- request eval: main::message('"a\"b"')
--- response_body eval: $main::sent . '"<a\"b>"}'



=== TEST 31: a value that is not JSON is no reply
--- config eval
main::config(q{
    tgbot_reply json '{"method":"sendMessage","text":$tgbot_text}';
    tgbot_reply "the next one";
})
--- request eval: main::message('"\"x\""')
--- response_body
--- response_headers
X-Verdict: ignored
--- error_log
tgbot: bot "b", update 1: the value of "tgbot_reply json" is not JSON, no reply
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 32: then the program is asked
--- config eval
main::config(q{
    tgbot_reply json '{"method":"sendMessage","text":$tgbot_text}';
    tgbot_handler /_program;
})
--- request eval: main::message('"x"')
--- response_body chomp
{"method":"sendMessage","chat_id":7,"text":"program"}
--- error_log
the value of "tgbot_reply json" is not JSON, no reply
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 33: a user cannot choose a method that is refused to programs
--- config eval
main::config(q{ tgbot_reply json '{"method":"$tgbot_text"}'; })
--- request eval: main::message('"deleteWebhook"')
--- response_body
--- response_headers
X-Verdict: ignored
--- error_log
the value of "tgbot_reply json" calls a method that is not allowed "deleteWebhook"
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 34: nor one that asks
--- config eval
main::config(q{ tgbot_reply json '{"method":"$tgbot_text"}'; })
--- request eval: main::message('"getUpdates"')
--- response_body
--- response_headers
X-Verdict: ignored
--- error_log
the value of "tgbot_reply json" calls a method that is not allowed "getUpdates"
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 35: nor something that is no method
--- config eval
main::config(q{ tgbot_reply json '{"method":"$tgbot_text"}'; })
--- request eval: main::message('"../x"')
--- response_body
--- response_headers
X-Verdict: ignored
--- error_log
the value of "tgbot_reply json" has no proper method name "../x"
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 36: nor nothing
--- config eval
main::config(q{ tgbot_reply json '{"method":"$tgbot_text"}'; })
--- request eval: main::message('""')
--- response_body
--- response_headers
X-Verdict: ignored
--- error_log
the value of "tgbot_reply json" has no proper method name, no reply
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 37: an update that comes again gets its reply again
--- config eval: main::config('tgbot_reply "x";')
--- pipelined_requests eval
[(main::message('"hi"')) x 3]
--- response_body eval
[($main::sent . '"x"}') x 3]



=== TEST 38: with a reply the program is not asked
--- config eval
main::config('tgbot_reply $tgbot_args; tgbot_handler /_program;')
--- request eval
[main::message('"/say x"'), "GET /seen", main::message('"/say"'), "GET /seen"]
--- response_body_like eval
['^\{"chat_id":7,"method":"sendMessage","text":"x"\}$', '^$',
 '"text":"program"', '^/say/program ']



=== TEST 39: a map that was looked at before the update was there stays empty
--- http_config
    map $tgbot_command $canned { default ""; /start "hello"; }
--- config eval
main::config('set $early $canned; tgbot_reply $canned;')
--- request eval: main::message('"/start"')
--- response_body
--- response_headers
X-Verdict: ignored



=== TEST 40: unless it is volatile
--- http_config
    map $tgbot_command $canned { volatile; default ""; /start "hello"; }
--- config eval
main::config('set $early $canned; tgbot_reply $canned;')
--- request eval: main::message('"/start"')
--- response_body eval: $main::sent . '"hello"}'



=== TEST 41: for JSON alike
--- http_config
    map $tgbot_text $fast { volatile; default ""; ~. "<$tgbot_text>"; }
    map $tgbot_text $slow { default ""; ~. "<$tgbot_text>"; }
--- config eval
main::config(q{
    set $early "$fast$slow";
    tgbot_reply json '{"method":"sendMessage","text":"$fast,$slow"}';
})
--- request eval: main::message('"a\"b"')
--- response_body chomp
{"chat_id":7,"method":"sendMessage","text":"<a\"b>,"}



=== TEST 42: a long reply
--- http_config
    map $tgbot_text $long { ~^(?<all>.*)$ "$all$all$all$all"; }
--- config eval: main::config('client_body_buffer_size 1m; tgbot_reply $long;')
--- request eval: main::message('"' . "y" x 60000 . '"')
--- response_body eval: $main::sent . '"' . "y" x 4096 . '"}'



=== TEST 43: what a map cuts is no half of an escape
--- http_config
    map $tgbot_text $cut {
        volatile;
        "~^(?<begin>.{6})"  '{"method":"sendMessage","text":"$begin"}';
    }
--- config eval: main::config('tgbot_reply json $cut;')
--- request eval
[ map { main::message("\"$_\"") }
  'abcde\"f', 'abcde\\\\f', 'abcd\"\"e', '\\\\\u0022abcde', '\t\u0003abcde' ]
--- response_headers eval: [("X-Verdict: done") x 5]
--- response_body eval
[ map { "{\"chat_id\":7,\"method\":\"sendMessage\",\"text\":\"$_\"}" }
  'abcde\"', 'abcde\\\\', 'abcd\"\"', '\\\\\"abcd', '  abcd' ]
