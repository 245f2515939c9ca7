# Each update once: what Telegram delivers again, in work, done or failed.  For
# blocks with steps see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotDedup;
use TgbotSteps;

# old enough for tgbot_max_age

TgbotSteps::start(request => 'GET /seen', update => { date => 1700000000 });

master_on();
workers(2);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: an update is handled once, and its reply is repeated, by default
--- config eval: main::bot()
--- request eval
[ (map { main::post(1000) } 1 .. 3), "GET /seen" ]
--- response_headers eval: main::verdicts('done', 'duplicate', 'duplicate', '')
--- response_body_like eval
[ ('^' . quotemeta(main::said('x')) . '$') x 3, main::seen_like('say/x') ]
--- error_code eval: [(200) x 4]



=== TEST 2: what was done without a reply is repeated without one
--- config eval: main::bot()
--- request eval
[ (map { main::post(1000, 'json/{}') } 1 .. 2), "GET /seen" ]
--- response_headers eval
[ "X-Verdict: done\nContent-Length: 0",
  "X-Verdict: duplicate\nContent-Length: 0", "" ]
--- response_body_like eval: ['^$', '^$', main::seen_like('json/%7B%7D')]
--- error_code eval: [(200) x 3]



=== TEST 3: an update is known by its id alone
--- config eval: main::bot()
--- request eval
[ main::post(1000, 'say/a'), main::post(1000, 'say/b'),
  main::post(1001, 'say/a'), "GET /seen" ]
--- response_headers eval: main::verdicts('done', 'duplicate', 'done', '')
--- response_body_like eval
[ ('^' . quotemeta(main::said('a')) . '$') x 3, main::seen_like('say/a', 'say/a') ]
--- error_code eval: [(200) x 4]



=== TEST 4: update_ids come in any order
--- config eval: main::bot()
--- pipelined_requests eval
[ map { main::post($_) } 1005, 1001, 1003, 1001, 1005, 1004, 1002, 1003, 1004 ]
--- response_headers eval
main::verdicts(qw(done done done duplicate duplicate done done duplicate
                  duplicate))
--- error_code eval: [(200) x 9]



=== TEST 5: many updates, each delivered three times
--- config eval: main::bot()
--- pipelined_requests eval
[ map { main::post(700000 + $_ * 17 % 101) } 0 .. 302 ]
--- response_headers eval: main::verdicts(('done') x 101, ('duplicate') x 202)
--- error_code eval: [(200) x 303]



=== TEST 6: an update that failed is handled again, and counted
--- config eval: main::bot()
--- request eval
[ main::post(1000, 'status/500'), main::post(1000, 'status/500'),
  main::post(1000, 'dump'), main::post(1000, 'dump'), main::post(1001, 'dump') ]
--- response_headers eval
[ "X-Verdict: failed\nX-Attempts: 1", "X-Verdict: failed\nX-Attempts: 2",
  "X-Verdict: done\nX-Attempts: 3", "X-Verdict: duplicate",
  "X-Verdict: done\nX-Attempts: 1" ]
--- response_body_like eval
[ '^$', '^$', 'X-Tgbot-Attempt: 3\D', 'X-Tgbot-Attempt: 3\D',
  'X-Tgbot-Attempt: 1\D' ]
--- error_code eval: [500, 500, 200, 200, 200]



=== TEST 7: attempts choose the program
--- http_config
map $tgbot_attempts $path {
    volatile;
    1        status/500;
    2        status/503;
    default  say/x;
}
--- config eval: main::bot('tgbot_handler /_program/$path;')
--- request eval
[ main::post(1000), main::post(1000), main::post(1000), "GET /seen" ]
--- response_headers eval: main::verdicts('failed', 'busy', 'busy', '')
--- response_body_like eval
[ ('^$') x 3, main::seen_like('status/500', 'status/503', 'status/503') ]
--- error_code eval: [500, 503, 503, 200]



=== TEST 8: an attempt without a reachable program is not counted
--- config eval
main::bot('tgbot_handler $uri_of;')
--- http_config
map $tgbot_text $uri_of {
    volatile;
    closed   /_closed;
    default  /_program/$tgbot_text;
}
--- request eval
[ main::post(1000, 'closed'), main::post(1000, 'status/502'),
  main::post(1000, 'status/404'), main::post(1000, 'dump') ]
--- response_headers_like eval
[ ("X-Verdict: busy\nRetry-After: [1-5]\nX-Attempts: 1") x 3,
  "X-Verdict: done\nX-Attempts: 1" ]
--- response_body_like eval: [('^$') x 3, 'X-Tgbot-Attempt: 1\D']
--- error_code eval: [503, 503, 503, 200]



=== TEST 9: tgbot_attempts logs, and gives nothing up, without dead letters
--- config eval: main::bot('tgbot_attempts 2; tgbot_dead_letters off;')
--- then
told(fetch(1000, 'status/500'), 'failed', '^HTTP/1.1 500 ') for 1 .. 4;
told(fetch(1000, 'say/x'), 'done', '\nX-Attempts: 5\r\n');
--- error_log
bot "b", update 1000 has failed 2 times
--- no_error_log
has failed 1 times
has failed 3 times
has failed 4 times
[alert]



=== TEST 10: a second delivery of an update that is in work is busy
--- config eval: main::bot()
--- then
my $first = held(id => 1000, text => 'wait/first/say/first');

for (1 .. 5) {
    told(fetch(1000, 'say/second'), 'busy',
         '^HTTP/1.1 503 .*Retry-After: [1-3]\r\n.*\r\n\r\n$');
}

TgbotProgram::go('first');
told(end($first), 'done', '^HTTP/1.1 200 .*"text":"first"\}$');
told(fetch(1000, 'say/second'), 'duplicate',
     '^HTTP/1.1 200 .*"text":"first"\}$');

is(TgbotProgram::seen(), '', $block->name . ' - asked once');



=== TEST 11: fifty deliveries at once, over all workers
--- config eval: main::bot()
--- then
my @sockets = map { begin(id => 1000, text => 'sleep/0.5/say/once') } 1 .. 50;
my %count;

for (@sockets) {
    my ($verdict) = end($_) =~ /^X-Verdict: (\w+)/m;
    $count{$verdict}++;
}

is($count{done}, 1, $block->name . ' - done once');
is($count{busy} + ($count{duplicate} // 0), 49, $block->name . ' - others');
told(fetch(1000), 'duplicate', '"text":"once"\}$');

is(scalar(() = TgbotProgram::seen() =~ /once/g), 2,
   $block->name . ' - asked once');



=== TEST 12: an update is done after tgbot_hold_timeout, and its reply rides with a duplicate
--- config eval: main::bot('tgbot_hold_timeout 300ms;')
--- then
told(fetch(1000, 'wait/late/say/late'), 'busy', '^HTTP/1.1 503 ');
told(fetch(1000, 'say/again'), 'busy', '^HTTP/1.1 503 ');
TgbotProgram::go('late');
told(settled(1000, 'say/again'), 'duplicate', '"text":"late"\}$') for 1 .. 2;



=== TEST 13: an update is done after its client hung up
--- config eval: main::bot()
--- then
close held(id => 1000, text => 'wait/late/say/late');
told(fetch(1000, 'say/again'), 'busy', '^HTTP/1.1 503 ');
TgbotProgram::go('late');
told(settled(1000, 'say/again'), 'duplicate', '"text":"late"\}$');



=== TEST 14: calls that went by tgbot_api are not repeated
--- config eval: main::bot($main::api)
--- request eval
[ main::post(1000), main::post(1000), "GET /seen" ]
--- response_headers eval: main::verdicts('done', 'duplicate', '')
--- response_body_like eval
[ '^$', '^$', '^/say/x [^\n]*\n/json/[^\n]*"text":"x"\}\n$' ]
--- error_code eval: [200, 200, 200]



=== TEST 15: several calls do not ride, nor are they made again
--- config eval: main::bot("$main::api tgbot_reply_via response;")
--- request eval
my $calls = '[' . CORE::join(',', map { main::said($_) } 'a', 'b') . ']';
my $path = "json/$calls";
[ main::post(1000, $path), main::post(1000, $path), "GET /seen" ]
--- response_headers eval: main::verdicts('done', 'duplicate', '')
--- response_body_like eval
[ '^$', '^$', '^/json/[^\n]*\n/json/[^\n]*"text":"a"\}\n'
              . '/json/[^\n]*"text":"b"\}\n$' ]
--- error_code eval: [(200) x 3]



=== TEST 16: a form rides again with its type
--- config eval
main::bot('tgbot_handler /_form;') . <<'_EOC_';
    location = /_form {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/header/Content-Type/application%2fx-www-form-urlencoded/json/method=sendMessage%26chat_id=7%26text=form;
    }
_EOC_
--- request eval
[ (main::post(1000)) x 2 ]
--- response_headers eval
[ "X-Verdict: done\nContent-Type: application/x-www-form-urlencoded",
  "X-Verdict: duplicate\nContent-Type: application/x-www-form-urlencoded" ]
--- response_body_like eval: [('^method=sendMessage&chat_id=7&text=form$') x 2]
--- error_code eval: [200, 200]



=== TEST 17: the largest reply that is kept
--- config eval: main::bot('tgbot_handler "/_program/say/$tgbot_text";')
--- request eval
[ (main::post(1000, main::long(4096))) x 2 ]
--- response_headers eval: main::verdicts('done', 'duplicate')
--- response_body eval
[ (main::said(main::long(4096))) x 2 ]
--- error_code eval: [200, 200]



=== TEST 18: a reply that is too large to be kept rides once
--- config eval: main::bot('tgbot_handler "/_program/say/$tgbot_text";')
--- request eval
[ (main::post(1000, main::long(4097))) x 2 ]
--- response_headers eval: main::verdicts('done', 'duplicate')
--- response_body eval
[ main::said(main::long(4097)), '' ]
--- error_code eval: [200, 200]



=== TEST 19: more replies than there is memory for: the latest are kept
--- config eval: main::bot('tgbot_handler "/_program/say/$tgbot_text";')
--- pipelined_requests eval
[ (map { main::post($_, main::long(4000)) } 1 .. 70),
  main::post(1), main::post(70) ]
--- response_headers eval
main::verdicts(('done') x 70, 'duplicate', 'duplicate')
--- response_body eval
[ (main::said(main::long(4000))) x 70, '', main::said(main::long(4000)) ]
--- error_code eval: [(200) x 72]



=== TEST 20: tgbot_reply is evaluated again for a duplicate
--- config eval
main::bot('tgbot_reply "You said $tgbot_text"; tgbot_handler off;')
--- request eval
[ main::post(1000, 'a'), main::post(1000, 'b'), main::post(1001, 'c') ]
--- response_headers eval: main::verdicts('done', 'duplicate', 'done')
--- response_body_like eval
[ 'You said a', 'You said b', 'You said c' ]
--- error_code eval: [200, 200, 200]



=== TEST 21: tgbot_reply is evaluated again where there is a Bot API
--- config eval
main::bot("$main::api tgbot_reply hello; tgbot_handler off;")
--- request eval
[ main::post(1000), main::post(1000), "GET /seen" ]
--- response_headers eval: main::verdicts('done', 'duplicate', '')
--- response_body_like eval: [ ('"text":"hello"') x 2, '^$' ]
--- error_code eval: [200, 200, 200]



=== TEST 22: tgbot_reply is not repeated when it was sent by the Bot API
--- config eval
main::bot("$main::api tgbot_reply hello; tgbot_handler off;
           tgbot_reply_via api;")
--- request eval
[ main::post(1000), "GET /do/seen/hello", "GET /do/sleep/0.3",
  main::post(1000), "GET /do/sleep/0.3", "GET /seen" ]
--- response_headers eval
main::verdicts('done', '', '', 'duplicate', '', '')
--- response_body_like eval
[ '^$', '^/json/[^\n]*"text":"hello"[^\n]*\n$', '', '^$', '',
  '^/sleep/0.3 \n/sleep/0.3 \n$' ]
--- error_code eval: [(200) x 6]



=== TEST 23: an update for which there is nothing to do
--- config eval: main::bot('tgbot_handler off;')
--- request eval: [ main::post(1000), main::post(1000) ]
--- response_headers eval: main::verdicts('ignored', 'duplicate')
--- response_body eval: ['', '']
--- error_code eval: [200, 200]



=== TEST 24: an update older than tgbot_max_age is stale, and then a duplicate
--- config eval: main::bot('tgbot_max_age 1h;')
--- request eval: [ main::post(1000), main::post(1000), "GET /seen" ]
--- response_headers eval: main::verdicts('stale', 'duplicate', '')
--- response_body eval: ['', '', '']
--- error_code eval: [200, 200, 200]



=== TEST 25: a stale update gets no tgbot_reply when it comes again
--- config eval
main::bot('tgbot_max_age 1h; tgbot_reply hello;')
--- request eval: [ main::post(1000), main::post(1000) ]
--- response_headers eval: main::verdicts('stale', 'duplicate')
--- response_body eval: ['', '']
--- error_code eval: [200, 200]



=== TEST 26: a rejected request is not remembered
--- config eval: main::bot('tgbot_secret_token right;')
--- more_headers eval
my $json = "Content-Type: application/json\n";
my $secret = "X-Telegram-Bot-Api-Secret-Token";
[ "$json$secret: wrong", "Content-Type: text/plain\n$secret: right",
  "$json$secret: right", "$json$secret: right" ]
--- request eval: [ (main::post(1000)) x 4 ]
--- response_headers eval
main::verdicts('rejected', 'rejected', 'done', 'duplicate')
--- error_code eval: [401, 415, 200, 200]



=== TEST 27: tgbot_dedup off
--- config eval: main::bot('tgbot_dedup off;')
--- request eval
[ main::post(1000), main::post(1000), main::post(1000, 'status/500'),
  main::post(1000, 'dump'), "GET /seen" ]
--- response_headers eval
[ "X-Verdict: done", "X-Verdict: done", "X-Verdict: failed",
  "X-Verdict: done\nX-Attempts: 1", "" ]
--- response_body_like eval
[ ('^' . quotemeta(main::said('x')) . '$') x 2, '^$', 'X-Tgbot-Attempt: 1\D',
  main::seen_like('say/x', 'say/x', 'status/500', 'dump') ]
--- error_code eval: [200, 200, 500, 200, 200]



=== TEST 28: update_ids of two bots are told apart
--- config eval: main::bot() . main::bot('', 'c')
--- request eval
[ main::post(1000), main::post(1000, 'say/y', 'c'), main::post(1000),
  main::post(1000, 'say/z', 'c') ]
--- response_headers eval: main::verdicts('done', 'done', ('duplicate') x 2)
--- response_body eval
[ map { main::said($_) } 'x', 'y', 'x', 'y' ]
--- error_code eval: [200, 200, 200, 200]



=== TEST 29: update_ids of two bots in one zone are told apart
--- http_config: tgbot_dedup zone=all:4m;
--- config eval: main::bot() . main::bot('', 'c')
--- request eval
[ main::post(1000), main::post(1000, 'say/y', 'c'), main::post(1000),
  main::post(1000, 'say/z', 'c'), main::post(1001, 'say/z', 'c') ]
--- response_headers eval
main::verdicts('done', 'done', 'duplicate', 'duplicate', 'done')
--- response_body eval
[ map { main::said($_) } 'x', 'y', 'x', 'y', 'z' ]
--- error_code eval: [(200) x 5]



=== TEST 30: a window, and an update_id below it
--- config eval: main::bot('tgbot_dedup window=1024;')
--- pipelined_requests eval
[ map { main::post($_, 'json/{}') } 10000, 10001, 11000, 10000, 11024, 10001,
                                    10000, 10000, 11024, 10001 ]
--- response_headers eval
main::verdicts(qw(done done done duplicate done duplicate done duplicate
                  duplicate duplicate))
--- error_code eval: [(200) x 10]



=== TEST 31: the smallest zone for two windows
--- http_config: tgbot_dedup zone=all:1200k window=4096;
--- config eval: main::bot() . main::bot('', 'c')
--- request eval
[ main::post(1000), main::post(1000, 'say/y', 'c'), main::post(1000),
  main::post(1000, 'say/z', 'c') ]
--- response_headers eval: main::verdicts('done', 'done', ('duplicate') x 2)
--- error_code eval: [200, 200, 200, 200]



=== TEST 32: the default window is four million update_ids
--- config eval: main::bot()
--- pipelined_requests eval
[ map { main::post($_, 'json/{}') } 870000000, 874194303, 870000000,
      872000000, 872000000, 874194304, 870000001, 870000000 ]
--- response_headers eval
main::verdicts(qw(done done duplicate done duplicate done done done))
--- error_code eval: [(200) x 8]



=== TEST 33: an update_id far from the others, counted as dedup_rebased_total
--- config eval: main::bot()
--- pipelined_requests eval
[ (map { main::post($_) } 870000000, 9007199254740992, 870000000, 5,
                          870000000, 5, 870000001, 870000001), "GET /status" ]
--- response_headers eval
main::verdicts(qw(done done duplicate done duplicate duplicate done duplicate),
               '')
--- response_body_like eval
[ ('') x 8, '"dedup_rebased_total":2\D' ]
--- error_code eval: [(200) x 9]



=== TEST 34: updates are known after a reload
--- config eval: main::bot()
--- request eval
[ main::post(1000), main::post(1001, 'status/500'),
  "GET /do/signal/HUP/sleep/1", main::post(1000, 'say/y'),
  main::post(1001, 'dump'), "GET /do/signal/HUP/sleep/1",
  main::post(1001), main::post(1002) ]
--- response_headers eval
[ "X-Verdict: done", "X-Verdict: failed", "", "X-Verdict: duplicate",
  "X-Verdict: done\nX-Attempts: 2", "", "X-Verdict: duplicate",
  "X-Verdict: done" ]
--- response_body_like eval
my $x = quotemeta main::said('x');
[ $x, '^$', '', $x, 'X-Tgbot-Attempt: 2\D', '', 'X-Tgbot-Attempt: 2\D', $x ]
--- error_code eval: [200, 500, (200) x 6]



=== TEST 35: an update that a worker of before the reload has in work is busy
--- config eval: main::bot()
--- then
my $first = held(id => 1000, text => 'wait/old/say/old');

reload();

my $busy = fetch(1000, 'say/new');
told($busy, 'busy', '^HTTP/1.1 503 ');

TgbotProgram::go('old');

my $done = end($first);
told($done, 'done', '"text":"old"\}$');
isnt(header_of($busy, 'X-Worker'), header_of($done, 'X-Worker'),
     $block->name . ' - another worker');

told(fetch(1000, 'say/new'), 'duplicate', '"text":"old"\}$');



=== TEST 36: an update whose worker is killed is handled again
--- config eval: main::bot()
--- no_error_log
[crit]
[emerg]
--- then
told(fetch(1, 'say/who'), 'done');
told(fetch(1000, 'status/500'), 'failed');

my @held = map { held(id => $_, text => 'wait/old/say/old') } 1000 .. 1003;

kill_workers();
is(end($_), '', $block->name . ' - no answer') for @held;
TgbotProgram::go('old');

told(fetch(1000, 'dump'), 'done', '\nX-Attempts: 2\r\n.*X-Tgbot-Attempt: 2\D');
told(fetch($_, 'say/new'), 'done', '"text":"new"\}$') for 1001 .. 1003;
told(fetch($_, 'say/newer'), 'duplicate') for 1000 .. 1003;
told(fetch(1, 'say/newer'), 'duplicate', '"text":"who"\}$');



=== TEST 37: an update whose worker is killed is not limited again
--- config eval
main::bot('tgbot_limit all zone=users:1m rate=1r/m burst=1;')
--- no_error_log
[crit]
[emerg]
--- then
my $held = held(id => 1000, text => 'wait/old/say/old');

kill_workers();
is(end($held), '', $block->name . ' - no answer');
TgbotProgram::go('old');

told(fetch(1001, 'say/new'), 'limited', '\r\n\r\n$');
told(fetch(1000, 'say/new'), 'done', '"text":"new"\}$');
told(fetch(1000, 'say/newer'), 'duplicate', '"text":"new"\}$');



=== TEST 38: any integer is an update_id, and what does not fit is counted
--- config eval: main::bot()
--- pipelined_requests eval
[ (map { (main::post($_)) x 2 } qw(9007199254740993 9007199254740992 -1
                                   9223372036854775807 -9223372036854775807
                                   9223372036854775808 -9223372036854775808
                                   18446744073709551616)), "GET /status" ]
--- response_headers eval
main::verdicts((qw(done duplicate)) x 5, (qw(done done)) x 3, '')
--- response_body_like eval
[ ('') x 16, '"dedup_unnumbered_total":6\D.*'
             . '"top":\[9007199254740993,-9223372036854775807\]' ]
--- error_code eval: [(200) x 17]
