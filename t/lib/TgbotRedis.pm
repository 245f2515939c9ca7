package TgbotRedis;

# A Redis of the suite's own, on a unix socket; it ends with the suite.
#
#   TgbotRedis::start(options);   of redis-server, besides those below
#   redis('SET', 'key', 'value')  the reply: a string or number, an array, undef
#                                 for nil; an error dies
#   TgbotRedis::stop();           and all that was in it is gone
#
# Its path is $TEST_NGINX_REDIS in a block's configuration.

use strict;
use warnings;

use Exporter qw(import);
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use Time::HiRes qw(sleep);

our @EXPORT = qw(redis);

my $home = tempdir('tgbot-redis-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $owner = $$;
my ($pid, $socket, @options);

# nginx's workers are of another user

chmod 0755, $home;

$ENV{TEST_NGINX_REDIS} = "unix:$home/redis.sock";


sub start {
    @options = @_ if @_;

    $pid = fork // die "fork: $!\n";

    if (!$pid) {
        open STDOUT, '>', "$home/log";
        open STDERR, '>&', \*STDOUT;

        exec $ENV{TGBOT_REDIS} // 'redis-server', qw(--port 0 --save),
             '', qw(--appendonly no --maxmemory-policy noeviction
             --unixsocketperm 777 --unixsocket), "$home/redis.sock",
             '--dir', $home, @options
            or die "redis-server: $!\n";
    }

    for (1 .. 500) {
        return if eval { redis('PING') eq 'PONG' };
        sleep 0.02;
    }

    die "redis-server does not answer\n";
}


sub stop {
    return if !$pid;

    kill KILL => $pid;
    waitpid $pid, 0;
    undef $pid;
    undef $socket;
}


sub redis {
    $socket //= IO::Socket::UNIX->new(Peer => "$home/redis.sock")
        or die "cannot connect: $!\n";

    print $socket '*' . @_ . "\r\n", map { '$' . length() . "\r\n$_\r\n" } @_;
    $socket->flush;

    return reply();
}


sub reply {
    my $line = <$socket> // die "redis-server is gone\n";

    my ($type, $text) = $line =~ /^(.)(.*)\r\n/
        or die "no reply of Redis: $line";

    die "$text\n" if $type eq '-';

    if ($type eq '*') {
        return [ map { reply() } 1 .. $text ];
    }

    if ($type ne '$') {
        return $text;
    }

    return undef if $text < 0;

    read $socket, my $value, $text + 2;

    return substr $value, 0, $text;
}


# children of the suite end as well

END {
    local $?;

    stop() if $$ == $owner;
}


1;
