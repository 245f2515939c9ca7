package TgbotHarness;

# A harness for prove that tells at the end which tests failed, by file, number
# and title: what prove itself says of them are numbers, and what the tests say
# comes from several files at once.
#
#   PERL5LIB=t/lib prove --harness TgbotHarness ...
#
# Each line begins with "failed: ", by which "dev test" finds it.

use strict;
use warnings;

use parent qw(TAP::Harness);


sub new {
    my $self = shift->SUPER::new(@_);

    my @failed;

    $self->callback(made_parser => sub {
        my ($parser, $job) = @_;

        $parser->callback(test => sub {
            my ($test) = @_;

            return if $test->is_ok;

            # titles of Test::Nginx have the file in them

            push @failed, join ' ', $job->[0], $test->number,
                                    $test->description =~ s/\Q$job->[0]\E //r;
        });
    });

    # a file that ended early, or whose plan does not hold

    $self->callback(after_test => sub {
        my ($job, $parser) = @_;

        return if $parser->failed || !$parser->has_problems;

        push @failed, join ', ', "$job->[0] - exit status " . $parser->exit,
                                 $parser->parse_errors;
    });

    $self->callback(after_runtests => sub {
        print "failed: $_\n" for @failed;
    });

    return $self;
}


1;
