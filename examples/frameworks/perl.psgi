# A bot in Perl, as an application of PSGI:
#
#     SECRET=... plackup -E deployment -o 127.0.0.1 -p 9001 perl.psgi

use strict;
use warnings;

use JSON::PP;

# One call, a list of calls, or undef.  A chat_id that is missing is put in by nginx.

sub answer {
    my ($update) = @_;

    my $text = $update->{message}{text} // return;

    if ($text eq '/menu') {
        return [map { { method => 'sendMessage', text => $_ } }
                'We have', 'tea', 'and coffee.'];
    }

    if ($text eq '/fail') {
        die 'on purpose';
    }

    return { method => 'sendMessage', text => "You said: $text" };
}

# who dies in here is answered 500 by the server

sub {
    my ($env) = @_;

    if (($env->{HTTP_X_TELEGRAM_BOT_API_SECRET_TOKEN} // '') ne $ENV{SECRET}) {
        return [401, [], []];
    }

    $env->{'psgi.input'}->read(my $body, $env->{CONTENT_LENGTH});

    my $calls = answer(decode_json($body));

    return [200, ['Content-Type' => 'application/json'],
            [defined $calls ? encode_json($calls) : '']];
};
