# Histograms, times, and what else tgbot_status tells of metrics.
#
#   --- then      steps, in Perl

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotProgram;

use IO::Socket::INET;
use JSON::PP;
use Time::HiRes qw(time sleep);

our ($block, $id);

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value("init", "TgbotProgram::forget();");

    for (qw(no_error_log no_shutdown_error_log)) {
        $block->set_value($_, "[alert]\n[crit]\n[emerg]")
            unless defined $block->$_;
    }

    $block->set_value("request", "GET /idle") unless defined $block->request;

    $block->set_value("http_config", ($block->http_config // '') . <<'_EOC_');
    tgbot_secret_token  off;
_EOC_

    $block->set_value("config", ($block->config // '') . <<"_EOC_");
    location = /idle {
        return 200;
    }

    location /status {
        tgbot_status;
    }

    location /_program/ {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/;
    }

    location /_api/ {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/;
    }
_EOC_
});

TgbotProgram::start($Test::Nginx::Util::PidFile);

Test::Nginx::Socket::add_response_body_check(sub {
    my ($of, $body, $index, $repeated, $dry_run) = @_;

    return if $dry_run || !defined $of->then;

    ($block, $id) = ($of, 0);

    eval "package main; " . $of->then . "; 1"
        or fail($of->name . " - steps: $@");
});


# a webhook /NAME, whose program does what the text of a message says

sub bot {
    my ($name, $directives) = @_;

    $directives //= '';

    my $handler = $directives =~ /tgbot_handler/
                  ? '' : 'tgbot_handler /_program/$tgbot_text;';

    return <<"_EOC_";
    location = /$name {
        tgbot_webhook  $name;
        $handler
        $directives

        add_header  X-Verdict  \$tgbot_verdict  always;
    }
_EOC_
}


# steps

sub begin {
    my ($method, $uri, $headers, $body) = @_;

    my $socket = IO::Socket::INET->new(
                     PeerAddr => '127.0.0.1',
                     PeerPort => $Test::Nginx::Util::ServerPortForClient,
                     Timeout => 30)
        or die "cannot connect: $!\n";

    my $length = length $body;

    print $socket "$method $uri HTTP/1.1\r\nHost: localhost\r\n"
                  . "Connection: close\r\nContent-Length: $length\r\n"
                  . CORE::join('', map { "$_\r\n" } @$headers) . "\r\n$body";
    $socket->flush;

    return $socket;
}

sub end {
    my $socket = shift;

    local $/;
    my $answer = <$socket>;
    close $socket;

    return $answer // '';
}

sub update {
    my (%of) = @_;

    return encode_json({
        update_id => $of{id} // ++$id,
        message => {
            message_id => 2,
            date => time,
            chat => { id => $of{chat} // 7, type => 'private' },
            from => { id => 7, first_name => 'Ann' },
            text => $of{text} // 'say/x',
        },
    });
}

sub beginning {
    my ($bot, %of) = @_;

    return begin('POST', "/$bot", [ 'Content-Type: application/json' ],
                 $of{body} // update(%of));
}

# delivers an update and expects a verdict

sub deliver {
    my ($verdict, $bot, %of) = @_;

    my ($got) = end(beginning($bot, %of)) =~ /^X-Verdict: (\w+)/m;

    is($got, $verdict, $block->name . " - verdict");
}

# an answer of the status: its HTTP status, headers and body

sub get {
    my ($uri, $headers, $method) = @_;

    my ($head, $body) = split /\r\n\r\n/,
                        end(begin($method // 'GET', $uri, $headers // [],
                                  '')), 2;

    return ($head =~ m{^HTTP/1\.1 (\d+)})[0], $head, $body;
}

sub status {
    return decode_json((get('/status'))[2]);
}

sub until_status {
    my ($want) = @_;

    my $end = time + 10;
    my $status;

    do {
        sleep 0.05 if $status;
        $status = status();
    } until ($want->($status) || time > $end);

    return $status;
}

# what there is in the buckets of a histogram, each by itself

sub buckets {
    my ($histogram) = @_;

    my %buckets = %{$histogram->{buckets}};
    my ($before, @got) = 0;

    for my $le (sort { $a <=> $b } grep { $_ ne '+Inf' } keys %buckets) {
        push @got, "$le=" . ($buckets{$le} - $before)
            if $buckets{$le} != $before;
        $before = $buckets{$le};
    }

    push @got, "+Inf=" . ($buckets{'+Inf'} - $before)
        if $buckets{'+Inf'} != $before;

    is($buckets{'+Inf'}, $histogram->{count}, $block->name . " - count");

    return "@got";
}


master_on();
workers(2);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: how long updates and calls of the program take
--- config eval: main::bot('b') . main::bot('none', 'tgbot_handler off;')
--- then
deliver('done', 'b', text => "sleep/0.7/say/$_") for 1 .. 2;
deliver('failed', 'b', text => 'sleep/0.3/status/500');
deliver('rejected', 'b', body => '{') for 1 .. 3;
deliver('ignored', 'none');

my $bots = status()->{bots};

is(buckets($bots->{b}{update_duration_seconds}), '0.001=3 0.5=1 1=2',
   'deliveries');
is(buckets($bots->{b}{handler_duration_seconds}), '0.5=1 1=2', 'calls');

for (qw(update_duration_seconds handler_duration_seconds)) {
    cmp_ok($bots->{b}{$_}{sum}, '>', 1.69, "sum of $_");
    cmp_ok($bots->{b}{$_}{sum}, '<', 2.5, "sum of $_");
}

is($bots->{none}{update_duration_seconds}{count}, 1, 'ignored');
is($bots->{none}{handler_duration_seconds}{count}, 0, 'not called');
is(CORE::join(' ', sort { $a <=> $b }
                   keys %{$bots->{b}{update_duration_seconds}{buckets}}),
   '0.001 0.002 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 2 5 10 30 60 +Inf',
   'bounds');



=== TEST 2: a call of the program that is aborted, and one in a queue
--- config eval
main::bot('b', 'tgbot_hold_timeout 300ms;')
. main::bot('q', 'tgbot_queue zone=updates:4m;')
--- then
deliver('busy', 'b', text => 'sleep/0.7/say/x');
deliver('queued', 'q', text => 'sleep/0.3/say/x');

my $bots = until_status(sub {
    my $bots = $_[0]{bots};
    return !grep { $bots->{$_}{calls_inflight}{handler} } qw(b q);
})->{bots};

is(buckets($bots->{b}{update_duration_seconds}), '0.5=1', 'held');
is(buckets($bots->{b}{handler_duration_seconds}), '1=1', 'called');
is(buckets($bots->{q}{handler_duration_seconds}), '0.5=1', 'called');
cmp_ok($bots->{q}{update_duration_seconds}{sum}, '<', 0.1, 'not held');



=== TEST 3: the time of the last update
--- config eval: main::bot('b') . main::bot('c')
--- then
is(status()->{bots}{b}{last_update_timestamp_seconds}, 0, 'none yet');

deliver('rejected', 'b', body => '{');
is(status()->{bots}{b}{last_update_timestamp_seconds}, 0, 'that was none');

deliver('done', 'b');
my $bots = status()->{bots};
cmp_ok(abs($bots->{b}{last_update_timestamp_seconds} - time), '<', 5, 'now');
is($bots->{c}{last_update_timestamp_seconds}, 0, 'of another bot');



=== TEST 4: a refused token
--- config eval
main::bot('b', 'tgbot_token 1:TOKEN; tgbot_api /_api/status/401;')
. main::bot('c', 'tgbot_token 2:TOKEN; tgbot_api /_api/say/x;')
--- then
my $held = beginning('b');

my $bots = until_status(sub { $_[0]{bots}{b}{unauthorized_workers} })->{bots};

is($bots->{b}{unauthorized_workers}, 1, 'one of the workers knows');
is($bots->{c}{unauthorized_workers}, 0, 'of another bot');
close $held;



=== TEST 5: bytes of zones
--- config eval
main::bot('b', 'tgbot_limit $tgbot_chat_id zone=one:1m rate=1r/m burst=9;
                tgbot_queue zone=updates:4m; tgbot_attempts 9 backoff=1m max_backoff=1m;')
--- then
deliver('queued', 'b', text => 'status/500');

my $zones = until_status(sub {
    $_[0]{bots}{b}{queue_depth}{delayed}
})->{zones};

for (sort keys %$zones) {
    my ($zone, $bytes) = ($zones->{$_}, $zones->{$_}{zone_bytes});

    is($bytes->{used} + $bytes->{free}, $zone->{size}, "$_ - sum");
    is($bytes->{used}, $zone->{total}
                       ? int($zone->{size} * $zone->{used} / $zone->{total})
                       : $zone->{size}, "$_ - used");
}

cmp_ok($zones->{$_}{zone_bytes}{used}, '>', 0, $_) for qw(one updates);
cmp_ok($zones->{$_}{zone_bytes}{free}, '>', 0, $_) for qw(one updates);
is($zones->{tgbot_slots}{zone_bytes}{free}, 0, 'slots');



=== TEST 6: updates of a bot that has another token, which nobody works on
--- config eval
main::bot('a', 'tgbot_queue zone=updates:4m; tgbot_token_file $TEST_NGINX_SERVER_ROOT/html/token;
                tgbot_api /_api/say/x;')
. main::bot('b', 'tgbot_queue zone=updates;')
. main::bot('c', 'tgbot_queue zone=others:4m;')
--- user_files
>>> token
1:TOKEN
--- then
deliver('queued', 'a', text => 'sleep/2/say/x', chat => $_)
    for 1 .. 2;
until_status(sub { $_[0]{bots}{a}{queue_depth}{inflight} == 2 });
is(status()->{bots}{$_}{queue_depth}{orphaned}, 0, "none of $_") for qw(a b c);

my $file = "$Test::Nginx::Util::HtmlDir/token";
open my $out, ">", $file or die "token: $!\n";
print $out "2:TOKEN\n";
close $out;

TgbotProgram::signal('HUP');

# an old worker that still answers knows them by the old token

my $status = until_status(sub {
    $_[0]{zones}{updates}{orphaned}
    && !$_[0]{bots}{a}{queue_depth}{inflight}
});
my $bots = $status->{bots};

is($status->{zones}{updates}{orphaned}, 2, 'in the zone');
is(CORE::join(' ', map { $bots->{$_}{queue_depth}{orphaned} } qw(a b c)),
   '2 0 0', 'with the first bot of the zone');
is($bots->{a}{queue_depth}{inflight}, 0, 'not those of the name');
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]
