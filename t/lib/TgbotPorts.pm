package TgbotPorts;

# Test::Nginx takes the ports of its servers from all of them.  Those from 32768
# on (net.ipv4.ip_local_port_range) the kernel gives to connections, also to
# those of the tests that run beside: nginx cannot listen on such a port then.
#
#   PERL5OPT=-MTgbotPorts prove ...

use strict;
use warnings;

# it draws one of the blocks of four ports from 1988 on, by the rand() of its
# package; what else it draws is smaller
my $blocks = int((32768 - 1988) / 4);

sub below {
    my ($number) = @_;

    return CORE::rand($number < $blocks ? $number : $blocks);
}

# an imported function takes the place of the built-in one
BEGIN {
    no warnings 'once';
    *Test::Nginx::Util::rand = \&below;
}


1;
