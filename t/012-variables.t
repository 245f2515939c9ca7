# The $tgbot_ variables: where they are known, and how they are escaped.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;

add_block_preprocessor(sub {
    my $block = shift;

    # these tests send the same update again and again
    $block->set_value("http_config",
                      "tgbot_dedup off;\n" . ($block->http_config || ""));

    if (!defined $block->no_error_log) {
        $block->set_value("no_error_log", "[alert]\n[crit]\n[emerg]");
    }

    if (!defined $block->more_headers) {
        $block->set_value("more_headers", "Content-Type: application/json");
    }
});

repeat_each(2);

sub post {
    my ($update) = @_;

    return "POST /tg\n$update";
}

sub message {
    my ($fields) = @_;

    return post('{"update_id":1001,"message":{"message_id":55,'
                . '"date":1700000000,"chat":{"id":-1002000000001,'
                . '"type":"supergroup"},"from":{"id":5000000001,'
                . '"is_bot":false,"first_name":"Ann","username":"ann_b",'
                . '"language_code":"de"}' . ($fields ? ",$fields" : '')
                . '}}');
}

# every variable of an update as a header, with "-" before it, so that one
# that is empty is seen

our @names = qw(bot update_id update_type chat_id chat_type user_id username
                first_name language text command args data message_id
                thread_id message_kind query_id date verdict attempts api_uri
                method);

sub name {
    my ($name) = @_;

    $name =~ tr/_/-/;

    return "X-$name";
}

sub webhook {
    my ($bot, $directives) = @_;

    return "location = /tg {\ntgbot_webhook $bot;\ntgbot_secret_token off;\n"
        . ($directives || '') . "\n"
        . join('', map("add_header " . name($_) . " -\$tgbot_$_ always;\n",
                       @names))
        . "}\n";
}

# all of them, those that are not given as empty

sub shown {
    my (%given) = @_;

    return join("\n", map(name($_) . ': -'
                          . (defined $given{$_} ? $given{$_} : ''), @names));
}

# the same for variables that few updates have

our @more = qw(command_bot is_bot business_connection_id sender_business_bot
               user_chat_id direct_messages_topic_id media_group_id
               message_id ephemeral html_first_name html_text);

sub more {
    local @names = @more;

    return webhook(@_);
}

sub told {
    local @names = @more;

    return shown(@_);
}

TgbotLogged::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: a message
--- config eval: main::webhook("v1")
--- request eval: main::message('"text":"/start@my_bot x y"')
--- response_headers eval
main::shown(bot => "v1", update_id => 1001, update_type => "message",
            chat_id => "-1002000000001", chat_type => "supergroup",
            user_id => "5000000001", username => "ann_b", first_name => "Ann",
            language => "de", text => '/start@my_bot x y',
            command => "/start", args => "x y", message_id => 55,
            message_kind => "text", date => 1700000000, verdict => "ignored",
            attempts => 1)



=== TEST 2: a message of a topic, without a text
--- config eval: main::webhook("v2")
--- request eval
main::message('"is_topic_message":true,"message_thread_id":9,"photo":[]')
--- response_headers eval
main::shown(bot => "v2", update_id => 1001, update_type => "message",
            chat_id => "-1002000000001", chat_type => "supergroup",
            user_id => "5000000001", username => "ann_b", first_name => "Ann",
            language => "de", message_id => 55, thread_id => 9,
            message_kind => "photo", date => 1700000000,
            verdict => "ignored", attempts => 1)



=== TEST 3: a callback query
--- config eval: main::webhook("v3")
--- request eval
main::post('{"update_id":7,"callback_query":{"id":"4382bfdwdsb323b2d9",'
           . '"from":{"id":42,"is_bot":false,"first_name":"Bo"},'
           . '"message":{"message_id":3,"date":1700000001,"chat":{"id":42,'
           . '"type":"private"},"text":"choose"},"chat_instance":"1",'
           . '"data":"buy:1"}}')
--- response_headers eval
main::shown(bot => "v3", update_id => 7, update_type => "callback_query",
            chat_id => 42, chat_type => "private", user_id => 42,
            first_name => "Bo", data => "buy:1", message_id => 3,
            query_id => "4382bfdwdsb323b2d9", verdict => "ignored",
            attempts => 1)



=== TEST 4: an update of an unknown type, without anything
--- config eval: main::webhook("v4")
--- request eval: main::post('{"update_id":0}')
--- response_headers eval
main::shown(bot => "v4", update_id => 0, verdict => "ignored", attempts => 1)



=== TEST 5: large and negative numbers
--- config eval: main::webhook("v5")
--- request eval
main::post('{"update_id":2147483647,"message":{"message_id":1,'
           . '"date":1,"chat":{"id":-9223372036854775808,"type":"private"}}}')
--- response_headers
X-update-id: -2147483647
X-chat-id: --9223372036854775808
X-date: -1



=== TEST 6: a request that is not let in has a bot and a verdict
--- config
    location = /tg {
        tgbot_webhook       v6;
        tgbot_secret_token  sekret;

        add_header  X-Bot       -$tgbot_bot       always;
        add_header  X-Verdict   -$tgbot_verdict   always;
        add_header  X-Update    -$tgbot_update_id always;
        add_header  X-Attempts  -$tgbot_attempts  always;
        add_header  X-Age       -$tgbot_age       always;
    }
--- request eval: main::message('"text":"hi"')
--- response_headers
X-Bot: -v6
X-Verdict: -rejected
X-Update: -
X-Attempts: -
X-Age: -
--- error_code: 401



=== TEST 7: likewise one whose body is no update
--- config eval: main::webhook("v7")
--- request eval: main::post('{"update":1}')
--- response_headers eval: main::shown(bot => "v7", verdict => "rejected")
--- error_code: 400



=== TEST 8: a location without a webhook has no variables
--- config
    location = /tg {
        add_header  X-Bot      -$tgbot_bot;
        add_header  X-Text     -$tgbot_text;
        add_header  X-Verdict  -$tgbot_verdict;
        add_header  X-Age      -$tgbot_age;
        return 200  -$tgbot_method;
    }
--- request eval: main::message('"text":"hi"')
--- response_headers
X-Bot: -
X-Text: -
X-Verdict: -
X-Age: -
--- response_body chomp
-



=== TEST 9: the age of an update
--- config
    location = /tg {
        tgbot_webhook       v9;
        tgbot_secret_token  off;

        add_header  X-Age  $tgbot_age;
    }
--- request eval
my $date = time() - 500;

main::post('{"update_id":1,"message":{"message_id":1,"date":' . $date
           . ',"chat":{"id":1,"type":"private"}}}')
--- response_headers_like
X-Age: 5\d\d



=== TEST 10: an update of a clock that is ahead is not younger than 0
--- config
    location = /tg {
        tgbot_webhook       v10;
        tgbot_secret_token  off;

        add_header  X-Age  $tgbot_age;
    }
--- request eval
my $date = time() + 500;

main::post('{"update_id":1,"message":{"message_id":1,"date":' . $date
           . ',"chat":{"id":1,"type":"private"}}}')
--- response_headers
X-Age: 0



=== TEST 11: before an update is parsed nothing is known, nor kept
--- config
    location = /tg {
        set $early  "-$tgbot_text-$tgbot_bot-$tgbot_verdict-$tgbot_chat_id-";

        tgbot_webhook       v11;
        tgbot_secret_token  off;

        add_header  X-Early    $early;
        add_header  X-Text     $tgbot_text;
        add_header  X-Bot      $tgbot_bot;
        add_header  X-Verdict  $tgbot_verdict;
        add_header  X-Chat     $tgbot_chat_id;
    }
--- request eval: main::message('"text":"hi"')
--- response_headers
X-Early: -----
X-Text: hi
X-Bot: v11
X-Verdict: ignored
X-Chat: -1002000000001



=== TEST 12: maps
--- http_config
    map $tgbot_command $answer {
        default  "";
        /start   "welcome, $tgbot_first_name";
        /help    "no";
    }
--- config
    location = /tg {
        tgbot_webhook       v12;
        tgbot_secret_token  off;
        tgbot_reply         $answer;

        add_header  X-Verdict  $tgbot_verdict;
    }
--- request eval
[main::message('"text":"/start"'), main::message('"text":"/stop"')]
--- response_headers eval
["X-Verdict: done", "X-Verdict: ignored"]
--- response_body_like eval
['"text":"welcome, Ann"', '^$']



=== TEST 13: a map that is touched early is volatile
--- http_config
    map $tgbot_command $answer {
        volatile;
        default  "none";
        /start   "started";
    }
--- config
    location = /tg {
        set $early  $answer;

        tgbot_webhook       v13;
        tgbot_secret_token  off;

        add_header  X-Early   $early;
        add_header  X-Answer  $answer;
    }
--- request eval: main::message('"text":"/start"')
--- response_headers
X-Early: none
X-Answer: started



=== TEST 14: control characters do not end a header
--- config eval: main::webhook("v14")
--- request eval: main::message('"text":"a\r\nX-Evil: 1\u0000\tb"')
--- response_headers
X-text: -a  X-Evil: 1  b
!X-Evil



=== TEST 15: text inside of JSON is escaped
--- config
    location = /tg {
        tgbot_webhook       v15;
        tgbot_secret_token  off;
        tgbot_reply  json   '{"method":"x","text":"$tgbot_text"}';

        add_header  X-Text  $tgbot_text;
    }
--- request eval
main::message('"text":"\"},\\\\ \u00e4 {\"chat_id\":\"9"')
--- response_headers eval
"X-Text: \"},\\ \xc3\xa4 {\"chat_id\":\"9"
--- response_body_like eval
qr/"text":"\\"\},\\\\ \xc3\xa4 \{\\"chat_id\\":\\"9"\}/



=== TEST 16: so it is through a map
--- http_config
    map $tgbot_bot $json {
        default  '{"method":"x","text":"$tgbot_text"}';
    }
--- config
    location = /tg {
        tgbot_webhook       v16;
        tgbot_secret_token  off;
        tgbot_reply  json   $json;
    }
--- request eval: main::message('"text":"a\"b"')
--- response_body_like eval
qr/"text":"a\\"b"/



=== TEST 17: text inside of a query is escaped
--- config
    location = /tg {
        tgbot_webhook       v17;
        tgbot_secret_token  off;
        tgbot_handler
                 /app?c=$tgbot_command&t=$tgbot_text&n=$tgbot_chat_id;
    }

    location = /app {
        internal;
        default_type  application/json;
        return 200    '{"method":"x","text":"$args"}';
    }
--- request eval: main::message('"text":"/a ?b=1&c#%41+\u00e4/"')
--- response_body_like eval
my $t = '%2Fa%20%3Fb%3D1%26c%23%2541%2B%C3%A4%2F';

qr/"text":"c=%2Fa&t=$t&n=-1002000000001"/



=== TEST 18: the location of the program
--- config
    location = /tg {
        tgbot_webhook       v18;
        tgbot_secret_token  off;
        tgbot_handler       /app;
    }

    location = /app {
        internal;
        default_type  application/json;
        return 200
            '{"method":"x","text":"$tgbot_bot $tgbot_text $tgbot_update_id",
              "a":"$tgbot_attempts-$tgbot_verdict-$tgbot_api_uri-"}';
    }
--- request eval: main::message('"text":"/start x"')
--- response_body_like eval
qr/"text":"v18 \/start x 1001",\s+"a":"1---"/



=== TEST 19: the location of the Bot API, and nowhere else
--- http_config
    log_format  vars  "$uri: -$tgbot_api_uri- -$tgbot_method- $tgbot_text";
    log_format  mock  "$uri: $http_x_method $http_x_text";
--- config
    location = /tg {
        access_log          logs/access.log vars;

        tgbot_webhook       v19;
        tgbot_secret_token  off;
        tgbot_token         4711:abc_D-1;
        tgbot_api           /api;
        tgbot_reply_via     api;
        tgbot_reply  json   '{"method":"sendMessage","text":"$tgbot_text"}';
    }

    location = /api {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/mock$tgbot_api_uri;
        proxy_set_header  X-Method  $tgbot_method;
        proxy_set_header  X-Text    $tgbot_text;
    }

    location /mock/ {
        access_log   logs/access.log mock;
        return  200  '{"ok":true}';
    }
--- request eval: main::message('"text":"hi"')
--- access_log
/tg: --- --- hi
/mock/bot4711:abc_D-1/sendMessage: sendMessage hi



=== TEST 20: what is absent is "-" in a log
--- http_config
    log_format  vars  escape=json
        '{"id":"$tgbot_update_id","text":"$tgbot_text","user":"$tgbot_username"}';
    log_format  plain '$tgbot_update_id $tgbot_text $tgbot_username';
--- config
    location = /tg {
        tgbot_webhook       v20;
        tgbot_secret_token  off;

        access_log  logs/access.log vars;
        access_log  logs/access.log plain;
    }
--- request eval
main::post('{"update_id":20,"message":{"message_id":1,"date":1,'
           . '"text":"a\"b"}}')
--- access_log
{"id":"20","text":"a\"b","user":""}
20 a\x22b -



=== TEST 21: an internal redirect to a webhook
--- config eval
main::webhook("v21") . 'location = /in { rewrite ^ /tg last; }'
--- request eval
my $request = main::message('"text":"hi"');
$request =~ s/tg/in/;
$request
--- response_headers
X-bot: -v21
X-text: -hi
X-verdict: -ignored



=== TEST 22: a business message
--- config eval: main::more("v22")
--- request eval
main::post('{"update_id":1001,"business_message":{"message_id":55,'
           . '"business_connection_id":"bc","sender_business_bot":'
           . '{"id":9,"is_bot":true},"date":1700000000,"chat":{"id":7,'
           . '"type":"private"},"from":{"id":8,"is_bot":false,'
           . '"first_name":"A&B"},"media_group_id":"al","caption":'
           . '"/a@b_bot <b>\"x\"","photo":[]}}')
--- response_headers eval
main::told(command_bot => "b_bot", is_bot => 0, business_connection_id => "bc",
           sender_business_bot => 9, media_group_id => "al",
           message_id => 55, html_first_name => "A&amp;B",
           html_text => "/a\@b_bot &lt;b&gt;&quot;x&quot;")



=== TEST 23: an ephemeral message of another bot
--- config eval: main::more("v23")
--- request eval
main::post('{"update_id":1001,"message":{"message_id":0,'
           . '"ephemeral_message_id":4,"direct_messages_topic":{"topic_id":'
           . '9007199254740991},"chat":{"id":-7,"type":"supergroup"},'
           . '"from":{"id":8,"is_bot":true,"first_name":"B"},"text":"a"}}')
--- response_headers eval
main::told(is_bot => 1, direct_messages_topic_id => "9007199254740991",
           ephemeral => 1, html_first_name => "B", html_text => "a")



=== TEST 24: a join request
--- config eval: main::more("v24")
--- request eval
main::post('{"update_id":1001,"chat_join_request":{"chat":{"id":-7,'
           . '"type":"supergroup"},"from":{"id":8,"is_bot":false,'
           . '"first_name":"C"},"user_chat_id":88,"date":1700000000}}')
--- response_headers eval
main::told(is_bot => 0, user_chat_id => 88, html_first_name => "C")



=== TEST 25: an update without a user
--- config eval: main::more("v25")
--- request eval: main::post('{"update_id":1001,"poll":{"id":"1"}}')
--- response_headers eval: main::told()



=== TEST 26: escaped for HTML, and then for JSON
--- config
    location = /tg {
        tgbot_webhook       v26;
        tgbot_secret_token  off;
        tgbot_reply json '{"method":"sendMessage","parse_mode":"HTML",
                           "text":"<b>$tgbot_html_text</b>"}';
    }
--- request eval: main::message('"text":"\"<\\\\&"')
--- response_body_like chomp
"text":"<b>&quot;&lt;\\\\&amp;</b>"
