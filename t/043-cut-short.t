# Answers that end before they are whole, where nginx itself sees nothing
# wrong with them.

use lib 't/lib';
use IO::Socket::INET;
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;

add_block_preprocessor(sub {
    my $block = shift;

    # these tests send the same update again and again
    $block->set_value("http_config",
                      "tgbot_dedup off;\n" . ($block->http_config || ""));

    if (!defined $block->no_error_log) {
        $block->set_value("no_error_log", "[alert]\n[crit]\n[emerg]");
    }

    $block->set_value("more_headers", "Content-Type: application/json");
});


# a program that answers every connection with the same bytes and closes

sub program {
    my $bytes = shift;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                       Proto => 'tcp', Listen => 16)
        or die "cannot listen: $!\n";
    my $parent = $$;
    my $pid = fork;

    die "cannot fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        $SIG{ALRM} = sub { POSIX::_exit(0) if getppid != $parent; alarm 1 };
        alarm 1;

        while (1) {
            my $c = $listen->accept or next;
            sysread $c, my $request, 65536;
            syswrite $c, $bytes;
            close $c;
        }
    }

    push @main::children, $pid;

    return $listen->sockport;
}


sub record {
    my ($type, $content) = @_;

    return pack('CCnnCC', 1, $type, 1, length $content, 0, 0) . $content;
}

use POSIX ();

my $json = '{"method":"sendMessage","text":"hi"}';
my $header = "Content-Type: application/json\r\n";
my $length = "Content-Length: " . length($json) . "\r\n";

$ENV{TEST_NGINX_FCGI_CUT} = program(
    record(6, "$header$length\r\n" . substr $json, 0, 16));
$ENV{TEST_NGINX_FCGI_NO_END} = program(record(6, "$header\r\n$json"));
$ENV{TEST_NGINX_FCGI_WHOLE} = program(
    record(6, "$header\r\n$json") . record(6, '') . record(3, "\0" x 8));
$ENV{TEST_NGINX_HTTP_CUT} = program(
    "HTTP/1.0 200 OK\r\n$header$length\r\n" . substr $json, 0, 16);
$ENV{TEST_NGINX_HTTP_CLOSE} = program("HTTP/1.0 200 OK\r\n$header\r\n$json");
$ENV{TEST_NGINX_HTTP_ASKS} = program(
    "HTTP/1.0 200 OK\r\n${header}X-Accel-Buffering: no\r\n\r\n$json");
$ENV{TEST_NGINX_HTTP_WHOLE} = program("HTTP/1.0 200 OK\r\n$header$length\r\n"
                                      . $json);

END { kill 'KILL', @main::children if @main::children }

our $webhook = <<'_EOC_';
    location = /tg {
        tgbot_webhook       b;
        tgbot_secret_token  off;
        tgbot_handler       /_program;

        add_header  X-Verdict  $tgbot_verdict  always;
    }
_EOC_

our $request = 'POST /tg' . "\n"
    . '{"update_id":1,"message":{"chat":{"id":7},"text":"hi"}}';

TgbotLogged::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: FastCGI, less than the Content-Length it announced
--- config eval
$main::webhook . '
    location = /_program {
        internal;
        fastcgi_pass 127.0.0.1:$TEST_NGINX_FCGI_CUT;
    }'
--- request eval: $main::request
--- response_headers
X-Verdict: failed
--- error_code: 500
--- error_log
the program failed: the answer was cut short



=== TEST 2: FastCGI without its last record
--- config eval
$main::webhook . '
    location = /_program {
        internal;
        fastcgi_pass 127.0.0.1:$TEST_NGINX_FCGI_NO_END;
    }'
--- request eval: $main::request
--- response_headers
X-Verdict: failed
--- error_code: 500



=== TEST 3: FastCGI with it
--- config eval
$main::webhook . '
    location = /_program {
        internal;
        fastcgi_pass 127.0.0.1:$TEST_NGINX_FCGI_WHOLE;
    }'
--- request eval: $main::request
--- response_headers
X-Verdict: done
--- response_body chomp
{"chat_id":7,"method":"sendMessage","text":"hi"}
--- error_code: 200



=== TEST 4: HTTP, less than its Content-Length
--- config eval
$main::webhook . '
    location = /_program {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_HTTP_CUT;
    }'
--- request eval: $main::request
--- response_headers
X-Verdict: failed
--- error_code: 500



=== TEST 5: HTTP without one, ended by a close
--- config eval
$main::webhook . '
    location = /_program {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_HTTP_CLOSE;
    }'
--- request eval: $main::request
--- response_headers
X-Verdict: done
--- error_code: 200



=== TEST 6: unbuffered, such an end cannot be told from an error
--- config eval
$main::webhook . '
    location = /_program {
        internal;
        proxy_buffering off;
        proxy_pass http://127.0.0.1:$TEST_NGINX_HTTP_CLOSE;
    }'
--- request eval: $main::request
--- response_headers
X-Verdict: failed
--- error_code: 500



=== TEST 7: unbuffered with a length it is whole
--- config eval
$main::webhook . '
    location = /_program {
        internal;
        proxy_buffering off;
        proxy_pass http://127.0.0.1:$TEST_NGINX_HTTP_WHOLE;
    }'
--- request eval: $main::request
--- response_headers
X-Verdict: done
--- error_code: 200



=== TEST 8: a program cannot ask for being unbuffered
--- config eval
$main::webhook . '
    location = /_program {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_HTTP_ASKS;
    }'
--- request eval: $main::request
--- response_headers
X-Verdict: done
--- error_code: 200



=== TEST 9: but it can where no bot is concerned
--- config
    location = /t {
        proxy_pass http://127.0.0.1:$TEST_NGINX_HTTP_ASKS;
    }
--- request
GET /t
--- response_body chomp
{"method":"sendMessage","text":"hi"}
--- error_log
http upstream process non buffered
--- error_code: 200
