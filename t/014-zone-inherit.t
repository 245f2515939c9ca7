# Directives of shared memory at work: where they are inherited, and what
# cancels them.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;

add_block_preprocessor(sub {
    my $block = shift;

    if (!defined $block->no_error_log) {
        $block->set_value("no_error_log", "[alert]\n[crit]\n[emerg]");
    }

    $block->set_value("more_headers", "Content-Type: application/json");

    $block->set_value("http_config",
                      "tgbot_secret_token off;\n"
                      . "add_header X-Verdict \$tgbot_verdict always;\n"
                      . ($block->http_config || ""));
});

# a second time everything would be a duplicate

repeat_each(1);

# updates by their ids, to locations: "/tg 1 2"

sub posts {
    my ($location, @ids) = @_;

    return map "POST $location\n" . main::update($_), @ids;
}

sub update {
    my ($id, $date) = @_;

    $date //= time;

    return qq({"update_id":$id,"message":{"message_id":2,"date":$date,)
        . '"chat":{"id":7,"type":"private"},'
        . '"from":{"id":7,"first_name":"Ann"},"text":"hi"}}';
}

sub verdicts {
    return [map "X-Verdict: $_", @_];
}

sub answers {
    return [map qq({"chat_id":7,"method":"sendMessage","text":"$_"}), @_];
}

TgbotLogged::start();

no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: updates are de-duplicated by default
--- config
    location = /tg { tgbot_webhook z1; }
--- request eval: [main::posts("/tg", 1, 2, 1)]
--- response_headers eval: main::verdicts("ignored", "ignored", "duplicate")
--- error_code eval: [200, 200, 200]



=== TEST 2: off in a location
--- http_config
    tgbot_dedup  zone=seen:4m;
--- config
    location = /tg {
        tgbot_webhook  z2;
        tgbot_dedup    off;
    }

    location = /other { tgbot_webhook z2o; }
--- request eval: [main::posts("/tg", 1, 1), main::posts("/other", 1, 1)]
--- response_headers eval
main::verdicts("ignored", "ignored", "ignored", "duplicate")
--- error_code eval: [200, 200, 200, 200]



=== TEST 3: off in http, on in a server and in a location
--- http_config
    tgbot_dedup  off;

    server {
        listen  127.0.0.1:$TEST_NGINX_RAND_PORT_1;

        location / { tgbot_webhook z3h; }
    }
--- config
    tgbot_dedup  on;

    location = /server { tgbot_webhook z3s; }

    location = /location {
        tgbot_webhook  z3l;
        tgbot_dedup    window=1024;
    }

    location = /http {
        proxy_pass        http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        proxy_set_header  Content-Type application/json;
    }
--- request eval
[main::posts("/http", 1, 1), main::posts("/server", 1, 1),
 main::posts("/location", 1, 1)]
--- response_headers eval
main::verdicts("ignored", "ignored", "ignored", "duplicate",
               "ignored", "duplicate")
--- error_code eval: [200, 200, 200, 200, 200, 200]



=== TEST 4: a small window of http forgets, a location has the default
--- http_config
    tgbot_dedup  window=1024;
--- config
    location = /tg { tgbot_webhook z4; }

    location = /large {
        tgbot_webhook  z4l;
        tgbot_dedup    on;
    }
--- request eval
[main::posts("/tg", 1, 100000, 100001, 200000, 1),
 main::posts("/large", 1, 100000, 100001, 200000, 1)]
--- response_headers eval
main::verdicts(("ignored") x 5, ("ignored") x 4, "duplicate")
--- error_code eval: [(200) x 10]



=== TEST 5: bots of one zone have their own updates
--- http_config
    tgbot_dedup  zone=seen:4m;
--- config
    location = /a { tgbot_webhook z5a; }
    location = /b { tgbot_webhook z5b; }
--- request eval: [main::posts("/a", 1, 1), main::posts("/b", 1, 1)]
--- response_headers eval
main::verdicts("ignored", "duplicate", "ignored", "duplicate")
--- error_code eval: [200, 200, 200, 200]



=== TEST 6: limits of http, each bot has its own buckets
--- http_config
    tgbot_limit  $tgbot_user_id zone=limit:1m rate=1r/m burst=2;
--- config
    location = /a { tgbot_webhook z6a; }
    location = /b { tgbot_webhook z6b; }
--- request eval
[main::posts("/a", 1, 2, 3), main::posts("/b", 1)]
--- response_headers eval
main::verdicts("ignored", "ignored", "limited", "ignored")
--- error_code eval: [200, 200, 200, 200]



=== TEST 7: a shared limit of http is one for all
--- http_config
    tgbot_limit  $tgbot_user_id zone=limit:1m rate=1r/m burst=2 shared;
--- config
    location = /a { tgbot_webhook z7a; }
    location = /b { tgbot_webhook z7b; }
--- request eval
[main::posts("/a", 1), main::posts("/b", 1, 2), main::posts("/a", 2)]
--- response_headers eval
main::verdicts("ignored", "ignored", "limited", "limited")
--- error_code eval: [200, 200, 200, 200]



=== TEST 8: a level with a limit replaces the whole set
--- http_config
    tgbot_limit  all zone=limit:1m rate=1r/m burst=1;
    tgbot_limit  $tgbot_user_id zone=limit rate=1r/m burst=1 action=reject;
--- config
    location = /tg {
        tgbot_webhook  z8;
        tgbot_limit    $tgbot_chat_id zone=limit rate=1r/m burst=3;
    }

    location = /http { tgbot_webhook z8h; }
--- request eval
[main::posts("/tg", 1 .. 4), main::posts("/http", 1, 2)]
--- response_headers eval
main::verdicts("ignored", "ignored", "ignored", "limited",
               "ignored", "limited")
--- error_code eval: [200, 200, 200, 200, 200, 200]



=== TEST 9: all limits of a level are in force
--- config
    location = /first {
        tgbot_webhook  z9a;
        tgbot_limit    all zone=limit:1m rate=1r/m burst=1;
        tgbot_limit    $tgbot_user_id zone=limit rate=1r/m burst=9
                       action=reject;
    }

    location = /second {
        tgbot_webhook  z9b;
        tgbot_limit    all zone=limit rate=1r/m burst=9;
        tgbot_limit    $tgbot_user_id zone=limit rate=1r/m burst=1
                       action=reject;
    }
--- request eval
[main::posts("/first", 1, 2), main::posts("/second", 1, 2)]
--- response_headers eval
main::verdicts("ignored", "limited", "ignored", "limited")
--- error_code eval: [200, 200, 200, 429]



=== TEST 10: off cancels the limits of http
--- http_config
    tgbot_limit  all zone=limit:1m rate=1r/m burst=1;
--- config
    location = /tg {
        tgbot_webhook  z10;
        tgbot_limit    off;
    }
--- request eval: [main::posts("/tg", 1 .. 3)]
--- response_headers eval: main::verdicts("ignored", "ignored", "ignored")
--- error_code eval: [200, 200, 200]



=== TEST 11: dry run of http, in earnest in a location
--- http_config
    tgbot_limit          all zone=limit:1m rate=1r/m burst=1;
    tgbot_limit_dry_run  on;
--- config
    location = /tg { tgbot_webhook z11; }

    location = /earnest {
        tgbot_webhook        z11e;
        tgbot_limit_dry_run  off;
    }
--- request eval
[main::posts("/tg", 1, 2), main::posts("/earnest", 1, 2)]
--- response_headers eval
main::verdicts("ignored", "ignored", "ignored", "limited")
--- error_code eval: [200, 200, 200, 200]



=== TEST 12: the notice of a limit
--- config
    location = /tg {
        tgbot_webhook  z12;
        tgbot_limit    all zone=limit:1m rate=1r/m burst=1 "reply=Not so fast";
    }
--- request eval: [main::posts("/tg", 1 .. 3)]
--- response_headers eval: main::verdicts("ignored", "limited", "limited")
--- response_body_like eval: ['^$', '"text":"Not so fast"', '^$']
--- error_code eval: [200, 200, 200]



=== TEST 13: an empty key is not limited
--- config
    location = /tg {
        tgbot_webhook  z13;
        tgbot_limit    $arg_key zone=limit:1m rate=1r/m burst=1;
    }
--- request eval
[main::posts("/tg", 1, 2), main::posts("/tg?key=a", 3, 4)]
--- response_headers eval
main::verdicts("ignored", "ignored", "ignored", "limited")
--- error_code eval: [200, 200, 200, 200]



=== TEST 14: the cache of http, off in a location, another key in one
--- http_config
    tgbot_cache    $tgbot_text zone=answers:1m;
    tgbot_handler  /app;
--- config
    location = /tg { tgbot_webhook z14; }

    location = /off {
        tgbot_webhook  z14o;
        tgbot_cache    off;
    }

    location = /key {
        tgbot_webhook  z14k;
        tgbot_cache    $arg_key zone=answers;
    }

    location = /app {
        internal;
        default_type  application/json;
        return 200    '{"method":"sendMessage","text":"$tgbot_update_id"}';
    }
--- request eval
[main::posts("/tg", 1, 2), main::posts("/off", 1, 2),
 main::posts("/key", 1, 2), main::posts("/key?key=a", 3, 4)]
--- response_body eval: main::answers(1, 1, 1, 2, 1, 2, 3, 3)
--- error_code eval: [(200) x 8]



=== TEST 15: how long an answer of http is kept, and of a location
--- http_config
    tgbot_cache    $tgbot_text zone=answers:1m valid=1ms;
    tgbot_handler  /app;
--- config
    location = /tg { tgbot_webhook z15; }

    location = /long {
        tgbot_webhook  z15l;
        tgbot_cache    $tgbot_text zone=answers;
    }

    location = /app {
        internal;
        default_type  application/json;
        return 200    '{"method":"sendMessage","text":"$tgbot_update_id"}';
    }
--- delay_response: 20ms
--- request eval
[main::posts("/tg", 1), main::posts("/long", 1, 2), main::posts("/tg", 2)]
--- response_body eval: main::answers(1, 1, 1, 2)
--- error_code eval: [200, 200, 200, 200]



=== TEST 16: the maximal age of http, off in a location, more in one
--- http_config
    tgbot_max_age  1h;
--- config
    location = /tg { tgbot_webhook z16; }

    location = /off {
        tgbot_webhook  z16o;
        tgbot_max_age  off;
    }

    location = /more {
        tgbot_webhook  z16m;
        tgbot_max_age  3h;
    }
--- request eval
my $old = time - 7200;

["POST /tg\n" . main::update(1, $old), "POST /off\n" . main::update(1, $old),
 "POST /more\n" . main::update(1, $old), "POST /tg\n" . main::update(2)]
--- response_headers eval
main::verdicts("stale", "ignored", "ignored", "ignored")
--- error_code eval: [200, 200, 200, 200]



=== TEST 17: attempts of http
--- http_config
    tgbot_attempts  1;
    tgbot_handler   /app;
--- config
    location = /tg {
        tgbot_webhook  z17;
    }

    location = /app {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/program;
    }

    location = /program { return 500; }
--- request eval: main::posts("/tg", 1)
--- response_headers
X-Verdict: dead
--- error_log
bot "z17", update 1 is given up



=== TEST 18: attempts of a location
--- http_config
    tgbot_attempts  1;
    tgbot_handler   /app;
--- config
    location = /tg {
        tgbot_webhook   z18;
        tgbot_attempts  2 backoff=1s;
    }

    location = /app {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/program;
    }

    location = /program { return 500; }
--- request eval: main::posts("/tg", 1)
--- response_headers
X-Verdict: failed
--- no_error_log
bot "z18", update 1 is given up
[alert]
[crit]
[emerg]
--- error_code: 500



=== TEST 19: attempts of a location, not of http
--- http_config
    tgbot_attempts  9;
    tgbot_handler   /app;
--- config
    location = /tg {
        tgbot_webhook   z19;
        tgbot_attempts  1;
    }

    location = /app {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/program;
    }

    location = /program { return 500; }
--- request eval: main::posts("/tg", 1)
--- response_headers
X-Verdict: dead
--- error_log
bot "z19", update 1 is given up



=== TEST 20: if does not take them away
--- config
    location = /tg {
        tgbot_webhook  z20;
        tgbot_limit    all zone=limit:1m rate=1r/m burst=1;
        tgbot_max_age  1h;

        if ($arg_a) {
            add_header  X-If      1;
            add_header  X-Verdict $tgbot_verdict;
        }
    }
--- request eval
["POST /tg?a=1\n" . main::update(1), "POST /tg?a=1\n" . main::update(1),
 "POST /tg?a=1\n" . main::update(2)]
--- response_headers eval: main::verdicts("ignored", "duplicate", "limited")
--- error_code eval: [200, 200, 200]



=== TEST 21: the status inside of if and limit_except
--- config
    location = /status {
        tgbot_status;

        if ($arg_a) {
            add_header  X-If 1;
        }

        limit_except POST { allow all; }
    }
--- request eval: ["GET /status", "GET /status?a=1"]
--- response_body_like eval: ['^\{', '^\{']
--- error_code eval: [200, 200]



=== TEST 22: the queue of http, off in a location
--- http_config
    tgbot_queue    zone=q:1m;
    tgbot_handler  /app;
--- config
    location = /tg { tgbot_webhook z22; }

    location = /off {
        tgbot_webhook  z22o;
        tgbot_queue    off;
    }

    location = /app {
        internal;
        return 200;
    }
--- request eval: [main::posts("/tg", 1, 1), main::posts("/off", 1, 1)]
--- response_headers eval
main::verdicts("queued", "duplicate", "done", "duplicate")
--- error_code eval: [(200) x 4]



=== TEST 23: a queue of a server, where http has it off, and a location's own
--- http_config
    tgbot_queue    off;
    tgbot_handler  /app;

    server {
        listen  127.0.0.1:$TEST_NGINX_RAND_PORT_1;

        location / { tgbot_webhook z23h; }

        location = /app {
            internal;
            return 200;
        }
    }
--- config
    tgbot_queue  zone=q:4m;

    location = /server { tgbot_webhook z23s; }

    location = /location {
        tgbot_webhook  z23l;
        tgbot_queue    zone=r:1m concurrency=1;
    }

    location = /http {
        proxy_pass        http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        proxy_set_header  Content-Type application/json;
    }

    location = /app {
        internal;
        return 200;
    }
--- request eval
[main::posts("/http", 1), main::posts("/server", 1),
 main::posts("/location", 1)]
--- response_headers eval: main::verdicts("done", "queued", "queued")
--- error_code eval: [200, 200, 200]



=== TEST 24: dead letters by default, of http, off in a location
--- http_config
    tgbot_dead_letters  max=5;
    tgbot_attempts      1;
    tgbot_handler       /app;
--- config
    location = /tg { tgbot_webhook z24; }

    location = /off {
        tgbot_webhook       z24o;
        tgbot_dead_letters  off;
    }

    location = /zone {
        tgbot_webhook       z24z;
        tgbot_dead_letters  zone=letters:1m;
    }

    location = /app {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/program;
    }

    location = /program { return 500; }
--- request eval
[main::posts("/tg", 1), main::posts("/off", 1), main::posts("/zone", 1)]
--- response_headers eval: main::verdicts("dead", "failed", "dead")
--- error_code eval: [200, 500, 200]



=== TEST 25: dead letters off in http, on in a location
--- http_config
    tgbot_dead_letters  off;
    tgbot_attempts      1;
    tgbot_handler       /app;
--- config
    location = /tg { tgbot_webhook z25; }

    location = /on {
        tgbot_webhook       z25o;
        tgbot_dead_letters  max=5;
    }

    location = /app {
        internal;
        proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/program;
    }

    location = /program { return 500; }
--- request eval: [main::posts("/tg", 1), main::posts("/on", 1)]
--- response_headers eval: main::verdicts("failed", "dead")
--- error_code eval: [500, 200]



=== TEST 26: a limit with a reply, in front of a queue
--- config
    location = /tg {
        tgbot_webhook     z26;
        tgbot_token_file  $TEST_NGINX_SERVER_ROOT/html/token;
        tgbot_handler     /app;
        tgbot_api         /app;
        tgbot_queue       zone=q:1m;
        tgbot_limit       all zone=limit:1m rate=1r/m burst=1
                          "reply=Not so fast";
    }

    location = /app {
        internal;
        return 200;
    }
--- user_files eval: [["token", "4711:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"]]
--- request eval: [main::posts("/tg", 1 .. 3)]
--- response_headers eval: main::verdicts("queued", "limited", "limited")
--- error_code eval: [200, 200, 200]
