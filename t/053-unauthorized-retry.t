# A bot whose token was refused is tried again after a minute.  In a file of
# its own, so that others run meanwhile.

use Test::Nginx::Socket;
use TgbotTest;

TgbotTest::start();

repeat_each(1);
plan 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: the first call is tried, and then all go
--- updates: 3
--- patience: 100
--- bot
tgbot_hold_timeout  300ms;
--- program
200 [{"method":"sendMessage","text":"1"},{"method":"sendMessage","text":"2"}]
200 {"method":"sendMessage","text":"3"}
200 {"method":"sendMessage","text":"4"}
--- api
401 {"ok":false,"error_code":401,"description":"Unauthorized"}
--- calls
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"1"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"3"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"4"}
sendMessage {"chat_id":7,"method":"sendMessage","text":"2"}
--- error_code eval: [503, 503, 503]
--- log
1 is unauthorized
1 is still unauthorized, trying again
1 is authorized again
