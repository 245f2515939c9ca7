package TgbotLimit;

# What the suites about tgbot_limit have in common, on top of TgbotSteps.

use strict;
use warnings;

use Exporter qw(import);

use TgbotSteps;

our @EXPORT = qw($said $notice post photo other member decisions);

# an update with an id of its own; "user" is in a private chat, unless there is
# a "chat"

sub post {
    my (%of) = @_;

    return "POST /" . ($of{bot} // 'b') . "\n" . update(%of);
}

# one of an album

sub photo {
    my ($album, %of) = @_;

    return post(%of) =~ s/"text":/"media_group_id":"$album","text":/r;
}

# an update of another type, from user 7

sub other {
    my ($type, $more) = @_;

    $more = $more ? ",$more" : '';

    return "POST /b\n{\"update_id\":" . ++$id . ",\"$type\":{\"id\":\"5\","
           . "\"from\":{\"id\":7,\"first_name\":\"Ann\"}$more}}";
}

sub member {
    return other($_[0], '"chat":{"id":7,"type":"private"},"date":1700000000,'
                        . '"old_chat_member":{"status":"member"},'
                        . '"new_chat_member":{"status":"kicked"}');
}

# what the program says, and what a limit does

our $said = '{"method":"sendMessage","chat_id":7,"text":"x"}';
our $notice = '{"chat_id":7,"method":"sendMessage","text":"Not so fast"}';

# a pattern for what the status says of decisions, by the limit's zone

sub decisions {
    my (%zones) = @_;

    my $all = '"limit_decisions_total":\{(?:"\w+":\{[^{}]*\},)*';
    my $pattern = '';

    for my $zone (sort keys %zones) {
        my $counts = $zones{$zone};

        $pattern .= "(?=.*$all\"$zone\":\\{[^{}]*\"$_\":$counts->{$_}\\b)"
            for sort keys %$counts;
    }

    return $pattern;
}


1;
