package TgbotConf;

# What the tests of "nginx -t" have in common: a directory for one nginx, and
# what it says of a configuration.

use strict;
use warnings;

use Exporter qw(import);
use File::Find qw(find);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

our @EXPORT = qw($nginx $home $leaks $called $alone write_file main_conf
                 http_block test_conf webhook shop bare location refused
                 accepted started listing);

our $nginx = $ENV{TEST_NGINX_BINARY} || 'nginx';
my @modules = split ' ', $ENV{TEST_NGINX_LOAD_MODULES} || '';

our $home = tempdir(CLEANUP => 1);
make_path("$home/conf", "$home/logs", "$home/conf/sub");

# all that nginx has said
our $leaks = '';

# What each case has besides, so that nginx warns only of what the case is
# about.  In the line of "listen": the locations that tgbot_handler and
# tgbot_api call.  In http, unless a case has it: a program that makes its
# calls itself.
our $called = 'location = /app { internal; } location = /api { internal; }';
our $alone = 'tgbot_api off;';


sub write_file {
    my ($name, $text, $mode) = @_;

    open my $fh, '>', "$home/conf/$name" or die "$name: $!";
    print $fh $text;
    close $fh;

    chmod defined $mode ? $mode : 0600, "$home/conf/$name";
}


sub main_conf {
    my ($text) = @_;

    write_file('nginx.conf', join '', map("load_module $_;\n", @modules),
        "pid $home/logs/pid;\nerror_log stderr;\nevents { }\n$text\n");
}


# Tengine has so many variables that it warns of the size of their table

sub http_block {
    my ($text) = @_;

    return join '', "http {\naccess_log off; variables_hash_max_size 2048;\n",
        map("${_}_temp_path $home/$_;\n",
            qw(client_body proxy fastcgi uwsgi scgi)),
        "$text\n}\n";
}


sub test_conf {
    my ($http) = @_;

    $http =~ s/(listen unix:[^;]*;)/$1 $called/g;
    $http = "$alone\n$http" if $http !~ /tgbot_api/;

    main_conf(http_block($http));

    my $out = `'$nginx' -t -p '$home/' -c conf/nginx.conf -e stderr 2>&1`;

    return ($? >> 8, $out);
}


# a server with one webhook, with all it needs but what the case is about

sub webhook {
    my ($directives, $http) = @_;

    return ($http || '') . "\nserver {\nlisten unix:$home/s;\n"
        . "location /t {\ntgbot_webhook shop;\n$directives\n}\n}";
}


sub shop {
    my ($directives, $http) = @_;

    return webhook("tgbot_secret_token off;\ntgbot_handler /app;\n"
                   . $directives, $http);
}


sub bare {
    my ($directives) = @_;

    return webhook("tgbot_secret_token off;\n$directives");
}


sub location {
    my ($directives) = @_;

    return "server {\nlisten unix:$home/s;\nlocation /t {\n$directives\n}\n}";
}


sub refused {
    my ($name, $http, @patterns) = @_;

    my ($rc, $out) = test_conf($http);

    my ($emerg) = $out =~ /\[emerg\] (?:\d+#\d+: )?(.*)/;
    my $bad = '';

    $bad .= "exit code is 0\n" if $rc == 0;
    $bad .= "no [emerg]\n" if !defined $emerg;

    for my $re (@patterns, qr/ in \S+\.(?:conf|inc):\d+/) {
        $bad .= "no match: $re\n" if !defined $emerg || $emerg !~ $re;
    }

    $bad .= "two [emerg]\n" if $out =~ /\[emerg\].*\[emerg\]/s;

    $leaks .= $out;

    is($bad, '', $name) or diag($out);
}


sub accepted {
    my ($name, $http, @warnings) = @_;

    my ($rc, $out) = test_conf($http);
    my $bad = '';

    $bad .= "exit code is $rc\n" if $rc;

    for my $re (@warnings) {
        $bad .= "no match: $re\n"
            if $out !~ /\[warn\].*$re.* in \S+\.conf:\d+/;
    }

    my $n = () = $out =~ /\[warn\]/g;
    $bad .= "$n warnings\n" if $n != @warnings;

    $leaks .= $out;

    is($bad, '', $name) or diag($out);
}


# starts nginx, ends it gracefully and returns its exit code and what it said

sub started {
    my ($text) = @_;

    main_conf($text);

    my $pid = fork();
    die "fork: $!" if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>', "$home/logs/out" or die "out: $!";
        exec $nginx, '-p', "$home/", '-c', 'conf/nginx.conf', '-e', 'stderr'
            or die "$nginx: $!";
    }

    for (1 .. 100) {
        last if -s "$home/logs/pid";
        select undef, undef, undef, 0.05;
    }

    select undef, undef, undef, 0.2;

    kill 'QUIT', $pid;
    waitpid $pid, 0;

    my $status = $?;

    open my $fh, '<', "$home/logs/out" or die "out: $!";
    local $/;

    return ($status, <$fh>);
}


sub listing {
    my @found;

    find(sub { push @found, join ' ', $File::Find::name, (stat)[7, 9] },
         $home);

    return join "\n", sort @found;
}


1;
