package TgbotLogged;

# Blocks with --- grep_error_log wait until error.log has as many lines as they
# expect, in place of a time:
#
#   TgbotLogged::start();

use strict;
use warnings;

use Test::Nginx::Socket ();
use Time::HiRes qw(time sleep);

# Test::Nginx asks whether there is a time to wait for

use overload bool => \&appear;

my $patience = 30;


sub start {
    Test::Nginx::Socket::add_block_preprocessor(sub {
        my ($block) = @_;

        $block->set_value('wait', bless { block => $block })
            if defined $block->grep_error_log;
    });
}


# false: then there is none

sub appear {
    my ($self) = @_;

    my $block = $self->{block};
    my $want = () = $block->grep_error_log_out =~ /\n/g;
    my $text = $block->grep_error_log;
    my $end = time + $patience;

    while (time < $end) {
        open my $in, '<', $Test::Nginx::Util::ErrLogFile or die "no log: $!\n";
        last if grep({ /\Q$text\E/ } <$in>) >= $want;
        sleep 0.02;
    }

    return '';
}


1;
