# Flooders: who is limited by what, and what Telegram is told.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotLimit;
use TgbotSteps;

# tokens come by the clock

TgbotSteps::start(update => { user => 7 }, real_time => 1,
                  no_error_log => '[error]');

master_on();
workers(2);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: a burst passes, then nothing
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=3;')
--- pipelined_requests eval
[ (map { main::post(user => 7) } 1 .. 5), main::post(user => 8), "GET /seen" ]
--- response_headers eval
[ @{main::verdicts(qw(done done done limited limited done))}, "" ]
--- response_body_like eval
[ ("^\Q$main::said\E\$") x 3, '^$', '^$', "^\Q$main::said\E\$",
  '^(/say/x [^\n]*"id":7,[^\n]*\n){3}/say/x [^\n]*"id":8,[^\n]*\n$' ]
--- error_code eval: [(200) x 7]



=== TEST 2: a dropped update is answered with nothing
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1
                       action=drop;')
--- pipelined_requests eval: [main::post(), main::post()]
--- response_headers eval
[ "X-Verdict: done", "X-Verdict: limited\nContent-Length: 0\n!Retry-After" ]
--- response_body eval: [$main::said, ""]
--- error_code eval: [200, 200]



=== TEST 3: tokens come with time, one by one
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=30r/m burst=2;')
--- pipelined_requests eval
[ (map { main::post() } 1 .. 3), "GET /do/sleep/2.1",
  (map { main::post() } 1 .. 2), "GET /do/sleep/4.1",
  (map { main::post() } 1 .. 3) ]
--- response_headers eval
[ @{main::verdicts(qw(done done limited))}, "",
  @{main::verdicts(qw(done limited))}, "",
  @{main::verdicts(qw(done done limited))} ]
--- error_code eval: [(200) x 10]



=== TEST 4: the default burst is 20
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m;')
--- pipelined_requests eval: [map { main::post() } 1 .. 22]
--- response_headers eval
main::verdicts(('done') x 20, 'limited', 'limited')
--- error_code eval: [(200) x 22]



=== TEST 5: one burst over connections and workers
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=5;')
--- request eval: [map { main::post() } 1 .. 12]
--- response_headers eval
main::verdicts(('done') x 5, ('limited') x 7)
--- error_code eval: [(200) x 12]



=== TEST 6: a rejected update gets Retry-After, when there is a token again
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=6r/m burst=1
                       action=reject;')
--- pipelined_requests eval: [main::post(), main::post(), main::post(user => 8)]
--- response_headers_like eval
[ "X-Verdict: done",
  "X-Verdict: limited\nRetry-After: (?:[89]|1[0-3])\nContent-Length: 0",
  "X-Verdict: done" ]
--- response_body eval: [$main::said, "", $main::said]
--- error_code eval: [200, 429, 200]



=== TEST 7: Retry-After is at most a minute and at least a second
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1
                       action=reject;')
. main::bot('tgbot_limit $tgbot_user_id zone=one rate=2r/s burst=1
                         action=reject;
             tgbot_handler off; tgbot_reply hi;', 'quick')
--- pipelined_requests eval
[ main::post(), main::post(), (map { main::post(bot => 'quick') } 1 .. 2) ]
--- response_headers_like eval
[ "X-Verdict: done", "X-Verdict: limited\nRetry-After: (?:5[5-9]|60)",
  "X-Verdict: done", "X-Verdict: limited\nRetry-After: 1" ]
--- error_code eval: [200, 429, 200, 429]



=== TEST 8: Retry-After is at most what the update has to live
--- config eval
main::bot('tgbot_handler /_program/say/x;
           tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1
                       action=reject;')
--- pipelined_requests eval
[ main::post(), main::other('callback_query', '"data":"x"'),
  main::other('inline_query', '"query":"x","offset":""') ]
--- response_headers_like eval
[ "X-Verdict: done", "X-Verdict: limited\nRetry-After: [1-5]",
  "X-Verdict: limited\nRetry-After: [12]" ]
--- error_code eval: [200, 429, 429]



=== TEST 9: a rejected update that comes again is handled
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=30r/m burst=1
                       action=reject;')
--- pipelined_requests eval
[ main::post(id => 1000), main::post(id => 1001), main::post(id => 1001),
  "GET /do/sleep/2.1", main::post(id => 1001), main::post(id => 1001) ]
--- response_headers eval
[ @{main::verdicts(qw(done limited limited))}, "",
  @{main::verdicts(qw(done duplicate))} ]
--- error_code eval: [200, 429, 429, 200, 200, 200]



=== TEST 10: error_page does not apply to a rejected update
--- config eval
main::bot('error_page 429 =200 /page;
           tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1
                       action=reject;')
. 'location = /page { return 200 "a page"; }'
--- pipelined_requests eval: [main::post(), main::post()]
--- response_headers_like eval
[ "X-Verdict: done", "X-Verdict: limited\nRetry-After: \\d+" ]
--- response_body eval: [$main::said, ""]
--- error_code eval: [200, 429]



=== TEST 11: a dropped update is a duplicate when it comes again
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=30r/m burst=1;')
--- pipelined_requests eval
[ main::post(id => 1000), main::post(id => 1001), "GET /do/sleep/2.1",
  main::post(id => 1001), main::post(id => 1002) ]
--- response_headers eval
[ @{main::verdicts(qw(done limited))}, "",
  @{main::verdicts(qw(duplicate done))} ]
--- response_body_like eval
[ "^\Q$main::said\E\$", '^$', '', '^$', "^\Q$main::said\E\$" ]
--- error_code eval: [(200) x 5]



=== TEST 12: a duplicate takes no token
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;')
--- pipelined_requests eval
[ map { main::post(id => $_) } 1000, 1000, 1000, 1001, 1001, 1002 ]
--- response_headers eval
main::verdicts(qw(done duplicate duplicate done duplicate limited))
--- error_code eval: [(200) x 6]



=== TEST 13: a request that is no update takes no token
--- config eval
main::bot('tgbot_limit all zone=one:1m rate=1r/m burst=1;')
--- pipelined_requests eval
[ "POST /b\n{}", "POST /b\n[", "GET /b", main::post(), main::post() ]
--- response_headers eval
main::verdicts(qw(rejected rejected rejected done limited))
--- error_code eval: [400, 400, 405, 200, 200]



=== TEST 14: one notice for an emptied bucket
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=30r/m burst=2
                       "reply=Not so fast";')
--- pipelined_requests eval
[ (map { main::post() } 1 .. 4), main::post(user => 8), "GET /do/sleep/2.1",
  (map { main::post() } 1 .. 2), "GET /do/sleep/4.1",
  (map { main::post() } 1 .. 4) ]
--- response_headers eval
[ @{main::verdicts(qw(done done limited limited done))}, "",
  @{main::verdicts(qw(done limited))}, "",
  @{main::verdicts(qw(done done limited limited))} ]
--- response_body_like eval
my ($said, $notice) = map { "^\Q$_\E\$" } $main::said, $main::notice;

[ $said, $said, $notice, '^$', $said, '',
  $said, '^$', '',
  $said, $said, $notice, '^$' ]
--- error_code eval: [(200) x 13]



=== TEST 15: the notice goes to the chat of the update
--- config eval
main::bot('tgbot_handler /_program/say/x;
           tgbot_limit $tgbot_chat_id zone=one:1m rate=1r/m burst=1
                       "reply=Not so fast";
           tgbot_limit $tgbot_query_id zone=two:1m rate=1r/m burst=1
                       "reply=Not \\"so\\" fast";')
--- pipelined_requests eval
[ main::post(chat => -100200, user => 7), main::post(chat => -100200, user => 8),
  (map { main::other('callback_query', '"data":"x"') } 1 .. 2) ]
--- response_headers eval: main::verdicts(qw(done limited done limited))
--- response_body eval
[ $main::said,
  '{"chat_id":-100200,"method":"sendMessage","text":"Not so fast"}',
  $main::said,
  '{"callback_query_id":"5","method":"answerCallbackQuery",'
  . '"text":"Not \"so\" fast"}' ]
--- error_code eval: [(200) x 4]



=== TEST 16: no notice without a chat
--- config eval
main::bot('tgbot_handler /_program/say/x;
           tgbot_limit all zone=one:1m rate=1r/m burst=1 reply=slow;')
--- pipelined_requests eval
[ map { main::other('poll', '"question":"x"') } 1 .. 2 ]
--- response_headers eval: main::verdicts(qw(done limited))
--- response_body_like eval: ['', '^$']
--- error_code eval: [200, 200]



=== TEST 17: a notice that Telegram did not get is sent again
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1
                       "reply=Not so fast";')
--- pipelined_requests eval
[ map { main::post(id => $_) } 1000, 1001, 1001, 1002, 1002 ]
--- response_headers eval
main::verdicts(qw(done limited duplicate limited duplicate))
--- response_body eval: [$main::said, $main::notice, $main::notice, "", ""]
--- error_code eval: [(200) x 5]



=== TEST 18: a notice is sent by the Bot API
--- config eval
main::bot('tgbot_token_file $TEST_NGINX_TOKEN_FILE;
           tgbot_api /_api;
           tgbot_reply_via api;
           tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1
                       "reply=Not so fast";')
. 'location /_api {
       internal;
       proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/json/%7B%22ok%22:true%7D;
   }'
--- pipelined_requests eval
[ (map { main::post(text => 'status/204') } 1 .. 3), "GET /do/seen/fast",
  "GET /do/sleep/0.3", "GET /seen" ]
--- response_headers eval
[ @{main::verdicts(qw(done limited limited))}, "", "", "" ]
--- response_body_like eval
[ '^$', '^$', '^$',
  '^/status/204 [^\n]*\n/json/[^\n]* ' . quotemeta($main::notice) . '\n$',
  '^$', '^/sleep/0.3 \n$' ]
--- error_code eval: [(200) x 6]



=== TEST 19: an empty key is not limited
--- config eval
main::bot('tgbot_handler /_program/say/x;
           tgbot_limit $tgbot_command zone=one:1m rate=1r/m burst=1;')
--- pipelined_requests eval
[ map { main::post(text => $_) } 'a', 'b', '/start', 'c', '/start', 'd',
                                 '/help', '/start x' ]
--- response_headers eval
main::verdicts(qw(done done done done limited done done limited))
--- error_code eval: [(200) x 8]



=== TEST 20: payments, and users who block the bot, are never limited
--- config eval
main::bot('tgbot_handler /_program/say/x;
           tgbot_limit all zone=one:1m rate=1r/m burst=1;
           tgbot_limit all zone=two:1m rate=1r/m burst=1 action=reject;')
--- pipelined_requests eval
sub payments {
    return main::other('pre_checkout_query'), main::other('shipping_query'),
           main::other('purchased_paid_media'),
           main::post(more => 'successful_payment'),
           main::post(more => 'refunded_payment'),
           main::member('my_chat_member');
}

[ payments(), main::post(), main::post(), payments(),
  main::other('callback_query', '"data":"x"'), main::member('chat_member') ]
--- response_headers eval
main::verdicts(('done') x 7, 'limited', ('done') x 6, 'limited', 'limited')
--- error_code eval: [(200) x 16]



=== TEST 21: limits are taken in order, and their tokens given back
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;
           tgbot_limit $tgbot_chat_id zone=two:1m rate=1r/m burst=1;')
--- pipelined_requests eval
[ map { main::post(user => $_->[0], chat => $_->[1]) }
      [1, -10], [1, -10], [1, -10], [1, -10],  # the chat's is empty
      [1, -11],                                # so the user has one left
      [1, -12],                                # but no other
      [2, -12] ]                               # the chat's is untouched
--- response_headers eval
main::verdicts(qw(done limited limited limited done limited done))
--- error_code eval: [(200) x 7]



=== TEST 22: tokens of three limits in one zone are given back
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;
           tgbot_limit $tgbot_command zone=one rate=1r/m burst=2;
           tgbot_limit $tgbot_chat_id zone=one rate=1r/m burst=1;
           tgbot_handler /_program/say/x;')
--- pipelined_requests eval
[ map { main::post(user => $_->[0], chat => $_->[1], text => $_->[2]) }
      [1, -10, '/a'], [1, -10, '/a'], [2, -10, '/a'], [1, -10, 'x'],
      [1, -11, '/a'],           # is the second of the user and the command
      [1, -12, '/b'],           # too many of the user
      [2, -12, '/a'],           # of the command
      [2, -12, '/b'], [2, -13, '/b'] ]
--- response_headers eval
main::verdicts(qw(done limited limited limited done limited limited done done))
--- error_code eval: [(200) x 9]



=== TEST 23: the verdict is that of the limit that refuses
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2
                       "reply=Not so fast";
           tgbot_limit $tgbot_chat_id zone=two:1m rate=6r/m burst=1
                       action=reject;')
--- pipelined_requests eval
[ map { main::post(user => 7, chat => $_) } 7, 7, -10, 7, -12 ]
--- response_headers_like eval
[ "X-Verdict: done", "X-Verdict: limited\nRetry-After: (?:[89]|1[0-3])",
  "X-Verdict: done", "X-Verdict: limited", "X-Verdict: limited" ]
--- response_body eval: [$main::said, "", $main::said, $main::notice, ""]
--- error_code eval: [200, 429, 200, 200, 200]



=== TEST 24: two bots in one zone have buckets of their own
--- http_config
    tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1;
--- config eval: main::bot('', 'a') . main::bot('', 'b')
--- pipelined_requests eval
[ map { main::post(bot => $_) } qw(a a b b) ]
--- response_headers eval: main::verdicts(qw(done limited done limited))
--- error_code eval: [(200) x 4]



=== TEST 25: two bots share buckets with shared
--- http_config
    tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2 shared;
--- config eval
main::bot('', 'a') . main::bot('', 'b')
. main::bot('tgbot_limit $tgbot_user_id zone=one rate=1r/m burst=2;', 'c')
. main::bot('tgbot_limit $tgbot_user_id zone=one rate=2r/m burst=2 shared;',
            'd')
--- pipelined_requests eval
[ map { main::post(bot => $_) } qw(a b a b c c c d d d) ]
--- response_headers eval
main::verdicts(qw(done done limited limited), (qw(done done limited)) x 2)
--- error_code eval: [(200) x 10]



=== TEST 26: an update that comes again after a failure takes no second token
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2
                       action=reject;')
--- pipelined_requests eval
[ (map { main::post(id => 1000, text => 'status/500') } 1 .. 4),
  (map { main::post(id => 1001, text => 'status/503') } 1 .. 4),
  main::post(id => 1002), main::post(id => 1000, text => 'status/500') ]
--- response_headers eval
main::verdicts(('failed') x 4, ('busy') x 4, 'limited', 'failed')
--- error_code eval: [(500) x 4, (503) x 4, 429, 500]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 27: an update that is handled at last takes no second token
--- http_config
    map $tgbot_attempts $steps {
        volatile;
        default  say/x;
        1        status/500;
        2        status/400;
    }
--- config eval
main::bot('tgbot_handler /_program/$steps;
           tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1;')
--- pipelined_requests eval
[ (map { main::post(id => 1000) } 1 .. 4), main::post(id => 1001) ]
--- response_headers eval
main::verdicts(qw(failed failed done duplicate limited))
--- error_code eval: [500, 500, 200, 200, 200]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 28: an update that comes again is handled when others emptied the bucket
--- http_config
    map $tgbot_attempts $steps {
        volatile;
        default  say/x;
        1        status/500;
    }
--- config eval
main::bot('tgbot_handler /_program/$steps;
           tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;')
--- pipelined_requests eval
[ map { main::post(id => $_) } 1000, 1001, 1002, 1000, 1001, 1002 ]
--- response_headers eval
main::verdicts(qw(failed failed limited done done duplicate))
--- error_code eval: [500, 500, (200) x 4]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 29: each delivery takes a token without de-duplication
--- config eval
main::bot('tgbot_dedup off;
           tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;')
--- pipelined_requests eval
[ (map { main::post(id => 1000, text => 'status/500') } 1 .. 2),
  main::post(id => 1001) ]
--- response_headers eval: main::verdicts(qw(failed failed limited))
--- error_code eval: [500, 500, 200]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 30: replies of tgbot_reply are limited
--- config eval
main::bot('tgbot_reply Hello;
           tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1
                       "reply=Not so fast";')
--- pipelined_requests eval
[ map { main::post(id => $_) } 1000, 1001, 1002, 1000 ]
--- response_headers eval: main::verdicts(qw(done limited limited duplicate))
--- response_body eval
my $hello = $main::notice =~ s/Not so fast/Hello/r;

[ $hello, $main::notice, "", $hello ]
--- error_code eval: [(200) x 4]



=== TEST 31: a dry run counts and limits nothing
--- config eval
main::bot('tgbot_limit_dry_run on;
           tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1
                       "reply=Not so fast";
           tgbot_limit $tgbot_chat_id zone=two:1m rate=1r/m burst=2
                       action=reject;')
--- pipelined_requests eval
[ (map { main::post(user => $_->[0], chat => $_->[1]) }
       [7, 7], [7, 7], [7, 7], [8, 7], [9, 7]), "GET /status" ]
--- response_headers eval: [ @{main::verdicts(('done') x 5)}, "" ]
--- response_body_like eval
[ ("^\Q$main::said\E\$") x 5,
  main::decisions(one => { passed => 3, dropped => 0, dropped_dry_run => 2 },
                  two => { passed => 2, rejected => 0,
                           rejected_dry_run => 1 }) ]
--- error_code eval: [(200) x 6]



=== TEST 32: a dry run counts a token that would be given back
--- config eval
main::bot('tgbot_limit_dry_run on;
           tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;
           tgbot_limit $tgbot_chat_id zone=two:1m rate=1r/m burst=1
                       action=reject;')
--- pipelined_requests eval
[ (map { main::post(user => 1, chat => $_) } -10, -10, -10, -11, -12),
  "GET /status" ]
--- response_headers eval: [ @{main::verdicts(('done') x 5)}, "" ]
--- response_body_like eval
[ ('') x 5,
  main::decisions(one => { passed => 4, dropped => 0, dropped_dry_run => 1 },
                  two => { passed => 2, rejected => 0,
                           rejected_dry_run => 2 }) ]
--- error_code eval: [(200) x 6]



=== TEST 33: the same limits without a dry run
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;
           tgbot_limit $tgbot_chat_id zone=two:1m rate=1r/m burst=1
                       action=reject;')
--- pipelined_requests eval
[ (map { main::post(user => 1, chat => $_) } -10, -10, -10, -11, -12),
  "GET /status" ]
--- response_headers eval
[ @{main::verdicts(qw(done limited limited done limited))}, "" ]
--- response_body_like eval
[ ('') x 5,
  main::decisions(one => { passed => 4, dropped => 1, dropped_dry_run => 0 },
                  two => { passed => 2, rejected => 2,
                           rejected_dry_run => 0 }) ]
--- error_code eval: [200, 429, 429, 200, 200, 200]



=== TEST 34: a dry run is not inherited
--- http_config
    tgbot_limit_dry_run on;
    tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1;
--- config eval
main::bot('', 'a') . main::bot('tgbot_limit_dry_run off;', 'b')
--- pipelined_requests eval
[ map { main::post(bot => $_) } qw(a a b b) ]
--- response_headers eval: main::verdicts(qw(done done done limited))
--- error_code eval: [(200) x 4]



=== TEST 35: tgbot_limit off
--- http_config
    tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1;
--- config eval
main::bot('', 'a') . main::bot('tgbot_limit off;', 'b')
--- pipelined_requests eval
[ map { main::post(bot => $_) } qw(a a b b b) ]
--- response_headers eval: main::verdicts(qw(done limited done done done))
--- error_code eval: [(200) x 5]



=== TEST 36: a level with a limit does not inherit those above
--- http_config
    tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1;
    tgbot_limit $tgbot_chat_id zone=one rate=1r/m burst=3;
--- config eval
main::bot('', 'a')
. main::bot('tgbot_limit $tgbot_chat_id zone=one rate=1r/m burst=2;', 'b')
--- pipelined_requests eval
[ (map { main::post(bot => 'a', chat => $_) } 7, 7, 8),
  (map { main::post(bot => 'b', chat => $_) } 7, 7, 8, 7) ]
--- response_headers eval
main::verdicts(qw(done limited limited), qw(done done done limited))
--- error_code eval: [(200) x 7]



=== TEST 37: keys of a map: no limit for some users, one bucket for others
--- http_config
    map $tgbot_chat_id $key {
        volatile;
        default   $tgbot_chat_id;
        7         "";
        "~^-"     groups;
    }
--- config eval
main::bot('tgbot_limit $key zone=one:1m rate=1r/m burst=1;')
--- pipelined_requests eval
[ map { main::post(chat => $_) } 7, 7, 7, 8, 8, 9, 9, -10, -11, -12, 7 ]
--- response_headers eval
main::verdicts(('done') x 3, qw(done limited), qw(done limited),
               qw(done limited limited), 'done')
--- error_code eval: [(200) x 11]



=== TEST 38: keys of several variables of the update
--- config eval
main::bot('tgbot_limit "$tgbot_chat_id:$tgbot_user_id:$tgbot_update_type"
                       zone=one:1m rate=1r/m burst=1;
           tgbot_handler /_program/say/x;')
--- pipelined_requests eval
[ (map { main::post(user => $_->[0], chat => $_->[1]) }
       [1, -12], [1, -12], [12, -1], [2, -12], [1, -122]),
  main::post(user => 1, chat => -12) =~ s/"message"/"edited_message"/r ]
--- response_headers eval: main::verdicts(qw(done limited done done done done))
--- error_code eval: [(200) x 6]



=== TEST 39: long keys with the same beginning
--- config eval
main::bot('tgbot_limit $tgbot_text zone=one:1m rate=1r/m burst=1;
           tgbot_handler /_program/say/x;')
--- pipelined_requests eval
my $long = 'long ' x 100;

[ map { main::post(text => $_) }
      $long, $long . 'a', $long . 'b', 'b' . $long, $long . 'a', $long,
      'x' x 20000, 'x' x 20001, 'x' x 20000,
      (map { 'x' x $_, 'x' x $_ } 22 .. 25) ]
--- response_headers eval
main::verdicts(qw(done done done done limited limited),
               qw(done done limited), (qw(done limited)) x 4)
--- error_code eval: [(200) x 17]



=== TEST 40: the smallest zone, and users whose buckets were evicted
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:36k rate=1r/m burst=1;
           tgbot_reply Hello;')
--- pipelined_requests eval
[ main::post(user => 1), main::post(user => 1),
  (map { main::post(user => $_) } 1000 .. 1600),
  main::post(user => 1600), main::post(user => 1), "GET /status" ]
--- response_headers eval
[ @{main::verdicts(qw(done limited), ('done') x 601, qw(limited done))}, "" ]
--- response_body_like eval
[ ('') x 605, '"one":\{"kind":"limit","size":36864,'
              . '"zone_bytes":\{"used":36864,"free":0\},'
              . '"zone_evicted_total":[1-9]\d+,"zone_repaired_total":0,'
              . '"used":(\d+),"total":\1\}' ]
--- error_code eval: [(200) x 606]



=== TEST 41: buckets are kept over a reload
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=3
                       "reply=Not so fast";')
--- request eval
[ main::post(text => 'signal/HUP/sleep/0.5/say/x'), main::post(), main::post(),
  main::post(), "GET /do/signal/HUP/sleep/0.5", main::post() ]
--- response_headers eval
[ @{main::verdicts(qw(done done done limited))}, "",
  @{main::verdicts(qw(limited))} ]
--- response_body_like eval
my ($said, $notice) = map { "^\Q$_\E\$" } $main::said, $main::notice;

[ $said, $said, $said, $notice, '', '^$' ]
--- error_code eval: [(200) x 6]



=== TEST 42: the photos of an album are charged once, in whatever order they come
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;')
--- request eval
[ (map { main::photo($_) } qw(A A B A)), main::post(), main::photo('B'),
  main::photo('A'), main::photo('C'), main::photo('A', user => 8) ]
--- response_headers eval
main::verdicts(qw(done done done done limited done done limited done))
--- error_code eval: [(200) x 9]



=== TEST 43: an album is refused as a whole, also when there is a token again
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=30r/m burst=1
                       "reply=Not so fast";')
--- pipelined_requests eval
[ main::post(), main::photo('A'), "GET /do/sleep/2.1", main::photo('A'),
  main::post() ]
--- response_headers eval
[ @{main::verdicts(qw(done limited))}, "", @{main::verdicts(qw(limited done))} ]
--- response_body eval
[ $main::said, $main::notice, '', '', $main::said ]
--- error_code eval: [(200) x 5]



=== TEST 44: one that Telegram sends again is taken as a whole
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=30r/m burst=1
                       action=reject;')
--- pipelined_requests eval
[ main::post(), main::photo('A', id => 501), main::photo('A', id => 502),
  "GET /do/sleep/2.1", main::photo('A', id => 501),
  main::photo('A', id => 502), main::post() ]
--- response_headers eval
[ @{main::verdicts(qw(done limited limited))}, "",
  @{main::verdicts(qw(done done limited))} ]
--- error_code eval: [200, 429, 429, 200, 200, 200, 429]



=== TEST 45: a limit that passes an album keeps nothing if another one refuses it
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;
           tgbot_limit $tgbot_chat_id zone=two:1m rate=1r/m burst=1;')
--- request eval
[ main::photo('A'), main::photo('A'), main::photo('B'), main::photo('B'),
  main::photo('B', chat => 8), main::photo('B', chat => 8),
  main::post(chat => 9) ]
--- response_headers eval
main::verdicts(qw(done done limited limited done done limited))
--- error_code eval: [(200) x 7]



=== TEST 46: an edit of a photo is charged
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=2;')
--- request eval
[ main::photo('A'),
  (map { main::photo('A') =~ s/"message":/"edited_message":/r } 1 .. 2),
  main::photo('A') ]
--- response_headers eval
main::verdicts(qw(done done limited done))
--- error_code eval: [(200) x 4]



=== TEST 47: each photo of an album that would be refused is counted
--- config eval
main::bot('tgbot_limit $tgbot_user_id zone=one:1m rate=1r/m burst=1;
           tgbot_limit_dry_run on;')
--- request eval
[ main::post(), main::photo('A'), main::photo('A'), "GET /status" ]
--- response_headers eval
[ @{main::verdicts(qw(done done done))}, "" ]
--- response_body_like eval
[ ("^\Q$main::said\E\$") x 3,
  main::decisions(one => { passed => 1, dropped_dry_run => 2 }) ]
--- error_code eval: [(200) x 4]
