package TgbotLogged;

# Blocks of one request with --- grep_error_log wait until error.log has as many
# lines as they expect, and those with --- error_log or --- access_log until
# that file has each of these, in place of a time: nginx writes some lines after
# the response.
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
            if !ref $block->request && !defined $block->pipelined_requests
               && grep { defined } $block->grep_error_log, $block->error_log,
                                   $block->access_log;
    });
}


# false: then there is none

sub appear {
    my ($self) = @_;

    my $block = $self->{block};
    my ($errors, $accesses) = ($Test::Nginx::Util::ErrLogFile,
                               $Test::Nginx::Util::AccLogFile);
    my @wanted = (patterns($errors, $block->error_log),
                  patterns($accesses, $block->access_log));

    if (defined $block->grep_error_log) {
        my $n = () = $block->grep_error_log_out =~ /\n/g;

        push @wanted, map { [ @$_[0, 1], $n ] }
                          patterns($errors, $block->grep_error_log);
    }

    my $end = time + $patience;

    while (@wanted && time < $end) {
        my %lines = map { $_->[0] => [] } @wanted;

        for my $file (keys %lines) {
            open my $in, '<', $file or next;
            $lines{$file} = [ <$in> ];
        }

        @wanted = grep {
            my ($file, $of, $n) = @$_;
            $n > grep { /$of/ } @{$lines{$file}}
        } @wanted;

        sleep 0.02 if @wanted;
    }

    return '';
}


# what a section wants of a file: its text or pattern, or an array of these

sub patterns {
    my ($file, $lines) = @_;

    return if !defined $lines;

    my @lines = ref $lines eq 'ARRAY' ? @$lines
                : ref $lines ? $lines : split /\n+/, $lines;

    return map { [ $file, ref $_ ? $_ : qr/\Q$_\E/, 1 ] } @lines;
}


1;
