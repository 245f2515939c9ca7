package TgbotMock;

# A scripted HTTP server that plays both the bot's program and the Bot API.
#
#   my $mock = TgbotMock->start;           forks it
#   $mock->port                            where it listens
#
#   my $s = $mock->session($bot, $token, \@program, \@api);
#   $s->{closed}                           a port that refuses connections
#
#   $mock->requests($token, $n, $seconds)  what was received: waits until it
#                                          is $n requests of the Bot API
#   $mock->strays                          requests of no known bot
#
# A request belongs to a bot by /bot<token>/ or /file/bot<token>/ (Bot API), or
# by X-Tgbot-Bot (program).  Each is answered by the next line of its script,
# and by a plain success when the script is over.  A line is
#
#   [action ...] [status [Name: value] ... [body]]
#
#   reset          resets the connection, having read the request
#   close          closes it likewise
#   stall          answers nothing, ever
#   stall N        waits N seconds first
#   garbage        answers something that is not HTTP
#   open N         makes the closed port accept connections, N seconds later
#   drop           resets the next connection to that port instead
#   cut N          sends N bytes of the body only, closes
#   chunked        sends the body as chunks
#   repeat         this line is never used up
#   size N         a body of N bytes of JSON
#
# JSON is sent as application/json, everything else as text/html.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Socket qw(SOL_SOCKET SO_LINGER MSG_NOSIGNAL);
use Time::HiRes qw(time sleep);

my $answer_timeout = 30;


sub start {
    my $class = shift;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                       Proto => 'tcp', Listen => 511)
        or die "cannot listen: $!\n";

    my $port = $listen->sockport;
    my $pid = fork;

    die "cannot fork: $!\n" unless defined $pid;

    if ($pid == 0) {

        # ends with the test, whatever becomes of it

        my $parent = getppid;

        close STDOUT;

        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        $SIG{PIPE} = 'IGNORE';

        my $ok = eval { serve($listen, $parent); 1 };
        print STDERR "mock: $@" unless $ok;

        require POSIX;
        POSIX::_exit($ok ? 0 : 1);
    }

    return bless { pid => $pid, port => $port }, $class;
}


sub port { $_[0]{port} }


sub stop {
    my $self = shift;

    my $pid = delete $self->{pid} or return;

    kill TERM => $pid;
    waitpid $pid, 0;
}


sub session {
    my ($self, $bot, $token, $program, $api) = @_;

    return $self->ask({ ask => 'session', bot => $bot, token => $token,
                        program => $program, api => $api });
}


sub requests {
    my ($self, $token, $n, $seconds) = @_;

    my $end = time + $seconds;

    while (1) {
        my $answer = $self->ask({ ask => 'requests', token => $token });

        return $answer if $answer->{api} && @{$answer->{api}} >= $n;
        return $answer if time > $end;

        sleep 0.02;
    }
}


sub strays { $_[0]->ask({ ask => 'strays' })->{requests} }


sub ask {
    my ($self, $question) = @_;

    my $body = JSON::PP->new->latin1->encode($question);

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $self->{port},
                                       Timeout => $answer_timeout)
        or die "the mock does not answer: $!\n";

    print $socket "POST /__mock HTTP/1.1\r\nConnection: close\r\n"
                  . "Content-Length: " . length($body) . "\r\n\r\n" . $body;

    local $/;
    my $answer = <$socket>;

    $answer =~ s/^.*?\r\n\r\n//s or die "the mock's answer is cut short\n";

    return JSON::PP->new->latin1->decode($answer);
}


# the server

my (%sessions, %bots, @strays, %connections, $select, @later);


sub serve {
    my ($listen, $parent) = @_;

    $select = IO::Select->new($listen);
    my %listening = (fileno $listen => { socket => $listen });

    while (getppid == $parent) {

        my $wait = 0.5;

        for (@later) {
            my $left = $_->{at} - time;
            $wait = $left if $left < $wait;
        }

        for my $fh ($select->can_read($wait < 0 ? 0 : $wait)) {
            my $l = $listening{fileno $fh};

            if ($l) {
                accept_from($l);
            } else {
                receive($fh);
            }
        }

        my $now = time;
        my @due = grep { $_->{at} <= $now } @later;
        @later = grep { $_->{at} > $now } @later;

        for (@due) {
            my $opened = $_->{run}->();
            $listening{fileno $opened->{socket}} = $opened if $opened;
        }
    }
}


sub accept_from {
    my $l = shift;

    my $fh = $l->{socket}->accept or return;

    if ($l->{drop}) {
        $l->{drop}--;
        reset_connection($fh);
        return;
    }

    $connections{$fh} = { in => '' };
    $select->add($fh);
}


sub receive {
    my $fh = shift;

    my $c = $connections{$fh};

    unless (sysread $fh, $c->{in}, 65536, length $c->{in}) {
        hang_up($fh);
        return;
    }

    return if $c->{busy};

    while ($connections{$fh} && !$c->{busy}
           && $c->{in} =~ /^(.*?)\r\n\r\n/s)
    {
        my $head = $1;
        my $length = $head =~ /^Content-Length:\s*(\d+)/mi ? $1 : 0;
        my $all = length($head) + 4 + $length;

        return if length $c->{in} < $all;

        my $body = substr $c->{in}, length($head) + 4, $length;
        $c->{in} = substr $c->{in}, $all;

        request($fh, $head, $body);
    }
}


sub request {
    my ($fh, $head, $body) = @_;

    my ($method, $path) = $head =~ m{^(\S+) (\S+) HTTP/1\.[01]\r\n};
    my %request = (method => $method // '', path => $path // '',
                   head => $head, body => $body, at => time);

    if ($request{path} eq '/__mock') {
        control($fh, $body);
        return;
    }

    my ($session, $who);

    if ($request{path} =~ m{^/(?:file/)?bot([^/]*)/} && $sessions{$1}) {
        ($session, $who) = ($sessions{$1}, 'api');

    } elsif ($head =~ /^X-Tgbot-Bot: ([^\r]*)/m && $bots{$1}) {
        ($session, $who) = ($bots{$1}, 'program');

    } else {
        push @strays, \%request;
        respond($fh, { status => 404, headers => '', body => '' }, {});
        return;
    }

    push @{$session->{log}{$who}}, \%request;

    my $script = $session->{script}{$who};
    my $line = @$script ? $script->[0] : undef;
    my $reply;

    if (defined $line) {
        $reply = parse($line);
        shift @$script unless $reply->{repeat};

    } elsif ($who eq 'api') {
        $reply = parse('200 {"ok":true,"result":true}');

    } else {
        $reply = parse('200');
    }

    if (defined $reply->{open}) {
        my $closed = $session->{closed};
        my $drop = $reply->{drop};

        later($reply->{open}, sub {
            listen $closed, 511 or die "cannot listen: $!\n";
            $select->add($closed);
            return { socket => $closed, drop => $drop };
        });
    }

    if (defined $reply->{stall}) {
        $connections{$fh}{busy} = 1;

        return if $reply->{stall} eq '';

        later($reply->{stall}, sub {
            if (my $c = $connections{$fh}) {
                $c->{busy} = 0;
                respond($fh, $reply, \%request);
            }
            return;
        });

        return;
    }

    respond($fh, $reply, \%request);
}


sub later {
    my ($delay, $run) = @_;

    push @later, { at => time + $delay, run => $run };
}


sub parse {
    my $line = shift;

    my %reply = (headers => '', body => '');

    while ($line =~ s/^(reset|close|garbage|chunked|repeat|drop)\b\s*//
           || $line =~ s/^(stall|open|cut|size)\b(?: ([\d.]+))?\s*//)
    {
        $reply{$1} = $2 // ($1 eq 'stall' ? '' : 1);
    }

    if ($line =~ s/^(\d{3})\s*//) {
        $reply{status} = $1;
    }

    while ($line =~ s/^\[([\w-]+): ([^\]]*)\]\s*//) {
        $reply{headers} .= "$1: $2\r\n";
    }

    $reply{body} = $line;

    if ($reply{size}) {
        my $shell = '{"ok":true,"result":""}';
        my $filler = 'x' x ($reply{size} - length $shell);

        $reply{body} = $shell =~ s/""/"$filler"/r;
    }

    if (length $reply{body} && $reply{headers} !~ /^Content-Type:/mi) {
        my $type = $reply{body} =~ /^\s*[\[{"]/ ? 'application/json'
                                                : 'text/html';
        $reply{headers} .= "Content-Type: $type\r\n";
    }

    return \%reply;
}


sub respond {
    my ($fh, $reply, $request) = @_;

    # closing with what came after the request unread would be a reset

    if ($reply->{reset}) {
        hang_up($fh, 1);

    } elsif ($reply->{close}) {
        hang_up($fh);

    } elsif ($reply->{garbage}) {
        send_all($fh, "\x16\x03\x01\x02\x00\r\n\r\n");
        hang_up($fh);

    } else {
        my $status = $reply->{status} // 200;
        my $body = $reply->{body};
        my $keepalive = ($request->{head} // '') !~ /^Connection: close/mi
                        && !defined $reply->{cut};

        my $head = "HTTP/1.1 $status Scripted\r\n$reply->{headers}"
                   . ($keepalive ? '' : "Connection: close\r\n");

        if ($reply->{chunked}) {
            $head .= "Transfer-Encoding: chunked\r\n";
            $body = join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
                                 $body =~ /.{1,1000}/gs) . "0\r\n\r\n";

        } elsif ($status != 204) {
            $head .= "Content-Length: " . length($body) . "\r\n";
        }

        $body = substr $body, 0, $reply->{cut} if defined $reply->{cut};

        send_all($fh, "$head\r\n$body");
        hang_up($fh) unless $keepalive;
    }

    $request->{answered} = time;
}


sub control {
    my ($fh, $body) = @_;

    my $question = JSON::PP->new->latin1->decode($body);
    my $answer;

    if ($question->{ask} eq 'session') {
        my $closed = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                           Proto => 'tcp')
            or die "cannot bind: $!\n";

        my $session = {
            closed => $closed,
            script => { program => $question->{program},
                        api => $question->{api} },
            log => { program => [], api => [] },
        };

        $sessions{$question->{token}} = $session;
        $bots{$question->{bot}} = $session;

        $answer = { closed => $closed->sockport };

    } elsif ($question->{ask} eq 'requests') {
        $answer = $sessions{$question->{token}}{log};

    } else {
        $answer = { requests => \@strays };
    }

    $answer = JSON::PP->new->latin1->encode($answer);

    send_all($fh, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n$answer");
    hang_up($fh);
}


sub send_all {
    my ($fh, $data) = @_;

    my $pos = 0;

    while ($pos < length $data) {
        my $n = syswrite $fh, $data, length($data) - $pos, $pos;
        return unless defined $n;

        $pos += $n;
    }
}


sub hang_up {
    my ($fh, $reset) = @_;

    $select->remove($fh);
    delete $connections{$fh};

    if ($reset) {
        reset_connection($fh);
    } else {
        close $fh;
    }
}


sub reset_connection {
    my $fh = shift;

    setsockopt $fh, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $fh;
}


1;
