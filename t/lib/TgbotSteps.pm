package TgbotSteps;

# Tests in steps, on top of Test::Nginx::Socket and TgbotProgram: a block says
# in Perl what follows its request.
#
#   --- then      the steps, run in package main once the first response is
#                 there; $block is the block
#
# A suite starts with what is its own, all of it optional:
#
#   TgbotSteps::start(
#       request => 'GET /status',       of a block that has none
#       status  => 'write=on',          parameters of tgbot_status of /status
#       main    => '...',               directives of nginx.conf
#       http    => '...',               of http, in place of
#                                       "tgbot_secret_token off"
#       webhook => { tgbot_x => ... },  of a webhook that has no tgbot_x: what
#                                       follows the name, or a function that
#                                       gets the bot's name
#       update  => { chat => 8, ... },  what an update is if not told otherwise
#       headers => [ ... ],             the same of its header
#       real_time => 1,                 programs sleep as long as they are told
#                                       under valgrind, too
#       no_error_log => '[error]',      in no block's log, besides graver ones
#       init    => sub { ... },         called before the block's nginx is
#                                       started, after the end of the last one
#       before  => sub { ... },         called before the steps with the body
#                                       of the response
#       after   => sub { ... });        called after them
#
# In a block's configuration /_program/PATH and /_api/PATH are TgbotProgram,
# which does what PATH says; nothing listens at /_closed; /seen tells what
# TgbotProgram was asked, /do/PATH lets a request of the test do steps there.
#
# Every check has the block's name in its own.  A step that waits for something
# gives up, and fails, after $patience seconds.

use strict;
use warnings;

use Exporter qw(import);
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Test::Nginx::Socket ();
use Time::HiRes qw(time sleep);

use TgbotProgram;

our @EXPORT = qw($block $id $asked $slowness bot update verdicts
                 request begin end get deliver check held asked asked_any
                 until_asked becomes logged status until_status master
                 workers_of sockets_of reload kill_workers);

# under valgrind programs sleep so many times as long, and so is patience

our $slowness = $ENV{TEST_NGINX_USE_VALGRIND} ? 4 : 1;

my $patience = 30 * $slowness;

my @grave = qw([alert] [crit] [emerg]);

our $block;

# of the last update without one of its own

our $id = 1000;

# what TgbotProgram was asked since asked() was last called, so far as a step
# has looked

our $asked = '';

# a function that gets the path of each request, and returns what is asked for

our $path = sub { $_[0] };

my (%suite, %webhook, %update, @headers);


sub start {
    %suite = @_;

    %webhook = (tgbot_handler => '/_program/$tgbot_text',
                %{$suite{webhook} // {}});
    %update = %{$suite{update} // {}};
    @headers = @{$suite{headers} // ['Content-Type: application/json']};

    Test::Nginx::Socket::add_block_preprocessor(\&prepare);
    Test::Nginx::Socket::add_response_body_check(\&run);

    TgbotProgram::start($Test::Nginx::Util::PidFile,
                        $suite{real_time} ? 1 : $slowness);
}


sub init {
    TgbotProgram::forget();
    $suite{init}->() if $suite{init};
}


sub prepare {
    my $block = shift;

    my $status = $suite{status} // '';
    my $http = $suite{http} // 'tgbot_secret_token off;';

    $block->set_value('post_setup_server_root', 'TgbotSteps::init();');

    default($block, 'no_error_log',
            CORE::join("\n", @grave, $suite{no_error_log} // ()));
    default($block, 'no_shutdown_error_log', CORE::join("\n", @grave));

    default($block, 'more_headers', 'Content-Type: application/json');
    default($block, 'main_config', $suite{main});

    default($block, 'request', $suite{request})
        unless defined $block->pipelined_requests;

    $block->set_value('http_config', ($block->http_config // '') . <<"_EOC_");
    $http

    log_format verdict "verdict \$tgbot_verdict \$status";
_EOC_

    $block->set_value('config', ($block->config // '') . <<"_EOC_");
    location /_program/ {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/;
        proxy_read_timeout 20s;
    }

    location /_api/ {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/;
    }

    location = /_closed {
        internal;
        proxy_pass http://127.0.0.1:\$TEST_NGINX_RAND_PORT_1/;
    }

    location = /seen {
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/seen;
    }

    location /do/ {
        proxy_pass http://127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/;
    }

    location /status {
        tgbot_status $status;
    }
_EOC_
}


sub default {
    my ($block, $section, $value) = @_;

    $block->set_value($section, $value)
        if defined $value && !defined $block->$section;
}


sub run {
    my ($of, $body, $index, $repeated, $dry_run) = @_;

    return if $dry_run || $index;

    ($block, $id, $asked) = ($of, 1000, '');

    $suite{before}->($body) if $suite{before};

    if (defined $block->then) {
        eval 'package main; ' . $block->then . '; 1'
            or fail($block->name . " - steps: $@");
    }

    $suite{after}->() if $suite{after};
}


# for sections with eval

# the location of webhook /NAME ("b"), whose program does what the text of a
# message says

sub bot {
    my ($directives, $name) = @_;

    $directives //= '';
    $name //= 'b';

    for my $directive (sort keys %webhook) {
        next if $directives =~ /$directive/;

        my $value = $webhook{$directive};
        $value = $value->($name) if ref $value;

        $directives = "$directive $value;\n$directives";
    }

    return <<"_EOC_";
    location = /$name {
        tgbot_webhook  $name;
        $directives

        add_header  X-Verdict   \$tgbot_verdict   always;
        add_header  X-Attempts  \$tgbot_attempts  always;
        add_header  X-Worker    \$pid             always;
        access_log  logs/error.log  verdict;
    }
_EOC_
}


sub verdicts { [ map { $_ ? "X-Verdict: $_" : "" } @_ ] }


# the JSON of an update: "id" (or one of its own); of its message "text",
# "chat", "user", "name" and "date", or "more" in place of the text; or all that
# is "in" the update

sub update {
    my %of = (%update, @_);

    my $chat = $of{chat} // $of{user} // 7;
    my $update_id = $of{id} // ++$id;

    my $in = $of{in} // { message => {
        message_id => 2,
        date => int($of{date} // time),
        chat => { id => 0 + $chat,
                  type => $chat < 0 ? 'supergroup' : 'private' },
        from => { id => $of{user} // 9, first_name => $of{name} // 'Ann' },
        $of{more} ? ($of{more} => {}) : (text => $of{text} // 'say/x'),
    } };

    my $json = JSON::PP->new->latin1->canonical->encode($in);

    # the id as it is given, since it need not be a number that Perl has

    return '{' . CORE::join(',', "\"update_id\":$update_id",
                            $json =~ /^\{(.+)\}$/s) . '}';
}


# steps

# sends a request; end() takes the answer, as a whole

sub request {
    my ($method, $uri, $headers, $body) = @_;

    my $socket = IO::Socket::INET->new(
                     PeerAddr => '127.0.0.1',
                     PeerPort => $Test::Nginx::Util::ServerPortForClient,
                     Timeout => 30)
        or die "cannot connect: $!\n";

    my @lines = ('Host: localhost', 'Connection: close', @$headers);
    my $version = '1.1';

    if (grep { /^Host:/ } @$headers) {
        shift @lines;
    }

    # HTTP/1.1 has to have a host

    if (grep { $_ eq 'Host: none' } @lines) {
        @lines = grep { !/^Host:/ } @lines;
        $version = '1.0';
    }

    push @lines, 'Content-Length: ' . length $body if defined $body;

    $uri = $path->($uri);

    print $socket CORE::join("\r\n", "$method $uri HTTP/$version", @lines, '',
                             $body // '');
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


# The answer to a request without a body; in list context its status, its
# header and its body.

sub get {
    my ($uri, $headers, $method) = @_;

    my $answer = end(request($method // 'GET', $uri, $headers // []));

    return $answer if !wantarray;

    my ($head, $body) = split /\r\n\r\n/, $answer, 2;

    return ($head =~ m{^HTTP/1\.1 (\d+)})[0], $head, $body;
}


# sends an update to "bot" (b), as update() says; "key" is $arg_k; or with
# another "method", other "headers", another "body"

sub begin {
    my (%of) = @_;

    return request($of{method} // 'POST',
                   '/' . ($of{bot} // 'b') . '?k=' . ($of{key} // 'k'),
                   $of{headers} // \@headers, $of{body} // update(%of));
}


sub check {
    my ($answer, $verdict, $body) = @_;

    my ($got) = $answer =~ /^X-Verdict: (\w+)/m;
    my $what = $block->name;

    is($got, $verdict, "$what - verdict");

    return if !defined $body;

    my ($of) = $answer =~ /\r\n\r\n(.*)\z/s;

    ref $body ? like($of, $body, "$what - body")
              : is($of, $body, "$what - body");
}


# delivers an update to a bot, expects a verdict, returns the answer

sub deliver {
    my ($verdict, $bot, %of) = @_;

    my $answer = end(begin(bot => $bot, %of));

    check($answer, $verdict);

    return $answer;
}


# sends an update and returns once its program is asked for it

sub held {
    my (%of) = @_;

    $of{id} //= ++$id;

    my $socket = begin(%of);

    until_asked(qr/"update_id":$of{id}\b/);

    return $socket;
}


# waits until there was such a request to TgbotProgram

sub until_asked {
    my ($what) = @_;

    my $end = time + $patience;

    while (1) {
        $asked .= TgbotProgram::seen();
        return if $asked =~ $what;
        last if time > $end;
        sleep 0.02;
    }

    fail($block->name . " - no request that matches $what");
}


# the paths of all requests to TgbotProgram since this was last called, in
# order; those of the Bot API that have X-Method in their path are "api METHOD"

sub asked {
    is(CORE::join("\n", requests(scalar @_)), CORE::join("\n", @_),
       $block->name . " - asked");
}


# the same in any order

sub asked_any {
    is(CORE::join("\n", sort(requests(scalar @_))),
       CORE::join("\n", sort @_), $block->name . " - asked");
}


sub requests {
    my ($n) = @_;

    my $end = time + $patience;
    my @got;

    do {
        sleep 0.02 if @got;
        $asked .= TgbotProgram::seen();
        @got = $asked =~ m{^/(\S*) }mg;
    } while (@got < $n && time < $end);

    $asked = '';

    s{^header/X-Method/(\w+)/.*}{api $1}s for @got;

    return @got;
}


# waits until a function returns what is wanted

sub becomes {
    my ($want, $what, $of) = @_;

    my $end = time + $patience;
    my $got;

    while (1) {
        $got = $of->();
        last if $got eq $want || time > $end;
        sleep 0.02;
    }

    is($got, $want, $block->name . " - $what");
}


# waits until so many lines of error.log have the text, where Angie has the
# client in quotes; "2+": so many or more, where there will be more

sub logged {
    my ($text, $n) = @_;

    my $least = $n =~ s/\+$//;

    becomes($n, "log \"$text\"", sub {
        my $got = grep { s/client: "(.*?)"/client: $1/; /\Q$text\E/ }
                  log_lines();

        return $least && $got > $n ? $n : $got;
    });
}


sub log_lines {
    open my $in, '<', $Test::Nginx::Util::ErrLogFile or die "no log: $!\n";

    return <$in>;
}


sub status {
    return decode_json((get('/status'))[2]);
}


# the status, once it is as wanted; or as it is when patience has an end, which
# is for the block to check

sub until_status {
    my ($want) = @_;

    my $end = time + $patience;
    my $status;

    do {
        sleep 0.02 if $status;
        $status = status();
    } until ($want->($status) || time > $end);

    return $status;
}


sub master {
    open my $in, '<', $Test::Nginx::Util::PidFile or die "no pid file: $!\n";
    chomp(my $pid = <$in>);

    return $pid;
}


# the children of a process, or of the master

sub workers_of {
    my $master = @_ ? $_[0] : master();

    my @workers;

    for my $file (glob '/proc/[0-9]*/stat') {
        open my $stat, '<', $file or next;
        my ($pid, $parent) = (<$stat> // '') =~ /^(\d+) \(.*\) \S (\d+)/
            or next;
        push @workers, $pid if $parent == $master;
    }

    return @workers;
}


# how many sockets a process has

sub sockets_of {
    my ($pid) = @_;

    return scalar grep { (readlink $_ // '') =~ /^socket:/ }
                  glob "/proc/$pid/fd/*";
}


# lets nginx read its configuration again, and waits until the workers of before
# take no more connections

sub reload {
    my @old = workers_of();

    kill HUP => master();

    becomes(0, 'workers of before the reload', sub {
        my @leave = grep { /: gracefully shutting down/ } log_lines();

        return scalar grep {
            my $worker = $_;
            !grep { / $worker#\d+: / } @leave
        } @old;
    });
}


# kills all workers, and waits until the master has others: a process counts as
# alive until its master has waited for it

sub kill_workers {
    my @old = workers_of();

    kill KILL => @old;

    becomes(scalar @old, 'workers after a kill', sub {
        my %now = map { $_ => 1 } workers_of();

        return (grep { $now{$_} } @old) ? 0 : scalar keys %now;
    });
}


1;
