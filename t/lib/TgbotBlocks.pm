package TgbotBlocks;

# Runs blocks of another suite, changed, besides those of this one.
#
#   TgbotBlocks::add('t/070-dedup.t', sub { ... });
#
# The function gets the text of each block in $_, may change it, and returns
# whether the block is run.  Called before run_tests().

use strict;
use warnings;

use Test::Nginx::Socket ();


sub add {
    my ($suite, $change) = @_;

    open my $file, '<', $suite or die "$suite: $!\n";
    my $text = do { local $/; <$file> };

    my ($number) = (0);
    my @blocks = grep { $change->() } split /^(?==== )/m,
                                      $text =~ s/^.*?\n__DATA__\n+//sr;

    my $own = do { no warnings 'once'; local $/; <main::DATA> };

    # a name that stands twice would be that of another block

    s/^=== TEST \d+/'=== TEST ' . ++$number/e
        for @blocks, my @more = split /^(?==== )/m, $own =~ s/^\n+//r;

    Test::Base::spec_string(join "\n\n\n", map { s/\n+\z/\n/r } @blocks, @more);
}


1;
