package TgbotDedup;

# What the suites about tgbot_dedup have in common, on top of TgbotSteps.

use strict;
use warnings;

use Exporter qw(import);
use Test::More;
use Time::HiRes qw(time sleep);

use TgbotSteps;

our @EXPORT = qw($api post said long seen_like fetch settled told header_of);

our $api = 'tgbot_token_file $TEST_NGINX_TOKEN_FILE;
            tgbot_api /_api/json/%7B%22ok%22:true%7D;';

sub post {
    my ($id, $text, $bot) = @_;

    return "POST /" . ($bot // 'b') . "\n" . update(id => $id, text => $text);
}

sub said { "{\"method\":\"sendMessage\",\"chat_id\":7,\"text\":\"$_[0]\"}" }

# what the program says, that with its type takes so many bytes

sub long { 'y' x ($_[0] - length(said('')) - length('application/json')) }

# a pattern for what /seen tells of these paths

sub seen_like { '^' . join('', map { "/\Q$_\E [^\\n]*\\n" } @_) . '$' }


# steps

sub fetch {
    my ($id, $text, $bot) = @_;

    return end(begin(id => $id, text => $text, bot => $bot));
}

# the answer once the update is no longer in work

sub settled {
    my @of = @_;
    my $end = time + 10 * $slowness;
    my $answer;

    do {
        $answer = fetch(@of);
    } while ($answer =~ /^X-Verdict: busy/m && time < $end && sleep 0.1);

    return $answer;
}

sub told {
    my ($answer, $verdict, $pattern) = @_;

    check($answer, $verdict);
    like($answer, qr/$pattern/s, $block->name . " - answer") if $pattern;
}

sub header_of {
    my ($answer, $name) = @_;

    return $answer =~ /^\Q$name\E: ([^\r\n]*)/m ? $1 : undef;
}


1;
