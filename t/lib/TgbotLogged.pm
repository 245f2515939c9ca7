package TgbotLogged;

# Blocks with --- grep_error_log wait until error.log has as many lines as they
# expect, and blocks of one request with --- error_log until it has each of
# these, in place of a time:
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
            if defined $block->grep_error_log
               || (defined $block->error_log && !ref $block->request
                   && !defined $block->pipelined_requests);
    });
}


# false: then there is none

sub appear {
    my ($self) = @_;

    my $block = $self->{block};
    my @wanted;

    if (defined $block->grep_error_log) {
        my $text = $block->grep_error_log;
        my $n = () = $block->grep_error_log_out =~ /\n/g;

        push @wanted, [ $n, qr/\Q$text\E/ ];
    }

    if (defined(my $lines = $block->error_log)) {
        push @wanted, map { [ 1, ref $_ ? $_ : qr/\Q$_\E/ ] }
                          ref $lines eq 'ARRAY' ? @$lines
                          : ref $lines ? $lines
                          : grep { length } split /\n/, $lines;
    }

    my $end = time + $patience;

    while (@wanted && time < $end) {
        open my $in, '<', $Test::Nginx::Util::ErrLogFile or die "no log: $!\n";
        my @lines = <$in>;

        @wanted = grep { my ($n, $of) = @$_; $n > grep { /$of/ } @lines }
                  @wanted;

        sleep 0.02 if @wanted;
    }

    return '';
}


1;
