# What is made of this module's variables: query strings, and log lines.

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

    $block->set_value("more_headers", "Content-Type: application/json");
});

repeat_each(2);

our $api = <<'_EOC_';
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            default_type application/json;
            return 200 '{"ok":true}';
        }
    }
_EOC_

TgbotLogged::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: the value of a map of user text is escaped in a query, also when it was read before
--- http_config
    map $tgbot_text $topic {
        default  $tgbot_text;
    }
--- config
    location = /tg {
        tgbot_webhook       b;
        tgbot_secret_token  off;
        tgbot_handler       /_program/$topic?x=$topic;
    }
    location /_program/ {
        internal;
        default_type  application/json;
        return 200 '{"method":"sendMessage","text":"[$args] [$topic] [$arg_y]"}';
    }
--- request
POST /tg
{"update_id":1,"message":{"chat":{"id":7},"text":"a b&y=1 HTTP/1.1"}}
--- response_body chomp
{"chat_id":7,"method":"sendMessage","text":"[x=a%20b%26y%3D1%20HTTP%2F1.1] [a b&y=1 HTTP/1.1] []"}
--- error_code: 200



=== TEST 2: no variable made of the token is there when the call is logged
--- http_config eval
$main::api . '
    map $tgbot_api_uri $mapped {
        default  $tgbot_api_uri;
    }
    log_format calls "[$tgbot_method] [$tgbot_api_uri] [$mapped] [$copy]";'
--- config
    location = /tg {
        tgbot_webhook       b;
        tgbot_token         123456:AAsecretsecretsecret;
        tgbot_secret_token  off;
        tgbot_handler       /_program;
        tgbot_api           /_api;
    }
    location = /_program {
        internal;
        default_type  application/json;
        return 200 '{"method":"sendMessage","text":"hi"}';
    }
    location = /_api {
        internal;
        set $copy $tgbot_api_uri;
        log_subrequest  on;
        access_log      logs/error.log calls;
        proxy_pass      http://127.0.0.1:$TEST_NGINX_RAND_PORT_1$mapped;
    }
--- request
POST /tg
{"update_id":1,"message":{"chat":{"id":7},"text":"hi"}}
--- response_body
--- error_code: 200
--- error_log
[sendMessage] [-] [-] [-]
--- no_error_log
[alert]
[error]



=== TEST 3: the URI of the location has no token when the call is logged
--- http_config eval: $main::api
--- config
    location = /tg {
        tgbot_webhook       b;
        tgbot_token         123456:AAsecretsecretsecret;
        tgbot_secret_token  off;
        tgbot_handler       /_program;
        tgbot_api           /_api/$tgbot_method$tgbot_api_uri;
    }
    location = /_program {
        internal;
        default_type  application/json;
        return 200 '{"method":"sendMessage","text":"hi"}';
    }
    location = /_api/sendMessage {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_RAND_PORT_1$tgbot_api_uri;
    }
--- request
POST /tg
{"update_id":1,"message":{"chat":{"id":7},"text":"hi"}}
--- response_body
--- error_code: 200
--- no_error_log
[alert]
[error]



=== TEST 4: a rewritten URI has no token when the call is logged
--- http_config eval
$main::api . '
    log_format calls "[$uri] [$document_uri] [$args]";'
--- config
    location = /tg {
        tgbot_webhook       b;
        tgbot_token         123456:AAsecretsecretsecret;
        tgbot_secret_token  off;
        tgbot_handler       /_program;
        tgbot_api           /_api;
    }
    location = /_program {
        internal;
        default_type  application/json;
        return 200 '{"method":"sendMessage","text":"hi"}';
    }
    location = /_api {
        internal;
        rewrite         ^ $tgbot_api_uri?x=$tgbot_api_uri break;
        log_subrequest  on;
        access_log      logs/error.log calls;
        proxy_pass      http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- request
POST /tg
{"update_id":1,"message":{"chat":{"id":7},"text":"hi"}}
--- response_body
--- error_code: 200
--- error_log
[] [] []
--- no_error_log
[alert]
[error]
