package TgbotTest;

# What the tests of calls have in common, on top of Test::Nginx::Socket: a bot
# of its own for each block, with a mock for its program and for the Bot API.
#
#   --- program     what the program answers, a line (or, with eval, an element
#   --- api         of an array) per request; for the syntax see TgbotMock.pm
#   --- update      the Update; "update_id":0 in it gets an id of its own
#   --- updates     so many of them, one after the other; default 1
#
#   --- bot         directives for the webhook's location
#   --- server      directives for the server
#   --- program_location
#   --- api_location    directives for these, besides proxy_pass or instead
#   --- without_api     there is no tgbot_api
#
# In those four, $bot, $token and $closed (a port) stand for the block's own;
# in the scripts, in --- request and in --- calls $token does.
#
#   --- calls       all calls the Bot API got, "method body" each; CR and LF
#                   in a body show as \r and \n
#   --- calls_like
#   --- gaps        seconds that passed at least between one and the next
#   --- program_like, api_like, api_unlike
#                   (arrays of) patterns for the requests, as they came
#   --- patience    seconds to wait for those calls and lines; default 10
#   --- log         "N text": so many lines of this bot in the error log, that
#                   are not for debugging, have this text; "N+": or more
#
# All are checked once the last response is there, waiting for what may come
# later; and for all blocks it is checked that calls come one after the other,
# that nobody but the Bot API got or logged the token, and nobody but the
# program the secret.

use strict;
use warnings;

use Test::More;
use Test::Nginx::Util;
use Time::HiRes qw(time sleep);

use TgbotMock;

my $patience = 10;

my $secret = 'sekret';
my $blocks = 0;
my ($mock, %now);

my $message = '{"update_id":0,"message":{"message_id":2,"date":1700000000,'
    . '"chat":{"id":7,"type":"private"},'
    . '"from":{"id":8,"is_bot":false,"first_name":"Ann"},"text":"hi"}}';


sub start {
    $mock = TgbotMock->start;

    Test::Nginx::Util::add_block_preprocessor(\&prepare);
    Test::Nginx::Socket::add_response_body_check(\&check);
    Test::Nginx::Util::add_cleanup_handler(sub { $mock->stop });

    Test::Nginx::Util::timeout($patience);
}


sub section {
    my ($block, $name, $default) = @_;

    my $value = $block->$name;

    return defined $value ? $value : $default;
}


sub script {
    my $text = shift;

    return ref $text ? $text : [ grep { length } split /\n/, $text ];
}


sub prepare {
    my $block = shift;

    my $n = ++$blocks;
    my $bot = "bot$$-$n";
    my $token = "$n:AA_token-of-$$-$n";

    my @scripts = map { [ map { s/\$token\b/$token/gr }
                              @{script(section($block, $_, ''))} ] }
                      qw(program api);

    my $session = $mock->session($bot, $token, @scripts);

    my $updates = section($block, 'updates', 1);
    my $update = section($block, 'update', $message) =~ s/\n+\z//r;
    my (@requests, @ids);

    for (1 .. $updates) {
        push @ids, $n * 1000 + $_;
        push @requests, "POST /tg\n"
                        . $update =~ s/"update_id":0/"update_id":$ids[-1]/r;
    }

    %now = (bot => $bot, token => $token, last => $updates - 1,
            ids => \@ids, updates => [ map { s/^.*\n//r } @requests ]);

    my %vars = (bot => $bot, token => $token, closed => $session->{closed});

    if (!defined $block->request) {
        $block->set_value('request', $updates > 1 ? \@requests : @requests);

    } else {
        my $given = $block->request;
        my @given = map { s/\$token\b/$token/gr } ref $given ? @$given : $given;

        $now{last} = $#given;
        $block->set_value('request', ref $given ? \@given : @given);
    }

    $block->set_value('config', config($block, \%vars));
    $block->set_value('http_config', section($block, 'http_config', '')
                                     . http_config());

    # which tells that token and secret stand in the configuration

    $block->set_value('suppress_stderr', 1);

    for (qw(no_error_log no_shutdown_error_log)) {
        $block->set_value($_, "[alert]\n[crit]\n[emerg]")
            unless defined $block->$_;
    }

    if (!defined $block->more_headers) {
        $block->set_value('more_headers',
                          "Content-Type: application/json\n"
                          . "X-Telegram-Bot-Api-Secret-Token: $secret");
    }
}


sub config {
    my ($block, $vars) = @_;

    my %part = map { $_ => section($block, $_, '') }
                   qw(bot server program_location api_location);

    for (values %part) {
        s/\$(bot|token|closed)\b/$vars->{$1}/g;
    }

    my %default = (
        tgbot_token        => $vars->{token},
        tgbot_secret_token => $secret,
        tgbot_handler      => '/_program',
        tgbot_api          => '/_api',
    );

    delete $default{tgbot_api} if defined $block->without_api;

    my $bot = join '', map { "$_ $default{$_};\n" }
                       grep { $part{bot} !~ /\b$_\s/ } sort keys %default;

    my $program = location('http://program', $part{program_location});
    my $api = location('http://bot_api$tgbot_api_uri', $part{api_location});

    return <<"_EOC_";
$part{server}
location = /tg {
    tgbot_webhook $vars->{bot};
$bot
$part{bot}
    add_header X-Verdict \$tgbot_verdict always;
}
location = /_program {
$program
}
location = /_api {
$api
}
_EOC_
}


sub location {
    my ($url, $text) = @_;

    $text = "proxy_pass $url;\n$text"
        unless $text =~ /\b(?:proxy_pass|return|root)\b/;
    $text = "internal;\n$text" unless $text =~ /external/;

    return $text . <<'_EOC_';
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_next_upstream off;
_EOC_
}


sub http_config {
    my $port = $mock->port;

    return <<"_EOC_";
upstream program {
    server 127.0.0.1:$port;
    keepalive 8;
}
upstream bot_api {
    server 127.0.0.1:$port;
    keepalive 8;
}
_EOC_
}


# the checks

sub check {
    my ($block, $body, $index, $repeated, $dry_run) = @_;

    return if $index < $now{last} || $dry_run;

    my $name = $block->name;

    my $calls = section($block, 'calls', undef);
    $calls = join '', map { "$_\n" } @$calls if ref $calls;
    $calls =~ s/\$token\b/$now{token}/g if defined $calls;

    my $seconds = section($block, 'patience', $patience);
    my $n = defined $calls ? ($calls =~ tr/\n//) : 0;

    $mock->requests($now{token}, $n, $seconds) if $n;

    check_log($block, $seconds);

    # what is not expected has a chance to come

    sleep 0.1;

    my $requests = $mock->requests($now{token}, 0, $patience);
    my $api = $requests->{api};

    my $got = join '', map { call_of($_) } @$api;

    is($got, $calls, "$name - calls of the Bot API") if defined $calls;

    if (defined(my $like = section($block, 'calls_like', undef))) {
        like($got, $like, "$name - calls of the Bot API");
    }

    check_times($block, $api);

    patterns($block, 'program_like', 1, $requests->{program});
    patterns($block, 'api_like', 1, $api);
    patterns($block, 'api_unlike', 0, $api);

    check_secrecy($name, $requests);

    is(scalar @{$mock->strays}, 0, "$name - no request of an unknown bot");
}


sub call_of {
    my $request = shift;

    my $path = "/bot$now{token}/";
    my $what = $request->{head} =~ s/\r\n.*//sr;

    if ($what =~ m{^POST \Q$path\E(.*) HTTP/1\.1$}) {
        $what = $1;
    }

    my %shown = ("\r" => '\r', "\n" => '\n');

    return "$what " . $request->{body} =~ s/([\r\n])/$shown{$1}/gr . "\n";
}


sub check_times {
    my ($block, $api) = @_;

    my $name = $block->name;
    my @gaps = split ' ', section($block, 'gaps', '');
    my $overlap = 0;

    for my $i (1 .. $#$api) {
        my $answered = $api->[$i - 1]{answered};

        if (!defined $answered) {
            $answered = $api->[$i - 1]{at};

        } elsif ($answered > $api->[$i]{at}) {
            $overlap = 1;
        }

        if (defined(my $gap = $gaps[$i - 1])) {

            # nginx's clock stands still while it works

            cmp_ok($api->[$i]{at} - $answered, '>=', $gap - 0.1,
                   "$name - call $i is followed after $gap s");
        }
    }

    # updates that come one after the other have their own order

    ok(!$overlap, "$name - one call after the other");
}


sub patterns {
    my ($block, $section, $positive, $requests) = @_;

    my $patterns = section($block, $section, undef);
    return unless defined $patterns;

    my $text = join "\n", map { "$_->{head}\r\n\r\n$_->{body}" } @$requests;

    for my $pattern (ref $patterns eq 'ARRAY' ? @$patterns : $patterns) {
        $pattern = $pattern->() if ref $pattern eq 'CODE';

        if ($positive) {
            like($text, $pattern, $block->name . " - $section");
        } else {
            unlike($text, $pattern, $block->name . " - $section");
        }
    }
}


sub lines_of {
    my $file = shift;

    open my $in, '<', $file or return;

    # a dump of headers goes on for some lines

    my $debug;

    return grep { $debug = /\[debug\]/ if /^\d{4}\/\d\d\/\d\d / || /^\S+ - /;
                  !$debug } <$in>;
}


sub check_log {
    my ($block, $seconds) = @_;

    my $name = $block->name;
    my @wanted = map { [ /^(\d+)(\+?) (\[\w+\]|) ?(.*)$/ ] }
                 split /\n/, section($block, 'log', '');

    my $end = time + $seconds;
    my (@counts, $missing);

    do {
        sleep 0.02 if $missing;

        my @lines = grep { /"\Q$now{bot}\E"/ }
                    lines_of($Test::Nginx::Util::ErrLogFile);

        @counts = map { my (undef, undef, $level, $text) = @$_;
                        scalar grep { /\Q$level\E.*\Q$text\E/ } @lines }
                  @wanted;
        $missing = grep { $counts[$_] < $wanted[$_][0] } 0 .. $#wanted;

    } while ($missing && time < $end);

    for my $i (0 .. $#wanted) {
        my ($n, $more, $level, $text) = @{$wanted[$i]};

        cmp_ok($counts[$i], $more ? '>=' : '==', $n,
               "$name - log $level\"$text\"");
    }
}


sub check_secrecy {
    my ($name, $requests) = @_;

    my @logged = grep { /AA_token-of|\Q$secret\E/ }
                 map { lines_of($_) } $Test::Nginx::Util::ErrLogFile,
                                      $Test::Nginx::Util::AccLogFile;

    is(join('', @logged), '', "$name - neither token nor secret in a log");

    my $token = grep { "$_->{head}\n$_->{body}" =~ /AA_token-of/ }
                @{$requests->{program}};

    is($token, 0, "$name - no token for the program");

    my $own = grep { $_->{head} =~ /^X-T(?:gbot|elegram)-|\Q$secret\E/mi }
              @{$requests->{api}};

    is($own, 0, "$name - no secret and no header of ours for the Bot API");
}


# for sections with eval

sub update { $now{updates}[$_[0] // 0] }
sub update_id { $now{ids}[$_[0] // 0] }
sub bot { $now{bot} }


1;
