package TgbotProgram;

# A server that does what the path of a request tells it, step by step, for
# blocks that want no more of a bot's program, or of the Bot API, than one
# behaviour by location:
#
#   proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/sleep/0.5/say/hi;
#
#   sleep/S          waits S seconds
#   wait/NAME        waits until the block calls go(NAME)
#   go/NAME          calls it, and is not seen
#   signal/NAME      sends nginx that signal
#   later/NAME/S     likewise, S seconds from now
#   old/NAME         to the nginx that a new binary was started by, once it was
#   header/NAME/V    adds a header to the answer (V is percent-encoded)
#   code/N           makes the status N instead of 200
#   length/N         makes Content-Length N instead of the true one
#   chunked          one chunk instead, and no last one
#   keep             keeps the connection alive
#
# and at the end of the path
#
#   say/TEXT         answers with a sendMessage of the text
#   count            likewise, of the number of requests the connection had
#   json/BODY        answers with this body (percent-encoded)
#   dump             answers with a sendMessage of the request itself, its
#                    header lines sorted
#   big/N            answers with JSON of N bytes
#   big/N/METHOD     the same, a call of the method
#   status/N         answers with that status, and a call nobody may make
#   flood/N          answers with 429 of the Bot API, for N seconds
#   seen             answers with the requests since it was last asked
#   seen/TEXT        the same, once TEXT is among them
#   part             sends half a header and closes
#   garbage          sends something that is not HTTP
#   close            closes
#   reset            resets
#   stall            answers nothing as long as nginx is there
#
# FastCGI is spoken as well, on the same port: the path is SCRIPT_NAME, and
# the dump shows the parameters.

use strict;
use warnings;

use Fcntl qw(:flock);
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep);

my ($log, $token, $pid_file, $slowness, $gates);


# Starts it; it ends with the calling process.  Needs to know where nginx
# keeps its pid, and may be told to sleep some times as long.  Sets
# TEST_NGINX_PROGRAM_PORT, and TEST_NGINX_TOKEN_FILE to a file with a bot's
# token in it.

sub start {
    ($pid_file, $slowness) = @_;

    $log = File::Temp->new;
    $token = File::Temp->new;
    $gates = File::Temp->newdir;

    print $token "123456:TOKEN\n";
    $token->flush;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                       Proto => 'tcp', Listen => 511)
        or die "cannot listen: $!\n";

    my $parent = $$;
    my $pid = fork;

    die "cannot fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';

        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        $SIG{CHLD} = $SIG{PIPE} = 'IGNORE';

        eval { serve($listen, $parent); 1 } or print STDERR "program: $@";
        POSIX::_exit(0);
    }

    $ENV{TEST_NGINX_PROGRAM_PORT} = $listen->sockport;
    $ENV{TEST_NGINX_TOKEN_FILE} = $token->filename;
}


sub serve {
    my ($listen, $parent) = @_;

    my $ready = '';
    vec($ready, fileno $listen, 1) = 1;

    while (getppid == $parent) {

        select(my $r = $ready, undef, undef, 0.5) > 0 or next;

        my $fh = $listen->accept or next;
        my $pid = fork;

        if (defined $pid && $pid == 0) {
            close $listen;
            eval { connection($fh); 1 } or print STDERR "program: $@";
            POSIX::_exit(0);
        }

        close $fh;
    }
}


sub connection {
    my $fh = shift;

    my $in = '';
    my $count = 0;

    while (1) {
        more($fh, \$in) or return unless length $in;

        my $fastcgi = ord($in) == 1;
        my $request = $fastcgi ? fastcgi($fh, \$in) : http($fh, \$in);

        return unless $request;

        my %reply = (fh => $fh, headers => '', request => $request,
                     fastcgi => $fastcgi, count => ++$count);

        record("$request->{path} $request->{body}\n")
            unless $request->{path} =~ m{/(?:seen(?:/\w+)?|go/\w+)$};

        steps(\%reply, grep { length } split m{/},
                                             $request->{path} =~ s/\?.*//sr);

        return unless $reply{keep};
    }
}


sub more {
    my ($fh, $in) = @_;

    return sysread $fh, $$in, 65536, length $$in;
}


sub http {
    my ($fh, $in) = @_;

    until ($$in =~ /\r\n\r\n/) {
        more($fh, $in) or return;
    }

    $$in =~ s/^(.*?\r\n)\r\n//s;

    my $head = $1;
    my $length = $head =~ /^Content-Length: (\d+)/mi ? $1 : 0;

    while (length $$in < $length) {
        more($fh, $in) or return;
    }

    my ($line, @headers) = split /\r\n/, $head;
    my (undef, $path) = split / /, $line;

    return { path => $path, head => join("\n", $line, sort @headers),
             body => substr($$in, 0, $length, '') };
}


sub fastcgi {
    my ($fh, $in) = @_;

    my ($params, $body) = ('', '');

    while (1) {
        while (length $$in < 8) {
            more($fh, $in) or return;
        }

        my (undef, $type, undef, $length, $padding) = unpack 'CCnnC', $$in;

        while (length $$in < 8 + $length + $padding) {
            more($fh, $in) or return;
        }

        my $content = substr $$in, 8, $length;
        substr $$in, 0, 8 + $length + $padding, '';

        $params .= $content if $type == 4;

        if ($type == 5) {
            last if $length == 0;
            $body .= $content;
        }
    }

    my %param;

    while (length $params) {
        my @length;

        for (0, 1) {
            my $n = unpack 'C', $params;
            $n = unpack('N', $params) & 0x7fffffff if $n > 127;

            substr $params, 0, ord($params) > 127 ? 4 : 1, '';
            push @length, $n;
        }

        my $name = substr $params, 0, $length[0], '';
        $param{$name} = substr $params, 0, $length[1], '';
    }

    return { path => $param{SCRIPT_NAME}, body => $body,
             head => join("\n", map { "$_=$param{$_}" } sort keys %param) };
}


sub record {
    my $line = shift;

    open my $fh, '>>', $log->filename or die "cannot open the log: $!\n";
    flock $fh, LOCK_EX;
    syswrite $fh, $line;
    close $fh;
}


# waits for a request, or for longer than any block does

sub recorded {
    my $text = shift;

    for (1 .. 1000) {
        open my $fh, '<', $log->filename or die "cannot open the log: $!\n";
        return if grep { /\Q$text\E/ } <$fh>;
        sleep(0.02);
    }
}


sub seen {
    open my $fh, '+<', $log->filename or die "cannot open the log: $!\n";
    flock $fh, LOCK_EX;

    local $/;
    my $seen = <$fh>;

    truncate $fh, 0;
    close $fh;

    return $seen // '';
}


# what was seen so far is not asked for, and who waits has to be told again

# What blocks have that do not say it themselves: they forget what the program
# has seen, post JSON, and look for the worst errors in the log and for the line
# "log".  With "one" they send the same update again and again.  Preprocessors
# that are added later come before this one.

sub blocks {
    my (%of) = @_;

    Test::Nginx::Socket::add_block_preprocessor(sub {
        my $block = shift;

        $block->set_value('init', 'TgbotProgram::forget();');

        $block->set_value('no_error_log', CORE::join "\n", '[alert]', '[crit]',
                                          '[emerg]', $of{log} // ())
            if !defined $block->no_error_log;

        $block->set_value('more_headers',
                          $of{headers} // 'Content-Type: application/json')
            if !defined $block->more_headers;

        $block->set_value('http_config', "tgbot_dedup off;\n"
                                         . ($block->http_config // ''))
            if $of{one};
    });
}


sub forget {
    truncate $log->filename, 0;
    unlink glob "$gates/*";
}


# lets go on who waits for the name, and who will

sub go {
    my $name = shift;

    open my $fh, '>', "$gates/$name" or die "cannot open $name: $!\n";
}


# waits for go(), or for longer than any block does

sub wait_for {
    my $name = shift;

    for (1 .. 2000) {
        return if -e "$gates/$name";
        sleep(0.02);
    }
}


sub unescape {
    return $_[0] =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;
}


sub quoted {
    my $text = shift;

    $text =~ s/(["\\])/\\$1/g;
    $text =~ s/([\x00-\x1f])/sprintf '\\u%04x', ord $1/ge;

    return "\"$text\"";
}


sub message {
    return '{"method":"sendMessage","chat_id":7,"text":' . quoted($_[0])
           . '}';
}


sub signal {
    my ($name, $suffix) = @_;

    my $file = $pid_file . ($suffix // '');

    # nginx writes it some time after the signal for it

    for (1 .. 500) {
        last if !$suffix || -s $file;
        sleep(0.02);
    }

    open my $fh, '<', $file or return;
    my $pid = <$fh>;
    close $fh;

    kill $name => $pid if defined $pid && $pid =~ /^(\d+)/;
}


sub steps {
    my ($reply, @steps) = @_;

    while (@steps) {
        my $step = shift @steps;

        if ($step eq 'sleep') {
            sleep(($slowness // 1) * shift @steps);

        } elsif ($step eq 'wait') {
            wait_for(shift @steps);

        } elsif ($step eq 'go') {
            go(shift @steps);

        } elsif ($step eq 'signal') {
            signal(shift @steps);

        } elsif ($step eq 'old') {
            signal(shift @steps, '.oldbin');

        } elsif ($step eq 'later') {
            my ($name, $seconds) = splice @steps, 0, 2;

            unless (fork) {
                close $reply->{fh};
                sleep($seconds);
                signal($name);
                POSIX::_exit(0);
            }

        } elsif ($step eq 'header') {
            my ($name, $value) = splice @steps, 0, 2;
            $reply->{headers} .= "$name: " . unescape($value) . "\r\n";

        } elsif ($step eq 'length' || $step eq 'code') {
            $reply->{$step} = shift @steps;

        } elsif ($step eq 'chunked' || $step eq 'keep') {
            $reply->{$step} = 1;

        } else {
            end($reply, $step, @steps);
            return;
        }
    }

    answer($reply, 200, '');
}


sub end {
    my ($reply, $step, @steps) = @_;

    my $request = $reply->{request};

    if ($step eq 'say') {
        answer($reply, 200, message(join '/', @steps));

    } elsif ($step eq 'count') {
        answer($reply, 200, message($reply->{count}));

    } elsif ($step eq 'json') {
        answer($reply, 200, unescape(join '/', @steps));

    } elsif ($step eq 'dump') {
        answer($reply, 200, message("$request->{head}\n\n$request->{body}"));

    } elsif ($step eq 'big') {
        my ($size, $method) = @steps;
        my $json = '{' . ($method ? qq("method":"$method",) : '') . '"x":"';
        answer($reply, 200, $json . 'x' x ($size - 2 - length $json) . '"}');

    } elsif ($step eq 'status') {
        answer($reply, $steps[0], message("of status $steps[0]"));

    } elsif ($step eq 'flood') {
        answer($reply, 429, '{"ok":false,"error_code":429,"description":"Too'
                            . ' Many Requests","parameters":{"retry_after":'
                            . $steps[0] . '}}');

    } elsif ($step eq 'seen') {
        recorded(shift @steps) if @steps;
        answer($reply, 200, seen());

    } elsif ($step eq 'part') {
        give($reply, "HTTP/1.1 200 OK\r\nContent-Ty");
        $reply->{keep} = 0;

    } elsif ($step eq 'garbage') {
        give($reply, "\x16\x03\x01\x02\x00\r\n\r\n");
        $reply->{keep} = 0;

    } elsif ($step eq 'reset') {
        setsockopt $reply->{fh}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
        $reply->{keep} = 0;

    } elsif ($step eq 'stall') {
        sysread $reply->{fh}, my $end, 1;
        $reply->{keep} = 0;

    } elsif ($step eq 'close') {
        $reply->{keep} = 0;

    } else {
        die "no step \"$step\"\n";
    }
}


sub answer {
    my ($reply, $status, $body) = @_;

    $status = $reply->{code} // $status;

    my $empty = $status == 204 || $status == 304;
    my $head = $reply->{headers};

    $body = '' if $empty;

    $head .= "Content-Type: application/json\r\n"
        unless $empty || $head =~ /^Content-Type:/mi;

    if ($reply->{fastcgi}) {
        give($reply, record_of(6, "Status: $status\r\n$head\r\n$body")
                     . record_of(6, '') . record_of(3, "\0" x 8));
        return;
    }

    if ($reply->{chunked}) {
        $head .= "Transfer-Encoding: chunked\r\n";
        $body = sprintf "%x\r\n%s\r\n", length $body, $body;

    } elsif (!$empty) {
        $head .= "Content-Length: " . ($reply->{length} // length $body)
                 . "\r\n";
    }

    $head .= "Connection: close\r\n" unless $reply->{keep};

    give($reply, "HTTP/1.1 $status Told\r\n$head\r\n$body");
}


sub record_of {
    my ($type, $content) = @_;

    return pack('CCnnCx', 1, $type, 1, length $content, 0) . $content;
}


sub give {
    my ($reply, $data) = @_;

    my $pos = 0;

    while ($pos < length $data) {
        my $n = syswrite $reply->{fh}, $data, length($data) - $pos, $pos;
        return unless defined $n;

        $pos += $n;
    }
}


1;
