package TgbotDead;

# What the suites about dead letters have in common, on top of TgbotSteps.
#
# In a zone ids count from 1.  A suite whose ids are others tells them:
#
#   TgbotDead::number(sub { ... })   returns all ids there are
#
# and they are 1, 2, ... in the order in which steps have seen them, in steps
# and in paths.

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP;

use TgbotSteps;

our @EXPORT = qw($mended $stalls touch mend give_up answer change letters);

# a program that fails until it is mended

our $mended = <<'_EOC_';
    location = /_mended {
        internal;
        root html;
        set $step status/500;

        if (-f $document_root/mended) {
            set $step say/x;
        }

        proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/$step;
    }
_EOC_

# and one that answers nothing in between

our $stalls = <<'_EOC_';
    location = /_step {
        internal;
        root html;
        set $step status/500;

        if (-f $document_root/stalls) {
            set $step stall;
        }

        if (-f $document_root/mended) {
            set $step say/x;
        }

        proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/$step;
    }
_EOC_

my ($all, @ids, %number);


sub number { $all = shift }

sub forget { (@ids, %number) = () }

sub look {
    return if !$all;

    # there may be no Redis

    for (sort { $a <=> $b } eval { $all->() }) {
        $number{$_} //= push @ids, $_;
    }
}

sub real { $ids[$_[0] - 1] // $_[0] }


# called with the path of each request

$TgbotSteps::path = sub {
    my ($path) = @_;

    if ($all && $path =~ m{/dead/}) {
        look();
        $path =~ s{(/dead/\w+/)([1-9]\d*)\b}{$1 . real($2)}e;
        $path =~ s{(\bafter=)([1-9]\d*)\b}{$1 . real($2)}e;
    }

    return $path;
};


sub touch {
    my ($file) = @_;

    open my $out, '>', "$Test::Nginx::Util::HtmlDir/$file"
        or die "cannot make $file: $!\n";
    close $out;
}

sub mend {
    touch('mended');
}


# steps

# delivers an update as often as it takes to be given up

sub give_up {
    my (%of) = @_;

    $of{id} //= ++$id;

    check(end(begin(%of)), 'failed');
    check(end(begin(%of)), 'dead', '');
    look();
}

# an answer of the status: its HTTP status, and its JSON

sub answer {
    my ($status, undef, $body) = get(@_);

    return $status, $body ? decode_json($body) : undef;
}

sub change {
    my ($method, $uri, $action, @headers) = @_;

    push @headers, "X-Tgbot-Action: $action" if $action;

    return answer($uri, \@headers, $method);
}

# the letters of a bot, as "id cause ..."

sub letters {
    my ($want, $bot, $query) = @_;

    becomes($want, 'letters', sub {
        look();

        my (undef, $json) = answer('/status/dead/' . ($bot // 'b')
                                   . ($query // ''));

        return CORE::join ', ', map { ($number{$_->{id}} // $_->{id})
                                      . " $_->{cause}" }
                                @{$json->{letters} // []};
    });
}


1;
