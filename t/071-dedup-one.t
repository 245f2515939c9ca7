# Each update once, in a process that is its own master.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotProgram;

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value("init", "TgbotProgram::forget();");
    $block->set_value("no_error_log", "[alert]\n[crit]\n[emerg]");
    $block->set_value("more_headers", "Content-Type: application/json");

    $block->set_value("config", <<'_EOC_');
    location = /b {
        tgbot_webhook       b;
        tgbot_secret_token  off;
        tgbot_handler       /_program/$tgbot_text;

        add_header  X-Verdict   $tgbot_verdict   always;
        add_header  X-Attempts  $tgbot_attempts  always;
    }

    location /_program/ {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/;
    }

    location = /seen {
        proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/seen;
    }
_EOC_
});

TgbotProgram::start($Test::Nginx::Util::PidFile);

sub post {
    my ($id, $text) = @_;

    return "POST /b\n{\"update_id\":$id,\"message\":{\"message_id\":2,"
           . "\"chat\":{\"id\":7,\"type\":\"private\"},\"text\":\"$text\"}}";
}

our $call = '{"method":"sendMessage","chat_id":7,"text":"x"}';

master_off();
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: done, failed and done again
--- request eval
[ (map { main::post(1000, 'say/x') } 1 .. 3), main::post(1001, 'status/500'),
  (map { main::post(1001, 'say/x') } 1 .. 2), "GET /seen" ]
--- response_headers eval
[ "X-Verdict: done", ("X-Verdict: duplicate") x 2, "X-Verdict: failed",
  "X-Verdict: done\nX-Attempts: 2", "X-Verdict: duplicate", "" ]
--- response_body_like eval
[ ("^\Q$main::call\E\$") x 3, '^$', ("^\Q$main::call\E\$") x 2,
  '^/say/x [^\n]*\n/status/500 [^\n]*\n/say/x [^\n]*\n$' ]
--- error_code eval: [200, 200, 200, 500, 200, 200, 200]
