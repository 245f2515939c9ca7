# No token and no control character comes into a log line, no matter who wrote it:
# the Bot API, the program, nginx about one of them, or a user.

use Test::Nginx::Socket;
use TgbotTest;

TgbotTest::start();

# a bot beside the block's own

our $other = '77000:AA_token-of-other-0123456789abcde';
our $percent = $other =~ s/:/%3A/r;

add_block_preprocessor(sub {
    my $block = shift;

    my $server = defined $block->server ? $block->server : '';

    $block->set_value('server', <<"_EOC_");
$server
location = /other {
    tgbot_webhook       other;
    tgbot_token         $other;
    tgbot_secret_token  off;
    tgbot_reply         x;
}
_EOC_

    $block->set_value('bot', ($block->bot // '')
                             . "\ntgbot_dead_letters off;"
                             . "\ntgbot_attempts 1;");
});

repeat_each(1);
plan 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: a description with tokens
--- updates: 3
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- api eval
[
    '404 {"description":"Not Found: /bot$token/sendMessage"}',
    '404 {"description":"a ' . "/bot$main::other/x $main::other" . ' b"}',
    '404 {"description":"https://x/?u=bot' . $main::percent . '%2Fx"}',
]
--- error_code eval: [(200) x 3]
--- log
1 was refused with 404: "Not Found: /bot<redacted>/sendMessage"
1 was refused with 404: "a /bot<redacted>/x <redacted> b"
1 was refused with 404: "https://x/?u=bot<redacted>%2Fx"



=== TEST 2: a description that is cut within a token, and behind one
--- updates: 3
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- api eval
[
    '404 {"description":"' . ('x' x 249) . $main::other . '"}',
    '404 {"description":"' . ('y' x 242) . $main::other . ' more"}',
    '404 {"description":"' . ('z' x 246) . $main::other . '"}',
]
--- error_code eval: [(200) x 3]
--- log eval
'1 was refused with 404: "' . ('x' x 249) . '<redact"
1 was refused with 404: "' . ('y' x 242) . '<redacted> mor"
1 was refused with 404: "' . ('z' x 246) . '<redacted>"'



=== TEST 3: a description that the Bot API has cut within a token
--- updates: 2
--- program
repeat 200 {"method":"sendMessage","text":"hi"}
--- api eval
[
    '404 {"description":"a ' . substr($main::other, 0, 7) . '"}',
    '404 {"description":"b ' . substr($main::other, 0, 20) . '... c"}',
]
--- error_code eval: [(200) x 2]
--- log
1 was refused with 404: "a <redacted>"
1 was refused with 404: "b <redacted>... c"



=== TEST 4: a method with a token, and with control characters
--- updates: 3
--- program eval
[
    '200 {"method":"bot$token/sendMessage"}',
    '200 {"method":"' . $main::other . '\r\n2026/01/01 [notice] \u0085x"}',
    '200 {"method":"' . ('x' x 56) . $main::other . '"}',
]
--- error_code eval: [(200) x 3]
--- log eval
'1 the program\'s answer has no proper method name "bot<redacted>/sendMessage"
1 the program\'s answer has no proper method name "<redacted>  2026/01/01 [notice]  x"
1 the program\'s answer has no proper method name "' . ('x' x 56) . '<redacte"'



=== TEST 5: a method that the configuration takes from a user
--- bot
tgbot_handler off;
tgbot_reply json '{"method":"$tgbot_text"}';
--- update eval
'{"update_id":0,"message":{"message_id":2,"date":1700000000,'
. '"chat":{"id":7,"type":"private"},"text":"' . $main::other . '"}}'
--- log
1 the value of "tgbot_reply json" has no proper method name "<redacted>", no reply



=== TEST 6: what nginx says of a call to the program
--- bot
tgbot_handler "/_files/a\nb/$tgbot_text";
--- server
location /_files/ {
    internal;
    root html;
}
--- update eval
'{"update_id":0,"message":{"message_id":2,"date":1700000000,'
. '"chat":{"id":7,"type":"private"},"text":"' . $main::other . '"}}'
--- error_code: 503
--- log
1 html/_files/a b/<redacted>" failed (2: No such file or directory)
1 subrequest: "/_files/a b/<redacted>"
