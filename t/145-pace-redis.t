# tgbot_pace in Redis: all that it does in a zone, and what is in Redis.
# Another machine is what the test itself writes there.
#
#   --- there       keys of the bot that are there before, "kind value"; NAME()
#                   in a kind stands for the name of a chat in keys, and +N in a
#                   value for the time in N seconds, microseconds
#   --- keys        the keys of the bot that are there after the last request

use lib 't/lib';
use Digest::MD5 qw(md5_hex);
use Test::More;
use Test::Nginx::Socket;
use TgbotBlocks;
use TgbotPace;
use TgbotRedis;

use Time::HiRes qw(time);

TgbotRedis::start();
TgbotBlocks::add('t/152-pace.t', sub { 1 });

my $n = 0;

sub kind {
    my $text = shift;

    return '{t:bot' . "$$-$n}:" . $text =~ s/NAME\((.*?)\)/md5_hex($1)/gre;
}

repeat_each(1);
plan 'no_plan';

TgbotPace::start(sub {
    my $block = shift;

    my $server = $block->server // '';

    $server .= "tgbot_pace redis;\n" if $server !~ /tgbot_pace/;
    $server =~ s/(tgbot_pace ++(?!off|redis)[^;]*);/$1 redis;/g;

    $block->set_value('server', $server);
    $block->set_value('http_config', 'tgbot_redis $TEST_NGINX_REDIS prefix=t
                                      connect_timeout=5s timeout=5s;');

    # of the bot that TgbotTest gives the block

    $n++;

    for (split /\n/, $block->there // '') {
        s/\+(\d+)/sprintf '%d', (time + $1) * 1000000/ge;
        my ($kind, $value) = split / /, $_, 2;
        redis('SET', kind($kind), $value);
    }
});

Test::Nginx::Socket::add_response_body_check(sub {
    my ($block, $body, $index) = @_;

    my $requests = $block->request;

    return if !defined $block->keys || (ref $requests && $index < $#$requests);

    my @keys = map { kind($_) } split ' ', $block->keys;

    is_deeply([ sort @{redis('KEYS', kind('*'))} ], [ sort @keys ],
              $block->name . ' - keys in Redis');

    is(scalar(grep { redis('PTTL', $_) < 0 } @keys), 0,
       $block->name . ' - keys that stay for ever');
});

no_long_string();
run_tests();

__DATA__

=== TEST 1: no name of a chat is in a key, and all keys end
--- gateway: bulk
--- server
tgbot_pace  chat=1r/m chat_burst=9 group=1r/m global=1r/m paid=1r/m;
--- request eval
[main::call('sendMessage', 7, 1), main::call('sendMessage', '@News', 2),
 'POST /bot/sendMessage' . "\n" . '{"chat_id":8,"allow_paid_broadcast":true}']
--- error_code eval: [200, 200, 200]
--- keys: pace:NAME(7) pace:NAME(@news) group:NAME(@news) pace:all pace:paid pace:NAME(8)



=== TEST 2: a @name and the id of one chat have one bucket once both are known
--- gateway: bulk
--- server
tgbot_pace  chat=1r/m group=1r/m global=1r/m;
--- program
200 {"method":"sendMessage","chat_id":"@News","text":"hi"}
--- request eval
[$::update, main::call('sendMessage', '@news', 1)]
--- api eval
['200 {"ok":true,"result":{"message_id":1,"chat":{"id":-1005,"title":"x"}}}']
--- error_code eval: [200, 200]
--- keys: pace:NAME(-1005) group:NAME(-1005) pace:all



=== TEST 3: answers to people ask for no place
--- server
tgbot_pace  chat=1r/m global=1r/m;
--- request eval: main::sends(1, 2, 3)
--- error_code eval: [200, 200, 200]
--- keys:



=== TEST 4: a chat that a 429 has stopped on another machine
--- gateway: bulk
--- there
stop:NAME(7) +60 0 0
--- server
location /people/ {
    tgbot_gateway $bot;
}
--- request eval
[main::call('sendMessage', 7, 1), main::call('sendMessage', 8, 2),
 map { s/bot/people/r } main::call('sendMessage', 7, 3),
 main::call('sendMessage', 8, 4)]
--- error_code eval: [429, 200, 429, 200]
--- response_body_like eval: [$::busy, $::true, $::busy, $::true]
--- calls
sendMessage {"chat_id":8,"text":"2"}
sendMessage {"chat_id":8,"text":"4"}



=== TEST 5: a bot that a 429 has stopped on another machine
--- gateway: bulk
--- there
stop +60 0 0
--- request eval: main::sends(1)
--- error_code: 429
--- response_body_like eval: $::busy
--- calls



=== TEST 6: the end of a pause is waited for, and then one call goes first
--- gateway: bulk
--- there
stop:NAME(7) +3 0 0
--- server
tgbot_pace  chat=1000r/s global=1r/m;
--- request eval: main::sends(1, 2)
--- error_code eval: [200, 200]
--- calls eval: main::sent(1, 2)
--- keys: pace:all



=== TEST 7: another machine's call goes first, and its answer is waited for
--- gateway: bulk
--- there
stop:NAME(7) +0 +60 0
--- server
tgbot_pace  max_wait=1s;
--- request eval: main::sends(1)
--- error_code: 429
--- calls



=== TEST 8: the machine whose call goes first has died
--- gateway: bulk
--- there
stop:NAME(7) +0 +2 0
--- request eval: main::sends(1)
--- error_code: 200
--- calls eval: main::sent(1)



=== TEST 9: a flood is told, and what ends it
--- request eval: main::sends(1)
--- api eval: [$::flood]
--- error_code: 429
--- keys: stop:NAME(7)



=== TEST 10: places that other machines have: of a chat
--- gateway: bulk
--- there
pace:NAME(7) +100
--- server
tgbot_pace  chat=1r/s chat_burst=3 max_wait=5s;
--- request eval
[main::call('sendMessage', 7, 1), main::call('sendMessage', 8, 2)]
--- error_code eval: [429, 200]
--- response_body_like eval: [qr/retry after 9\d"/, $::true]
--- calls
sendMessage {"chat_id":8,"text":"2"}



=== TEST 11: of a group, and of the bot
--- gateway: bulk
--- there
group:NAME(-7) +100
pace:all +100
--- server
tgbot_pace  group=1r/s group_burst=3 global_burst=1 max_wait=3s;
--- request eval
[main::call('sendMessage', -7, 1), main::call('sendMessage', 7, 2),
 'POST /bot/sendMessage' . "\n" . '{"chat_id":8,"allow_paid_broadcast":true}']
--- error_code eval: [429, 429, 200]
--- response_body_like eval
[qr/retry after (9\d|100)"/, qr/retry after \d\d+"/, $::true]
--- calls
sendMessage {"chat_id":8,"allow_paid_broadcast":true}



=== TEST 12: a place behind them is waited for
--- gateway: bulk
--- there
pace:all +4
--- server
tgbot_pace  global=1r/s global_burst=2;
--- request eval: main::sends(1)
--- error_code: 200
--- calls eval: main::sent(1)



=== TEST 13: what is no time is no place
--- gateway: bulk
--- there
pace:all x
stop x
--- request eval: main::sends(1)
--- error_code: 200
--- calls eval: main::sent(1)



=== TEST 14: a pause may be as long as a 429 tells
--- gateway: bulk
--- there
stop:NAME(7) +2147480 0 0
--- request eval: main::sends(1)
--- error_code: 429
--- response_body_like: retry after 2147[34]\d\d"
--- calls
