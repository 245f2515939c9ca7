# Directives at work: where they are inherited, and what cancels them.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;

add_block_preprocessor(sub {
    my $block = shift;

    # these tests send the same update again and again
    $block->set_value("http_config",
                      "tgbot_dedup off;\n" . ($block->http_config || ""));

    if (defined $block->must_die) {
        $block->set_value("suppress_stderr", "");
        return;
    }

    if (!defined $block->no_error_log) {
        $block->set_value("no_error_log", "[alert]\n[crit]\n[emerg]");
    }

    if (!defined $block->more_headers) {
        $block->set_value("more_headers", main::secret("sekret"));
    }

    if (!defined $block->request) {
        $block->set_value("request", "POST /tg\n$main::update");
    }

    $block->set_value("http_config",
                      "add_header X-Verdict \$tgbot_verdict always;\n"
                      . ($block->http_config || ""));
});

repeat_each(2);

sub secret {
    my ($secret) = @_;

    return "Content-Type: application/json\n"
        . "X-Telegram-Bot-Api-Secret-Token: $secret";
}

sub reply {
    my ($text) = @_;

    return qq({"method":"sendMessage","chat_id":1,"text":"$text"});
}

our $update = '{"update_id":1,' . "\n"
    . '"message":{"message_id":2,"date":1700000000,"chat":{"id":7,'
    . '"type":"private"},"from":{"id":7,"first_name":"Ann"},'
    . '"text":"a b&c=d"}}';

# more than any buffer nginx has by default
our $large = $update;
$large =~ s/a b/'a' x 300000/e;

TgbotLogged::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: what http says is enough for a location
--- http_config
    tgbot_secret_token  sekret;
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"h"}';
--- config
    location = /tg { tgbot_webhook c1; }
--- response_headers
X-Verdict: done
Content-Type: application/json
--- response_body eval: main::reply("h")



=== TEST 2: the secret of http is asked for
--- http_config
    tgbot_secret_token  sekret;
--- config
    location = /tg { tgbot_webhook c2; }
--- more_headers eval: main::secret("other")
--- error_code: 401



=== TEST 3: a server has a secret of its own
--- http_config
    tgbot_secret_token  other;
--- config
    tgbot_secret_token  sekret;

    location = /tg { tgbot_webhook c3; }
--- request eval
["POST /tg\n$main::update", "POST /tg\n$main::update"]
--- more_headers eval
[main::secret("sekret"), main::secret("other")]
--- error_code eval
[200, 401]



=== TEST 4: a location has a secret of its own, without the old one of http
--- http_config
    tgbot_secret_token  other old;
--- config
    location = /tg {
        tgbot_webhook       c4;
        tgbot_secret_token  sekret;
    }
--- request eval
["POST /tg\n$main::update", "POST /tg\n$main::update",
 "POST /tg\n$main::update"]
--- more_headers eval
[main::secret("sekret"), main::secret("other"), main::secret("old")]
--- error_code eval
[200, 401, 401]



=== TEST 5: off in a location cancels the secret of http
--- http_config
    tgbot_secret_token  other;
--- config
    location = /tg {
        tgbot_webhook       c5;
        tgbot_secret_token  off;
    }
--- more_headers
Content-Type: application/json
--- error_code: 200



=== TEST 6: a secret in a location replaces off of http
--- http_config
    tgbot_secret_token  off;
--- config
    location = /tg {
        tgbot_webhook       c6;
        tgbot_secret_token  sekret;
    }
--- more_headers
Content-Type: application/json
--- error_code: 401



=== TEST 7: a secret replaces the file of http, which is not read
--- http_config
    tgbot_secret_token_file  absent;
--- config
    location = /tg {
        tgbot_webhook       c7;
        tgbot_secret_token  sekret;
    }
--- error_code: 200



=== TEST 8: a file replaces the secret of http
--- http_config
    tgbot_secret_token  other;
--- config
    location = /tg {
        tgbot_webhook            c8;
        tgbot_secret_token_file  ../html/secret;
    }
--- user_files
>>> secret
sekret
--- request eval
["POST /tg\n$main::update", "POST /tg\n$main::update"]
--- more_headers eval
[main::secret("sekret"), main::secret("other")]
--- error_code eval
[200, 401]



=== TEST 9: files named by the bot, current and old secret
--- http_config
    tgbot_secret_token_file  ../html/$tgbot_bot.secret;
--- config
    location = /a { tgbot_webhook c9a; }
    location = /b { tgbot_webhook c9b; }
--- user_files
>>> c9a.secret
one
>>> c9b.secret
two
three
--- request eval
["POST /a\n$main::update", "POST /a\n$main::update",
 "POST /b\n$main::update", "POST /b\n$main::update",
 "POST /b\n$main::update"]
--- more_headers eval
[main::secret("one"), main::secret("two"), main::secret("two"),
 main::secret("three"), main::secret("one")]
--- error_code eval
[200, 401, 200, 200, 401]



=== TEST 10: files by an absolute path
--- config
    location = /tg {
        tgbot_webhook            c10;
        tgbot_secret_token_file  $TEST_NGINX_SERVER_ROOT/html/${tgbot_bot}.s;
    }
--- user_files
>>> c10.s
sekret
--- error_code: 200



=== TEST 11: the first reply that is not empty answers
--- http_config
    tgbot_secret_token  off;
    tgbot_reply         $arg_a;
    tgbot_reply         json $arg_b;
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"c"}';
--- config
    location = /tg { tgbot_webhook c11; }
--- request eval
["POST /tg\n$main::update",
 "POST /tg?b={\"method\":\"sendMessage\",\"chat_id\":1,\"text\":\"b\"}"
 . "\n$main::update"]
--- response_body eval
[main::reply("c"), main::reply("b")]



=== TEST 12: a level with a reply replaces the whole set
--- http_config
    tgbot_secret_token  off;
    tgbot_reply         $arg_a;
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"h"}';
--- config
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"s"}';

    location = /tg { tgbot_webhook c12s; }

    location = /own {
        tgbot_webhook   c12l;
        tgbot_reply     $arg_none;
    }
--- request eval
["POST /tg?a=x\n$main::update", "POST /own?a=x\n$main::update"]
--- response_body eval
[main::reply("s"), ""]
--- response_headers eval
["X-Verdict: done", "X-Verdict: ignored"]



=== TEST 13: off cancels the replies of http
--- http_config
    tgbot_secret_token  off;
    tgbot_reply         hi;
--- config
    location = /tg {
        tgbot_webhook   c13;
        tgbot_reply     off;
    }
--- response_headers
X-Verdict: ignored
--- response_body



=== TEST 14: handlers of http, server and location
--- http_config
    tgbot_secret_token  off;
    tgbot_handler       /h;

    server {
        listen  127.0.0.1:$TEST_NGINX_RAND_PORT_1;

        location / { tgbot_webhook c14h; }

        location = /h {
            internal;
            default_type  application/json;
            return 200    '{"method":"sendMessage","chat_id":1,"text":"h"}';
        }
    }
--- config
    tgbot_handler       /s;

    location = /server { tgbot_webhook c14s; }

    location = /location {
        tgbot_webhook   c14l;
        tgbot_handler   /l;
    }

    location = /off {
        tgbot_webhook   c14o;
        tgbot_handler   off;
    }

    location = /http {
        proxy_pass  http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }

    location = /s {
        internal;
        default_type  application/json;
        return 200    '{"method":"sendMessage","chat_id":1,"text":"s"}';
    }

    location = /l {
        internal;
        default_type  application/json;
        return 200    '{"method":"sendMessage","chat_id":1,"text":"l"}';
    }
--- request eval
["POST /http\n$main::update", "POST /server\n$main::update",
 "POST /location\n$main::update", "POST /off\n$main::update"]
--- response_body eval
[main::reply("h"), main::reply("s"), main::reply("l"), ""]



=== TEST 15: the query of a handler is what was written, values are escaped
--- config
    location = /tg {
        tgbot_webhook       c15;
        tgbot_secret_token  off;
        tgbot_handler       /app/$tgbot_bot?a=1?&t=$tgbot_text;
    }

    location /app/ {
        internal;
        default_type  application/json;
        return 200
               '{"method":"sendMessage","chat_id":1,"text":"$uri $args"}';
    }
--- response_body eval: main::reply("/app/c15 a=1?&t=a%20b%26c%3Dd")



=== TEST 16: the size of an answer
--- http_config
    tgbot_secret_token   off;
    tgbot_response_size  1k;
    tgbot_handler        /app;
--- config eval
my $text = 'x' x 2000;

"location = /tg { tgbot_webhook c16; }

location = /large {
    tgbot_webhook        c16l;
    tgbot_response_size  4k;
}

location = /app {
    internal;
    proxy_pass  http://127.0.0.1:\$TEST_NGINX_SERVER_PORT/program;
}

location = /program { return 200 $text; }"
--- request eval
["POST /tg\n$main::update", "POST /large\n$main::update"]
--- response_headers eval
["X-Verdict: failed", "X-Verdict: done"]
--- error_code eval
[500, 200]



=== TEST 17: the way of a reply
--- http_config
    tgbot_secret_token  off;
    tgbot_reply_via     api;
    tgbot_api           /api;
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"h"}';
--- config
    location = /tg {
        tgbot_webhook    c17a;
        tgbot_token      17:a;
    }

    location = /ride {
        tgbot_webhook    c17r;
        tgbot_token      17:r;
        tgbot_reply_via  response;
    }

    location = /auto {
        tgbot_webhook    c17u;
        tgbot_reply_via  auto;
        tgbot_api        off;
    }

    location = /api {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/mock;
    }

    location = /mock { return 200 '{"ok":true}'; }
--- request eval
["POST /tg\n$main::update", "POST /ride\n$main::update",
 "POST /auto\n$main::update"]
--- response_body eval
["", main::reply("h"), main::reply("h")]
--- error_code eval
[200, 200, 200]



=== TEST 18: which calls are repeated, none
--- http_config
    tgbot_secret_token  off;
    tgbot_api           /api;
    tgbot_reply_via     api;
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"h"}';
    tgbot_retry_on      off;
    tgbot_retry         backoff=1ms max_backoff=10s life=2s;
--- config
    location = /tg {
        tgbot_webhook    c18;
        tgbot_token      18:h;
    }

    location = /api {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/mock;
    }

    location = /mock { return 500; }
--- no_error_log
sendMessage is retried in
[alert]
[crit]
[emerg]



=== TEST 19: which calls are repeated, a location has its own
--- http_config
    tgbot_secret_token  off;
    tgbot_api           /api;
    tgbot_reply_via     api;
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"h"}';
    tgbot_retry_on      off;
    tgbot_retry         backoff=1ms max_backoff=10s life=2s;
--- config
    location = /tg {
        tgbot_webhook    c19;
        tgbot_token      18:h;
        tgbot_retry_on   http_5xx;
    }

    location = /api {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/mock;
    }

    location = /mock { return 500; }
--- error_log
bot "c19", update 1: sendMessage is retried in



=== TEST 20: which calls are repeated, others only
--- http_config
    tgbot_secret_token  off;
    tgbot_api           /api;
    tgbot_reply_via     api;
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"h"}';
    tgbot_retry_on      http_5xx;
    tgbot_retry         backoff=1ms max_backoff=10s life=2s;
--- config
    location = /tg {
        tgbot_webhook    c20;
        tgbot_token      18:h;
        tgbot_retry_on   http_429 timeout error;
    }

    location = /api {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/mock;
    }

    location = /mock { return 500; }
--- no_error_log
sendMessage is retried in
[alert]
[crit]
[emerg]



=== TEST 21: how calls are repeated, a location replaces all parameters
--- http_config
    tgbot_secret_token  off;
    tgbot_api           /api;
    tgbot_reply_via     api;
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"h"}';
    tgbot_retry_on      http_5xx;
    tgbot_retry         backoff=10s max_backoff=10s life=300ms;
--- config
    location = /tg {
        tgbot_webhook    c21;
        tgbot_token      18:h;
        tgbot_retry      life=700ms;
    }

    location = /api {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/mock;
    }

    location = /mock { return 500; }
--- error_log eval
qr/bot "c21", update 1: sendMessage is retried in (2[5-9]\d|[34]\d\d|500) ms/



=== TEST 22: how calls are repeated, of http
--- http_config
    tgbot_secret_token  off;
    tgbot_api           /api;
    tgbot_reply_via     api;
    tgbot_reply         json '{"method":"sendMessage","chat_id":1,"text":"h"}';
    tgbot_retry_on      http_5xx;
    tgbot_retry         backoff=10s max_backoff=10s life=300ms;
--- config
    location = /tg {
        tgbot_webhook    c22;
        tgbot_token      18:h;
    }

    location = /api {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/mock;
    }

    location = /mock { return 500; }
--- no_error_log
sendMessage is retried in
[alert]
[crit]
[emerg]



=== TEST 23: the time a webhook is held
--- http_config
    tgbot_secret_token  off;
    tgbot_hold_timeout  100ms;
    tgbot_handler       /app;
--- config eval
my $text = 'x' x 3000;

"location = /tg { tgbot_webhook c23; }

location = /long {
    tgbot_webhook       c23l;
    tgbot_hold_timeout  30s;
}

location = /app {
    internal;
    proxy_pass  http://127.0.0.1:\$TEST_NGINX_SERVER_PORT/slow;
}

location = /slow {
    limit_rate  1k;
    return 200  $text;
}"
--- request eval
["POST /tg\n$main::update", "POST /long\n$main::update"]
--- response_headers eval
["X-Verdict: busy", "X-Verdict: done"]
--- error_code eval
[503, 200]
--- timeout: 20



=== TEST 24: if does not take the webhook away
--- config
    location = /tg {
        tgbot_webhook       c24;
        tgbot_secret_token  sekret;
        tgbot_reply         json '{"method":"sendMessage","text":"$arg_a"}';

        if ($arg_a = b) {
            add_header  X-If  1;
        }

        if ($arg_a = c) {
            return  403;
        }
    }
--- request eval
["POST /tg?a=a\n$main::update", "POST /tg?a=b\n$main::update",
 "POST /tg?a=c\n$main::update"]
--- response_headers eval
["X-If: ", "X-If: 1", "X-If: "]
--- response_body_like eval
['"text":"a"', '"text":"b"', '403 Forbidden']
--- error_code eval
[200, 200, 403]



=== TEST 25: nor does limit_except
--- config
    location = /tg {
        tgbot_webhook       c25;
        tgbot_secret_token  sekret;
        tgbot_reply         hi;

        limit_except GET { allow all; }
    }
--- response_headers
X-Verdict: done
--- response_body_like: "text":"hi"



=== TEST 26: limit_except denies
--- config
    location = /tg {
        tgbot_webhook       c26;
        tgbot_secret_token  sekret;

        limit_except POST { deny all; }
    }
--- request eval
["PUT /tg\n$main::update", "POST /tg\n$main::update"]
--- error_code eval
[403, 200]



=== TEST 27: a location inside of one with a webhook has none
--- config
    location /tg {
        tgbot_webhook       c27;
        tgbot_secret_token  sekret;

        location /tg/in { return 204; }
    }
--- request eval
["POST /tg\n$main::update", "POST /tg/in\n$main::update"]
--- error_code eval
[200, 204]



=== TEST 28: an update is not written to a file
--- http_config
    client_body_buffer_size     1k;
    client_body_in_file_only    clean;
--- config
    location = /tg {
        tgbot_webhook       c28;
        tgbot_secret_token  sekret;
        tgbot_reply         json '{"method":"x","text":"$request_body_file"}';

        if ($arg_if) {
            add_header  X-If  1;
        }
    }
--- request eval
["POST /tg\n$main::large", "POST /tg?if=1\n$main::large"]
--- response_body_like eval
['"text":""', '"text":""']
--- error_code eval
[200, 200]
--- no_error_log
a client request body is buffered to a temporary file
[alert]
[crit]
[emerg]



=== TEST 29: a configuration without a webhook
--- http_config
    tgbot_secret_token  sekret;
    tgbot_reply         hi;
    tgbot_max_calls     10;
--- config
    location = /tg { return 204; }
--- error_code: 204



=== TEST 30: a secret is wanted
--- http_config
    tgbot_reply  hi;
--- config
    location = /tg { tgbot_webhook c30; }
--- must_die
--- error_log eval
qr/\[emerg\] .*"tgbot_webhook" directive "c30" has no secret, expected/



=== TEST 31: no directive takes what it does not know
--- config
    location = /tg {
        tgbot_webhook       c31;
        tgbot_secret_token  off;
        tgbot_reply_via     webhook;
    }
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "webhook" in "tgbot_reply_via" directive, expected/



=== TEST 32: a name is taken once, also in two servers
--- http_config
    tgbot_secret_token  off;

    server {
        listen  127.0.0.1:$TEST_NGINX_RAND_PORT_1;

        location / { tgbot_webhook c32; }
    }
--- config
    location = /tg { tgbot_webhook c32; }
--- must_die
--- error_log eval
qr/\[emerg\] .*duplicate value "c32" in "tgbot_webhook" directive, expected/
