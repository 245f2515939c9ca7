package TgbotPace;

# What the tests of tgbot_pace have in common: calls to a gateway of the block's
# bot, "--- gateway" being its parameters and "--- header" one more header of
# the request.
#
#   TgbotPace::start(sub { ... });   called with each block before it is made

use strict;
use warnings;

use Exporter qw(import);
use Test::Nginx::Util;
use TgbotTest;

our @EXPORT = qw($flood $long $busy $true $told $update call sends sent);

our $flood = '429 [Retry-After: 1] {"ok":false,"error_code":429,'
    . '"description":"Too Many Requests: retry after 1"}';

# a pause that no machine is too slow for

our $long = $flood =~ s/ 1\b/ 60/gr;

# what nginx answers in the place of the Bot API

our $busy = qr/\A\{"ok":false,"error_code":429,"description":"Too\ Many
    \ Requests:\ retry\ after\ (\d+)","parameters":\{"retry_after":\1\}\}\z/x;
our $true = qr/"ok":true/;
our $told = qr/retry after 60"\}/;

our $update = "POST /tg\n" . '{"update_id":9,"message":{"message_id":2,'
    . '"date":1700000000,"chat":{"id":7,"type":"private"},'
    . '"from":{"id":8,"is_bot":false,"first_name":"Ann"},"text":"hi"}}';


sub call {
    my ($method, $chat, $text) = @_;

    $chat = qq("$chat") if $chat && $chat =~ /^\@/;

    return "POST /bot/$method\n"
           . ($chat ? qq({"chat_id":$chat,"text":"$text"}) : '{"x":1}');
}


sub sends {
    return [ map { call('sendMessage', 7, $_) } @_ ];
}


sub sent {
    return join '', map { qq(sendMessage {"chat_id":7,"text":"$_"}\n) } @_;
}


sub start {
    my ($change) = @_;

    TgbotTest::start();

    add_block_preprocessor(sub {
        my $block = shift;

        $change->($block) if $change;

        my $gateway = $block->gateway // '';

        $block->set_value('server', ($block->server // '') . <<"_EOC_");
tgbot_retry_on http_5xx error;
location /bot/ {
    tgbot_gateway \$bot $gateway;
}
_EOC_

        $block->set_value('program', '200 {"method":"sendMessage","text":"hi"}')
            unless defined $block->program;

        # the webhook takes no request without it

        $block->set_value('more_headers', "Content-Type: application/json\n"
                          . "X-Telegram-Bot-Api-Secret-Token: sekret\n"
                          . ($block->header // ''));
    });
}


1;
