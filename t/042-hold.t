# Held webhooks: jobs that take longer than who waits for them.

use lib 't/lib';
use File::Temp;
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;
use TgbotProgram;

TgbotProgram::blocks(one => 1);

add_block_preprocessor(sub {
    my $block = shift;

    # what a client that left cannot see is read in the log

    if (!defined $block->http_config) {
        $block->set_value("http_config",
            'log_format verdict "verdict $tgbot_verdict $status";');
    }
});

TgbotLogged::start();

# under valgrind some time passes between two requests of a block
TgbotProgram::start($Test::Nginx::Util::PidFile,
                    $ENV{TEST_NGINX_USE_VALGRIND} ? 4 : 1);

# webhooks of two bots whose program is at the path that a message says

sub config {
    my %more = @_;

    my $config = CORE::join '', map { <<"_EOC_" } 'a', 'b';
    location = /$_ {
        tgbot_webhook       $_;
        tgbot_secret_token  off;
        tgbot_handler       /_program/\$tgbot_text;
        @{[$more{$_} // '']}

        add_header  X-Verdict  \$tgbot_verdict  always;
        add_header  X-Time     \$request_time   always;
        access_log  logs/error.log  verdict;
    }
_EOC_

    $config .= <<'_EOC_';
    location /_program/ {
        internal;
        proxy_pass http://PROGRAM/;
        proxy_read_timeout 30s;
    }

    location = /_api {
        internal;
        proxy_pass http://PROGRAM/json/%7B%22ok%22:true%7D;
    }

    location /wait/ {
        proxy_pass http://PROGRAM/sleep/;
    }
    location /go/ {
        proxy_pass http://PROGRAM/go/;
    }

    location = /seen {
        proxy_pass http://PROGRAM/seen;
    }

    location /seen/ {
        proxy_pass http://PROGRAM/seen/;
        proxy_read_timeout 25s;
    }
_EOC_

    $config =~ s/PROGRAM/127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/g;

    return $config;
}

our $api = 'tgbot_token_file $TEST_NGINX_TOKEN_FILE; tgbot_api /_api;';

sub post {
    my ($bot, $id, $text) = @_;

    return "POST /$bot\n" . '{"update_id":' . $id . ',"message":{'
           . '"message_id":2,"chat":{"id":7,"type":"private"},"text":"'
           . $text . '"}}';
}

sub get { return "GET $_[0]" }

# by the clock of nginx, of webhooks held for 300ms, for a second or not at all

our $held = '(?:0\.29|0\.[3-9]|[1-9]).*';
our $second = '(?:0\.99|[1-9]).*';
our $at_once = '0\.(?!99).*';

our $call = '{"method":"sendMessage","chat_id":7,"text":';

no_long_string();
run_tests();

__DATA__

=== TEST 1: the webhook is let go, the job goes on, its calls are made
--- config eval
main::config(a => "tgbot_hold_timeout 300ms; $main::api")
--- request eval
[ main::post('a', 1, "wait/late/say/late"), main::get('/go/late'),
  main::get('/seen/json') ]
--- response_headers_like eval
[ "X-Verdict: busy\nRetry-After: [1-5]\nX-Time: $main::held", '', '' ]
--- response_body_like eval
[ '^$', '^$',
  '^/wait/late/say/late [^\n]*\n'
  . '/json/[^ ]* \{"method":"sendMessage","chat_id":7,"text":"late"\}\n$' ]
--- error_code eval: [503, 200, 200]



=== TEST 2: what is logged of it
--- config eval: main::config(a => "tgbot_hold_timeout 300ms; $main::api")
--- request eval: main::post('a', 12, "sleep/2/say/late")
--- error_code: 503
--- error_log
bot "a", update 12 is still in work after 0 s, it will be redelivered
verdict busy 503



=== TEST 3: meanwhile the update is not worked on twice
--- config eval
main::config(a => "tgbot_hold_timeout 1s; $main::api")
--- request eval
[ (main::post('a', 1, "wait/once/say/once")) x 3, main::get('/go/once'),
  main::get('/seen/json') ]
--- response_headers_like eval
[ "X-Verdict: busy\nRetry-After: [1-5]\nX-Time: $main::second",
  ("X-Verdict: busy\nRetry-After: [1-5]\nX-Time: $main::at_once") x 2, '', '' ]
--- error_code eval: [503, 503, 503, 200, 200]
--- response_body_like eval
[ ('^$') x 4,
  '^/wait/once/say/once [^\n]*\n/json/[^ ]* [^\n]*"once"\}\n$' ]



=== TEST 4: afterwards it is
--- config eval
main::config(a => "tgbot_hold_timeout 300ms;")
--- request eval
[ main::post('a', 1, "wait/x/say/x"), main::get('/go/x'),
  main::get('/wait/1'), main::post('a', 1, "say/x") ]
--- response_headers eval
[ "X-Verdict: busy", "", "", "X-Verdict: done" ]
--- response_body eval
[ "", "", "", $main::call . '"x"}' ]
--- error_code eval: [503, 200, 200, 200]



=== TEST 5: another update, and the same number of another bot, go on at once
--- config eval
main::config(a => "tgbot_hold_timeout 300ms;")
--- request eval
[ main::post('a', 1, "sleep/2/say/x"), main::post('a', 2, "say/two"),
  main::post('b', 1, "say/one") ]
--- response_headers eval
[ "X-Verdict: busy", "X-Verdict: done", "X-Verdict: done" ]
--- response_body eval
[ "", $main::call . '"two"}', $main::call . '"one"}' ]
--- error_code eval: [503, 200, 200]



=== TEST 6: a reply without a way to Telegram is lost with the webhook, and logged
--- config eval: main::config(a => "tgbot_hold_timeout 300ms;")
--- request eval: main::post('a', 1, "sleep/2/say/lost")
--- error_code: 503
--- error_log
bot "a" has 1 Bot API calls to make besides the one that rides in the webhook's response, or after it, and no "tgbot_api"



=== TEST 7: a program that does not answer before its own timeout
--- config eval
main::config(a => "tgbot_hold_timeout 300ms;")
=~ s/proxy_read_timeout 30s/proxy_read_timeout 600ms/r
--- request eval
[ main::post('a', 1, "stall"), main::get('/wait/1.2'),
  main::post('a', 1, "say/x") ]
--- response_headers eval
[ "X-Verdict: busy", "", "X-Verdict: done" ]
--- error_code eval: [503, 200, 200]



=== TEST 8: a client that hangs up is let go, the job is not
--- config eval: main::config(a => $main::api)
--- request eval: main::post('a', 1, "sleep/2/say/alone")
--- abort
--- timeout: 0.2
--- ignore_response
--- error_log
verdict aborted 499
http finalize request: 0, "/_api?"
--- no_error_log
[alert]
[crit]
[emerg]
[error]



=== TEST 9: one that closes its half only, too
--- config eval: main::config(a => $main::api)
--- request eval: main::post('a', 1, "sleep/2/say/alone")
--- shutdown: 1
--- ignore_response
--- error_log
verdict aborted 499
http finalize request: 0, "/_api?"
--- no_error_log
[alert]
[crit]
[emerg]
[error]



=== TEST 10: one that hangs up before its update is whole is nobody
--- config eval: main::config()
--- raw_request eval
"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
. "Content-Length: 100\r\n\r\n{\"update_id\":1"
--- abort
--- timeout: 0.2
--- ignore_response
--- error_log eval: qr/verdict aborted 4\d\d/
--- no_error_log
[alert]
[crit]
[emerg]
[error]



=== TEST 11: the redelivery after that waits for the job, and not twice
--- config eval
main::config(a => $main::api) . '
    location = /abort {
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/a;
        proxy_read_timeout 200ms;
    }'
--- request eval
[ main::post('a', 1, "wait/x/say/x") =~ s!/a!/abort!r,
  main::post('a', 1, "say/x"), main::get('/go/x'), main::get('/seen/json') ]
--- response_headers_like eval
[ '', "X-Verdict: busy\nRetry-After: [1-5]", '', '' ]
--- error_code eval: [504, 503, 200, 200]
--- response_body_like eval
[ '504', '^$', '^$',
  '^/wait/x/say/x [^\n]*\n/json/[^ ]* [^\n]*"x"\}\n$' ]



=== TEST 12: one slot, two updates
--- http_config
    tgbot_max_calls 1;
    log_format verdict "verdict $tgbot_verdict $status";
--- config eval
main::config(a => "tgbot_hold_timeout 300ms;")
--- request eval
[ main::post('a', 1, "sleep/1.6/say/x"), main::post('b', 2, "say/y"),
  main::get('/seen') ]
--- response_headers_like eval
[ "X-Verdict: busy\nX-Time: $main::held",
  "X-Verdict: done\nX-Time: $main::held", "" ]
--- response_body_like eval
[ '^$', '"text":"y"', '^/sleep/1.6/say/x [^\n]*\n/say/y [^\n]*\n$' ]
--- error_code eval: [503, 200, 200]



=== TEST 13: it is given back after any end of a call
--- http_config
    tgbot_max_calls 1;
    log_format verdict "verdict $tgbot_verdict $status";
--- config eval
main::config() =~ s/proxy_read_timeout 30s/proxy_read_timeout 300ms/r
--- pipelined_requests eval
[ map { main::post('a', 1, $_) }
      "reset", "stall", "../x", "part", "big/2000000", "status/500", "say/x" ]
--- response_headers eval
[ (map { "X-Verdict: failed" } 1 .. 6), "X-Verdict: done" ]
--- error_code eval: [(500) x 6, 200]



=== TEST 14: who does not want its place in the line any more
--- http_config
    tgbot_max_calls 1;
    log_format verdict "verdict $tgbot_verdict $status";
--- config eval
main::config(a => "tgbot_hold_timeout 1s;", b => "tgbot_hold_timeout 1s;")
--- request eval
[ main::post('a', 1, "sleep/5/say/x"), main::post('b', 2, "count"),
  main::post('b', 2, "count"), main::get('/seen/count'),
  main::post('b', 3, "say/z") ]
--- response_headers_like eval
[ "X-Verdict: busy\nX-Time: $main::second",
  "X-Verdict: busy\nX-Time: $main::second",
  "X-Verdict: busy\nX-Time: $main::at_once", "", "X-Verdict: done" ]
--- response_body_like eval
[ ('^$') x 3,
  '^/sleep/5/say/x [^\n]*\n/count [^\n]*\n$', '"z"' ]
--- error_code eval: [503, 503, 503, 200, 200]



=== TEST 15: the calls of an answer need slots, too
--- http_config
    tgbot_max_calls 1;
    log_format verdict "verdict $tgbot_verdict $status";
--- config eval: main::config(a => $main::api)
--- request eval
[ main::post('a', 1, 'json/[{\"method\":\"sendDice\"},'
                     . '{\"method\":\"sendPoll\"}]'),
  main::get('/seen') ]
--- response_headers eval: ["X-Verdict: done\nContent-Length: 0", ""]
--- response_body_like eval
[ '^$', '^/json/[^\n]*\n/json/[^ ]* \{"chat_id":7,"method":"sendDice"\}\n'
        . '/json/[^ ]* \{"chat_id":7,"method":"sendPoll"\}\n$' ]



=== TEST 16: a held webhook can be let go while the Bot API is slow
--- config eval
main::config(a => "tgbot_hold_timeout 1s; $main::api")
=~ s!(_api \{.*?)/json/!$1/sleep/2.5/json/!sr
--- request eval
[ main::post('a', 1, "say/x"), main::post('a', 1, "say/x"),
  main::get('/wait/2.5'), main::get('/seen'), main::post('a', 2, "say/x") ]
--- response_headers_like eval
[ "X-Verdict: busy\nX-Time: $main::second",
  "X-Verdict: busy\nX-Time: $main::at_once", "", "",
  "X-Verdict: busy" ]
--- response_body_like eval
[ ('^$') x 3,
  '^/say/x [^\n]*\n/sleep/2.5/json/[^ ]* [^\n]*\n/sleep/2.5 \n$', '^$' ]
--- error_code eval: [503, 503, 200, 200, 503]



=== TEST 17: a program that is slower than its webhook is held runs once
--- config eval
main::config(a => "tgbot_dedup on; tgbot_hold_timeout 1s; $main::api")
--- request eval
[ (main::post('a', 1, "wait/once/say/once")) x 3, main::get('/go/once'),
  main::get('/seen/json'), main::get('/wait/1'),
  main::post('a', 1, "wait/once/say/once"), main::get('/seen') ]
--- response_headers eval
[ ('X-Verdict: busy') x 3, '', '', '', 'X-Verdict: duplicate', '' ]
--- error_code eval: [503, 503, 503, 200, 200, 200, 200, 200]
--- response_body_like eval
[ ('^$') x 4,
  '^/wait/once/say/once [^\n]*\n/json/[^ ]* [^\n]*"once"\}\n$',
  '^$', '^$', '^/sleep/1 \n$' ]



=== TEST 18: one that its location waits for too briefly runs with each delivery
--- config eval
main::config(a => "tgbot_dedup on; $main::api")
=~ s/proxy_read_timeout 30s/proxy_read_timeout 300ms/r
--- request eval
[ (main::post('a', 1, "sleep/2.5/say/again")) x 4, main::get('/seen') ]
--- response_headers eval
[ ('X-Verdict: failed') x 4, '' ]
--- error_code eval: [(500) x 4, 200]
--- response_body_like eval
[ ('^$') x 4, '^(/sleep/2.5/say/again [^\n]*\n){4}$' ]
