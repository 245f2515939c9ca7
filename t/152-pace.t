# tgbot_pace: what a 429 stops, and the pace of bulk, in one worker.

use lib 't/lib';
use Test::Nginx::Socket;
use TgbotPace;

repeat_each(1);
plan 'no_plan';
TgbotPace::start();
no_long_string();
run_tests();

__DATA__

=== TEST 1: a chat is stopped, other chats go on
--- gateway: timeout=2s
--- request eval
[main::call('sendMessage', 7, 1), main::call('sendMessage', 7, 2),
 main::call('sendMessage', 8, 3), main::call('editMessageText', 7, 4),
 main::call('getChat', 7, 5), main::call('sendChatAction', 7, 6),
 main::call('answerCallbackQuery'), main::call('setMyName')]
--- api eval: [$::long]
--- error_code eval: [429, 429, 200, 429, 200, 429, 200, 200]
--- response_body_like eval
[$::told, $::busy, $::true, $::busy, $::true, $::busy, $::true, $::true]
--- response_headers_like eval
['Retry-After: 60', 'Retry-After: \d+', '', 'Retry-After: \d+', '',
 'Retry-After: \d+', '', '']
--- calls
sendMessage {"chat_id":7,"text":"1"}
sendMessage {"chat_id":8,"text":"3"}
getChat {"chat_id":7,"text":"5"}
answerCallbackQuery {"x":1}
setMyName {"x":1}



=== TEST 2: who has the time waits for the end of the pause
--- request eval: main::sends(1, 2, 3)
--- api eval: [$::flood]
--- error_code eval: [429, 200, 200]
--- calls eval: main::sent(1, 2, 3)
--- gaps: 1 0



=== TEST 3: the first one after the pause meets another flood
--- request eval: main::sends(1, 2, 3)
--- api eval: [$::flood, $::flood]
--- error_code eval: [429, 429, 200]
--- calls eval: main::sent(1, 2, 3)
--- gaps: 1 1



=== TEST 4: an answer to an update waits for what a program's call has met
--- request eval
[main::call('sendMessage', 7, 1), $::update]
--- api eval: [$::flood]
--- error_code eval: [429, 200]
--- calls
sendMessage {"chat_id":7,"text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}
--- gaps: 1



=== TEST 5: a program's call waits for what an answer has met
--- bot
tgbot_retry_on  http_5xx;
tgbot_dead_letters  off;
--- gateway: timeout=2s
--- request eval
[$::update, main::call('sendMessage', 7, 1)]
--- api eval: [$::long]
--- error_code eval: [200, 429]
--- response_body_like eval: ['', $::busy]
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"hi"}
--- log
1 is given up after 1 failures: flood control



=== TEST 6: what names no chat stops the bot
--- gateway: timeout=2s
--- request eval
[main::call('answerInlineQuery'), main::call('sendMessage', 7, 1),
 main::call('getMe')]
--- api eval: [$::long]
--- error_code eval: [429, 429, 429]
--- response_body_like eval: [$::told, $::busy, $::busy]
--- calls
answerInlineQuery {"x":1}



=== TEST 7: what is about no chat and answers nothing stops its method
--- gateway: timeout=2s
--- request eval
[main::call('setMyCommands'), main::call('setMyCommands'),
 main::call('setMyName'), main::call('sendMessage', 7, 1),
 main::call('getChat', 8, 2), main::call('getChat', 9, 3),
 main::call('sendMessage', 8, 4)]
--- api eval: [$::long, '200', '200', $::long]
--- error_code eval: [429, 429, 200, 200, 429, 429, 200]
--- response_body_like eval
[$::told, $::busy, '', '', $::told, $::busy, $::true]
--- calls
setMyCommands {"x":1}
setMyName {"x":1}
sendMessage {"chat_id":7,"text":"1"}
getChat {"chat_id":8,"text":"2"}
sendMessage {"chat_id":8,"text":"4"}



=== TEST 8: a flood that names no time stops nothing
--- request eval: main::sends(1, 2)
--- api
429
--- error_code eval: [429, 200]
--- calls eval: main::sent(1, 2)



=== TEST 9: a name and an id of one chat
--- gateway: timeout=2s
--- program
200 {"method":"sendMessage","chat_id":"@News","text":"hi"}
--- request eval
[$::update, main::call('sendMessage', '@news', 1),
 main::call('sendMessage', -1005, 2), main::call('sendMessage', '@other', 3)]
--- api eval
['200 {"ok":true,"result":{"message_id":1,"chat":{"id":-1005,"title":"x"}}}',
 $::long]
--- error_code eval: [200, 429, 429, 200]
--- response_body_like eval: ['', $::told, $::busy, $::true]
--- calls
sendMessage {"method":"sendMessage","chat_id":"@News","text":"hi"}
sendMessage {"chat_id":"@news","text":"1"}
sendMessage {"chat_id":"@other","text":"3"}



=== TEST 10: bulk has a pace
--- gateway: bulk
--- server
tgbot_pace  chat_burst=1;
--- request eval: main::sends(1, 2)
--- error_code eval: [200, 200]
--- calls eval: main::sent(1, 2)
--- gaps: 1



=== TEST 11: answers to people have none
--- server
tgbot_pace  chat=1r/m chat_burst=1 global=1r/m global_burst=1;
--- request eval: main::sends(1, 2, 3)
--- error_code eval: [200, 200, 200]
--- calls eval: main::sent(1, 2, 3)



=== TEST 12: a header makes a call bulk; who would wait too long does not
--- server
tgbot_pace  chat=1r/m chat_burst=1 max_wait=10s;
--- header: X-Tgbot-Bulk: 1
--- request eval
[@{main::sends(1, 2)}, main::call('sendMessage', 8, 3),
 main::call('getChat', 7, 4), main::call('answerCallbackQuery')]
--- error_code eval: [200, 429, 200, 200, 200]
--- response_body_like eval
[$::true, qr/retry after \d\d"/, $::true, $::true, $::true]
--- calls
sendMessage {"chat_id":7,"text":"1"}
sendMessage {"chat_id":8,"text":"3"}
getChat {"chat_id":7,"text":"4"}
answerCallbackQuery {"x":1}



=== TEST 13: groups, the bot, and paid broadcasts
--- gateway: bulk
--- server
tgbot_pace  group=1r/m group_burst=1 global=1r/m global_burst=3 max_wait=1s;
--- request eval
[main::call('sendMessage', -7, 1), main::call('sendMessage', -7, 2),
 main::call('sendMessage', 7, 3), main::call('sendMessage', 7, 4),
 main::call('sendMessage', 8, 5),
 'POST /bot/sendMessage' . "\n" . '{"chat_id":8,"allow_paid_broadcast":true}']
--- error_code eval: [200, 429, 200, 200, 429, 200]
--- calls
sendMessage {"chat_id":-7,"text":"1"}
sendMessage {"chat_id":7,"text":"3"}
sendMessage {"chat_id":7,"text":"4"}
sendMessage {"chat_id":8,"allow_paid_broadcast":true}



=== TEST 14: off, bulk has no pace, and a flood still stops its chat
--- gateway: bulk timeout=2s
--- server
tgbot_pace  off;
--- request eval: main::sends(1 .. 6)
--- api eval: ['200', '200', '200', '200', $::long]
--- error_code eval: [200, 200, 200, 200, 429, 429]
--- calls eval: main::sent(1 .. 5)



=== TEST 15: bulk without a pace leaves the pace of other bulk as it is
--- gateway: bulk
--- server
tgbot_pace  global=1r/m global_burst=2 chat=1r/m chat_burst=1 max_wait=1s;
location /off/ {
    tgbot_gateway $bot;
    tgbot_pace off;
}
--- header: X-Tgbot-Bulk: 1
--- request eval
[main::call('sendMessage', 7, 1), map({ s/bot/off/r } @{main::sends(2, 3)}),
 main::call('sendMessage', 7, 4), main::call('sendMessage', 8, 5),
 main::call('sendMessage', 9, 6)]
--- error_code eval: [200, 200, 200, 429, 200, 429]
--- calls
sendMessage {"chat_id":7,"text":"1"}
sendMessage {"chat_id":7,"text":"2"}
sendMessage {"chat_id":7,"text":"3"}
sendMessage {"chat_id":8,"text":"5"}



=== TEST 16: an answer that is passed on tells the id of a name
--- gateway: bulk
--- server
tgbot_pace  group=1r/m group_burst=1 max_wait=1s;
--- request eval
[main::call('sendMessage', '@news', 1), main::call('sendMessage', -1005, 2),
 main::call('sendMessage', '@other', 3), main::call('sendMessage', -1006, 4)]
--- api eval
['200 {"ok":true,"result":{"message_id":1,"chat":{"id":-1005,"title":"'
 . 'x' x 9000 . '"}}}',
 '200 {"ok":true,"result":{"message_id":1,"text":"' . 'x' x 9000
 . '","chat":{"id":-1006}}}']
--- error_code eval: [200, 429, 200, 200]
--- response_body_like eval: [qr/"}}}$/, qr/retry after/, qr/"id":-1006}}}$/, $::true]
--- calls
sendMessage {"chat_id":"@news","text":"1"}
sendMessage {"chat_id":"@other","text":"3"}
sendMessage {"chat_id":-1006,"text":"4"}



=== TEST 17: a call that meets a flood waits no longer than others would
--- server
location /soon/ {
    tgbot_gateway   $bot;
    tgbot_pace      max_wait=1s;
    tgbot_retry_on  http_429;
}
--- request eval
[map { s/bot/soon/r } main::call('sendMessage', 7, 1),
 main::call('sendMessage', 8, 2), main::call('sendMessage', 8, 3)]
--- api eval: [$::flood =~ s/ 1\b/ 2/gr, $::flood]
--- error_code eval: [429, 200, 200]
--- response_body_like eval: [qr/retry after 2"/, $::true, $::true]
--- calls
sendMessage {"chat_id":7,"text":"1"}
sendMessage {"chat_id":8,"text":"2"}
sendMessage {"chat_id":8,"text":"2"}
sendMessage {"chat_id":8,"text":"3"}
