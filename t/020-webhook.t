# Receiving: who is let in, what is an Update, what Telegram is answered.

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
        $block->set_value("more_headers",
                          "Content-Type: application/json\n"
                          . "X-Telegram-Bot-Api-Secret-Token: sekret");
    }
});

repeat_each(2);

our $config = <<'_EOC_';
    location = /tg {
        tgbot_webhook          $bot;
        tgbot_secret_token     sekret;

        add_header  X-Verdict    $tgbot_verdict     always;
        add_header  X-Update-Id  $tgbot_update_id   always;
        add_header  X-Type       $tgbot_update_type always;
    }
_EOC_

sub config {
    my ($bot, $more) = @_;
    my $c = $config;
    $c =~ s/\$bot/$bot/;
    $c =~ s/add_header/$more\n        add_header/ if $more;
    return $c;
}

our $update = '{"update_id":1,' . "\n"
    . '"message":{"message_id":2,"date":1700000000,"chat":{"id":7,'
    . '"type":"private"},"from":{"id":7,"first_name":"Ann"},"text":"hi"}}';

TgbotLogged::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: an update for which nothing is configured is acknowledged
--- config eval: main::config("b1")
--- request eval: "POST /tg\n$main::update"
--- response_headers
X-Verdict: ignored
X-Update-Id: 1
X-Type: message
Content-Length: 0
!Content-Type
--- response_body
--- error_code: 200



=== TEST 2: missing secret token
--- config eval: main::config("b2")
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: application/json
--- response_headers
X-Verdict: rejected
Content-Length: 0
--- error_code: 401
--- error_log
tgbot: bot "b2": wrong or missing secret token
--- no_error_log
[alert]



=== TEST 3: wrong secret token of the same length
--- config eval: main::config("b3")
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: application/json
X-Telegram-Bot-Api-Secret-Token: sekreT
--- response_headers
X-Verdict: rejected
--- error_code: 401



=== TEST 4: a prefix of the secret token is not it
--- config eval: main::config("b4")
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: application/json
X-Telegram-Bot-Api-Secret-Token: sekre
--- error_code: 401



=== TEST 5: nor is one that goes on
--- config eval: main::config("b5")
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: application/json
X-Telegram-Bot-Api-Secret-Token: sekretx
--- error_code: 401



=== TEST 6: an empty secret token
--- config eval: main::config("b6")
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: application/json
X-Telegram-Bot-Api-Secret-Token:
--- error_code: 401



=== TEST 7: the second secret of a rotation is accepted
--- config
    location = /tg {
        tgbot_webhook       b7;
        tgbot_secret_token  fresh sekret;
    }
--- request eval: "POST /tg\n$main::update"
--- response_body
--- error_code: 200



=== TEST 8: so is the first
--- config
    location = /tg {
        tgbot_webhook       b8;
        tgbot_secret_token  sekret stale;
    }
--- request eval: "POST /tg\n$main::update"
--- response_body
--- error_code: 200



=== TEST 9: no secret token is asked for with off
--- config
    location = /tg {
        tgbot_webhook       b9;
        tgbot_secret_token  off;
    }
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: application/json
--- response_body
--- error_code: 200



=== TEST 10: not POST
--- config eval: main::config("b10")
--- request
GET /tg
--- response_headers
X-Verdict: rejected
Allow: POST
--- error_code: 405



=== TEST 11: not JSON by its type
--- config eval: main::config("b11")
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: text/plain
X-Telegram-Bot-Api-Secret-Token: sekret
--- response_headers
X-Verdict: rejected
--- error_code: 415



=== TEST 12: no type at all
--- config eval: main::config("b12")
--- request eval: "POST /tg\n$main::update"
--- more_headers
X-Telegram-Bot-Api-Secret-Token: sekret
--- error_code: 415



=== TEST 13: a type that only begins like it
--- config eval: main::config("b13")
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: application/jsonlines
X-Telegram-Bot-Api-Secret-Token: sekret
--- error_code: 415



=== TEST 14: parameters and case of the type do not matter
--- config eval: main::config("b14")
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: Application/JSON; charset=utf-8
X-Telegram-Bot-Api-Secret-Token: sekret
--- response_headers
X-Verdict: ignored
--- error_code: 200



=== TEST 15: not JSON by its body
--- config eval: main::config("b15")
--- request
POST /tg
{"update_id":1,
--- response_headers
X-Verdict: rejected
Content-Length: 0
--- error_code: 400
--- error_log
the request is not JSON or has no update_id
--- no_error_log
[alert]



=== TEST 16: JSON without update_id
--- config eval: main::config("b16")
--- request
POST /tg
{"message":{"text":"update_id"}}
--- response_headers
X-Verdict: rejected
--- error_code: 400



=== TEST 17: no body
--- config eval: main::config("b17")
--- request
POST /tg
--- more_headers
Content-Type: application/json
Content-Length: 0
X-Telegram-Bot-Api-Secret-Token: sekret
--- response_headers
X-Verdict: rejected
--- error_code: 400



=== TEST 18: too large is core's to say
--- config eval: main::config("b18", "client_max_body_size 600k;")
--- request eval
"POST /tg\n" . '{"update_id":1,"message":{"text":"' . ("x" x 700000) . '"}}'
--- response_body_like: 413 Request Entity Too Large
--- error_code: 413
--- no_error_log
[alert]
[crit]



=== TEST 19: an update of the largest size stays in memory
--- config eval: main::config("b19")
--- request eval
"POST /tg\n" . '{"update_id":19,"message":{"chat":{"id":1},"text":"'
. ("x" x 524000) . '"}}'
--- response_headers
X-Verdict: ignored
X-Update-Id: 19
--- error_code: 200
--- no_error_log
[alert]
buffered to a temporary file



=== TEST 20: one that nginx put into a file is read all the same
--- config eval: main::config("b20", "client_max_body_size 2m;")
--- request eval
"POST /tg\n" . '{"message":{"chat":{"id":1},"text":"'
. ("x" x 1000000) . '"},"update_id":20}'
--- response_headers
X-Verdict: ignored
X-Update-Id: 20
--- error_code: 200
--- error_log
buffered to a temporary file
--- no_error_log
[alert]



=== TEST 21: chunked, in small pieces
--- config eval: main::config("b21")
--- raw_request eval
["POST /tg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Content-Type: application/json\r\n"
. "X-Telegram-Bot-Api-Secret-Token: sekret\r\n"
. "Transfer-Encoding: chunked\r\n\r\n",
"6\r\n{\"upda\r\n",
"10\r\nte_id\":21,\"messa\r\n",
"19\r\nge\":{\"chat\":{\"id\":-100}}}\r\n",
"0\r\n\r\n"]
--- raw_request_middle_delay: 0.02
--- response_headers
X-Verdict: ignored
X-Update-Id: 21
--- error_code: 200



=== TEST 22: too deep for us is not too deep for the program
--- config eval: main::config("b22")
--- request eval
"POST /tg\n" . '{"message":' . ("[" x 5000) . ("]" x 5000)
. ',"update_id":22}'
--- response_headers
X-Verdict: ignored
X-Update-Id: 22
--- error_code: 200



=== TEST 23: two updates over one connection
--- config eval: main::config("b23")
--- pipelined_requests eval
["POST /tg\n$main::update", "POST /tg\n$main::update"]
--- response_headers eval
["X-Verdict: ignored", "X-Verdict: ignored"]
--- error_code eval
[200, 200]



=== TEST 24: an error_page in force changes no answer
--- config
    error_page 400 401 405 415 500 502 503 504 =200 /sorry;
    location = /sorry {
        return 200 "sorry";
    }
    location = /tg {
        tgbot_webhook       b24;
        tgbot_secret_token  sekret;
        error_page 400 401 405 415 500 502 503 504 =200 /sorry;
    }
--- request eval: "POST /tg\n$main::update"
--- more_headers
Content-Type: application/json
--- response_body
--- response_headers
Content-Length: 0
--- error_code: 401



=== TEST 25: nor when the body is not an Update
--- config
    location = /sorry {
        return 200 "sorry";
    }
    location = /tg {
        tgbot_webhook       b25;
        tgbot_secret_token  sekret;
        error_page 400 401 405 415 500 502 503 504 =200 /sorry;
    }
--- request
POST /tg
[]
--- response_body
--- response_headers
--- error_code: 400



=== TEST 26: a webhook is nothing for subrequests
--- config
    location = /tg {
        tgbot_webhook       b26;
        tgbot_secret_token  off;
    }
    location = /t {
        auth_request  /tg;
        return 200;
    }
    location = /u {
        auth_request  /tg;
        root  html;
    }
--- request
GET /u
--- error_code: 500
--- error_log
auth request unexpected status: 404
--- no_error_log
[alert]



=== TEST 27: in an unnamed location the bot is the same
--- config
    location = /tg {
        tgbot_webhook       b27;
        tgbot_secret_token  sekret;

        if ($http_x_none = "") {
            add_header  X-If  yes;
        }
    }
--- request eval: "POST /tg\n$main::update"
--- response_body
--- response_headers
X-If: yes
--- error_code: 200



=== TEST 28: refused before the body has come
--- config eval: main::config("b28")
--- raw_request eval
["POST /tg HTTP/1.1\r\nHost: localhost\r\n"
. "Content-Type: application/json\r\n"
. "Content-Length: 10\r\n\r\n",
"0123456789GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"]
--- raw_request_middle_delay: 0.05
--- response_headers
X-Verdict: rejected
--- error_code: 401
--- error_log
/none" failed (2: No such file or directory)
--- no_error_log
[alert]



=== TEST 29: a body in as many chunks as it has bytes
--- config eval: main::config("b29")
--- raw_request eval
"POST /tg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Content-Type: application/json\r\n"
. "X-Telegram-Bot-Api-Secret-Token: sekret\r\n"
. "Transfer-Encoding: chunked\r\n\r\n"
. CORE::join("", map { "1\r\n$_\r\n" }
    split(//, '{"update_id":29,"message":{"chat":{"id":1},"text":"'
              . ("x" x 5000) . '"}}'))
. "0\r\n\r\n"
--- response_headers
X-Verdict: ignored
X-Update-Id: 29
--- error_code: 200



=== TEST 30: the connection stays open after each refusal
--- config eval: main::config("b30")
--- raw_request eval
my $type = "Content-Type: application/json\r\n";
my $secret = "X-Telegram-Bot-Api-Secret-Token: sekret\r\n";
my $head = "POST /tg HTTP/1.1\r\nHost: localhost\r\n";
$head . $type . "Content-Length: 2\r\n\r\n{}"
. $head . $secret . "Content-Length: 2\r\n\r\n{}"
. $head . $type . $secret . "Content-Length: 2\r\n\r\n{}"
. "GET /tg HTTP/1.1\r\nHost: localhost\r\n" . $secret . "\r\n"
. "GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- error_code: 401
--- response_headers
Connection: keep-alive
--- error_log
wrong or missing secret token
Content-Type is not application/json
the request is not JSON or has no update_id
method "GET" instead of POST
/last" failed (2: No such file or directory)
--- no_error_log
[alert]
