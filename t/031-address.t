# Answers go where their update came from: t/addresses.txt says where that is,
# these blocks show it in nginx, held and queued.

use lib 't/lib';
use Test::Nginx::Socket;
use TgbotRedis;
use TgbotTest;

our $ann = '"from":{"id":8,"is_bot":false,"first_name":"Ann"}';

our $business = '{"update_id":0,"business_message":{"message_id":2,'
    . '"business_connection_id":"bc","date":1700000000,'
    . '"chat":{"id":8,"type":"private"},' . $ann . ',"text":"hi"}}';

our $topic = '{"update_id":0,"message":{"message_id":2,"date":1700000000,'
    . '"message_thread_id":4,"is_topic_message":true,'
    . '"chat":{"id":-100,"type":"supergroup"},' . $ann . ',"text":"hi"}}';

our $guest = '{"update_id":0,"guest_message":{"message_id":0,'
    . '"guest_query_id":"gq","date":1700000000,'
    . '"chat":{"id":-100,"type":"supergroup"},' . $ann . ',"text":"hi"}}';

our $join = '{"update_id":0,"chat_join_request":{"date":1700000000,'
    . '"chat":{"id":-100,"type":"supergroup"},' . $ann . ','
    . '"user_chat_id":8}}';

our $edited = '{"update_id":0,"edited_message":{"message_id":2,'
    . '"date":1700000000,"edit_date":1700000001,'
    . '"chat":{"id":8,"type":"private"},' . $ann . ',"text":"hi"}}';

our $bot = '{"update_id":0,"message":{"message_id":2,"date":1700000000,'
    . '"chat":{"id":-100,"type":"supergroup"},'
    . '"from":{"id":9,"is_bot":true,"first_name":"Bot"},"text":"hi"}}';

our $command = '{"update_id":0,"message":{"message_id":2,"date":1700000000,'
    . '"chat":{"id":-100,"type":"supergroup"},' . $ann . ','
    . '"text":"/help@Other_Bot now"}}';

our $say = '{"method":"sendMessage","chat_id":null,"text":"a"}';
our $in_business = 'sendMessage {"business_connection_id":"bc",'
    . '"method":"sendMessage","chat_id":8,"text":"a"}' . "\n";
our $in_topic = 'sendMessage {"message_thread_id":4,'
    . '"method":"sendMessage","chat_id":-100,"text":"a"}' . "\n";

# nginx takes no parameter of more than 4096 bytes

our $half = 'x' x 2049;

repeat_each(1);
plan 'no_plan';

TgbotRedis::start();
TgbotTest::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: a business message is answered by the account
--- update eval: $main::business
--- program eval: "200 $main::say"
--- calls eval: $main::in_business



=== TEST 2: so it is from a queue
--- update eval: $main::business
--- bot: tgbot_queue zone=updates:1m;
--- program eval: "200 $main::say"
--- calls eval: $main::in_business



=== TEST 3: and from one in Redis
--- update eval: $main::business
--- http_config: tgbot_redis $TEST_NGINX_REDIS timeout=5s connect_timeout=5s;
--- bot: tgbot_queue redis lease=3s;
--- program eval: "200 $main::say"
--- calls eval: $main::in_business



=== TEST 4: a call that is repeated in another job goes to the same topic
--- update eval: $main::topic
--- bot: tgbot_queue zone=updates:1m;
--- program eval: "200 $main::say"
--- api
429 {"ok":false,"parameters":{"retry_after":2}}
200 {"ok":true}
--- calls eval: $main::in_topic x 2



=== TEST 5: so it is with a queue in Redis
--- update eval: $main::topic
--- http_config: tgbot_redis $TEST_NGINX_REDIS timeout=5s connect_timeout=5s;
--- bot: tgbot_queue redis lease=3s;
--- program eval: "200 $main::say"
--- api
429 {"ok":false,"parameters":{"retry_after":2}}
200 {"ok":true}
--- calls eval: $main::in_topic x 2



=== TEST 6: no message reaches a guest's chat
--- update eval: $main::guest
--- program eval: "200 [$main::say," . '{"method":"answerGuestQuery","result":{}}]'
--- calls
answerGuestQuery {"guest_query_id":"gq","method":"answerGuestQuery","result":{}}
--- log: 1 answer has no address (only answerGuestQuery reaches the chat of a guest_message) for "sendMessage"



=== TEST 7: a text for a guest
--- update eval: $main::guest
--- bot: tgbot_reply "Hello";
--- response_body chomp
{"guest_query_id":"gq","method":"answerGuestQuery","result":{"type":"article","id":"1","title":"Reply","input_message_content":{"message_text":"Hello"}}}
--- calls:



=== TEST 8: a text for who asks to join goes to that user
--- update eval: $main::join
--- bot: tgbot_reply "Hello";
--- response_body chomp
{"chat_id":8,"method":"sendMessage","text":"Hello"}
--- calls:



=== TEST 9: an edit is answered by no text, but by the program
--- update eval: $main::edited
--- bot: tgbot_reply "Hello";
--- program eval: "200 $main::say"
--- calls
sendMessage {"method":"sendMessage","chat_id":8,"text":"a"}



=== TEST 10: nor is another bot
--- update eval: $main::bot
--- bot: tgbot_reply "Hello"; tgbot_handler off;
--- response_headers
X-Verdict: ignored
--- response_body
--- calls:



=== TEST 11: json answers what a text does not
--- update eval: $main::edited
--- bot: tgbot_reply json '{"method":"sendMessage","text":"$tgbot_update_type"}';
--- response_body chomp
{"chat_id":8,"method":"sendMessage","text":"edited_message"}
--- calls:



=== TEST 12: a text that is too long is cut, which is logged once a minute
--- updates: 2
--- bot: tgbot_reply $long;
--- http_config eval
"map \$tgbot_bot \$half { default $main::half; }\n"
. "map \$tgbot_bot \$long { default \$half\$half; }\n"
--- response_body eval
[ ('{"chat_id":7,"method":"sendMessage","text":"' . 'x' x 4096 . '"}') x 2 ]
--- calls:
--- log: 1 a text is longer than Telegram takes and is cut



=== TEST 13: a command for another bot is none, if the username is known
--- update eval: $main::command
--- server
location = /named {
    tgbot_webhook       named$bot username=shop_bot;
    tgbot_secret_token  off;
    tgbot_reply         "[$tgbot_command][$tgbot_command_bot][$tgbot_args]";
}
--- request eval: "POST /named\n$main::command"
--- response_body chomp
{"chat_id":-100,"method":"sendMessage","text":"[][Other_Bot][]"}



=== TEST 14: in any case of letters it is this bot's
--- update eval: $main::command
--- server
location = /named {
    tgbot_webhook       named$bot username=other_bot;
    tgbot_secret_token  off;
    tgbot_reply         "[$tgbot_command][$tgbot_command_bot][$tgbot_args]";
}
--- request eval: "POST /named\n$main::command"
--- response_body chomp
{"chat_id":-100,"method":"sendMessage","text":"[/help][Other_Bot][now]"}
