package TgbotQueue;

# What the suites about tgbot_queue have in common, on top of TgbotSteps.

use strict;
use warnings;

use Exporter qw(import);

use TgbotSteps;

our @EXPORT = qw($third enqueue depth);

our $third = <<'_EOC_';
    # fails at the first two attempts, the third one has what is asked for
    map "$tgbot_attempts:$tgbot_text" $third {
        volatile;
        "~^[12]:"     status/500;
        "~^\d+:(.*)"  $1;
    }
_EOC_


# steps

# puts an update in the queue

sub enqueue {
    check(end(begin(@_)), 'queued', '');
}

# what there is in the queue of a bot, and what became of the rest

sub depth {
    my ($want, $bot) = @_;

    becomes($want, 'depth', sub {
        my $of = status()->{bots}{$bot // 'b'};
        my %n = (%{$of->{queue_depth}},
                 map { ("$_!" => $of->{queue_items_total}{$_}) }
                     keys %{$of->{queue_items_total}});

        return join ' ', map { "$_=$n{$_}" } grep { $n{$_} }
                               sort keys %n;
    });
}


1;
