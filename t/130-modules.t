# Other modules of the distribution: in the locations that are called, and at
# http level, where they see the webhook's own responses as well.
#
#   --- modules   those that are loaded besides; without one of them the block
#                 is skipped
#   --- updates   texts of messages, each one an update: the program's location
#                 is /_program/TEXT; default "hi"
#   --- verdicts  the verdicts of these; default done
#   --- calls     of counters that are not 0: handler.ok=N api.ok=N, in the
#                 order of the metric; default: all are ok, and each update has
#                 one Bot API call
#   --- events    the event method; default epoll
#   --- lines     that come into the error log
#   --- stops     nginx is told to quit, and does so
#   --- seen      what program and Bot API got, path and body, a line for each
#   --- seen_like
#
# Unless config says otherwise, /_program/hi is a program that says "hi", and
# /_api a Bot API.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotProgram;

use File::Temp;
use IO::Socket::INET;
use Time::HiRes qw(sleep time);

$ENV{TEST_NGINX_HTML_DIR} = html_dir();
$ENV{TEST_NGINX_SERVER_ROOT} = server_root();

our $directory = '/usr/lib/nginx/modules';

our $hi = '{"method":"sendMessage","chat_id":7,"text":"hi"}';
our $ok = '{"ok":true,"result":true}';
our $uri_ok = $ok =~ s/(["{}])/sprintf '%%%02X', ord $1/ger;

# what the program and the Bot API got in the usual course

our $usual = '/say/hi ' . (post('hi', 1) =~ s/^.*\n//r)
             . "\n/json/$uri_ok $hi\n";

add_block_preprocessor(sub {
    my $block = shift;

    my @modules = split ' ', $block->modules // '';
    my @texts = split ' ', $block->updates // 'hi';
    my $events = $block->events // 'epoll';
    my $id = 0;

    $block->set_value("init", "TgbotProgram::forget();");

    # looked at when the block's configuration is about to be written

    $block->set_value("skip_eval", "1: main::lacks('$events', qw(@modules))");

    $block->set_value("main_config",
                      join '', map { "load_module $directory/$_.so;\n" }
                               @modules);

    $block->set_value("http_config", <<'_EOC_' . ($block->http_config // ''));
    tgbot_dedup         off;
    tgbot_secret_token  off;
    tgbot_token_file    $TEST_NGINX_TOKEN_FILE;
_EOC_

    $block->set_value("config", config($block->config // ''));

    if (!defined $block->request) {
        $block->set_value("request", [ map { post($_, ++$id) } @texts ]);
    }

    $block->set_value("more_headers", "Content-Type: application/json");

    for (qw(no_error_log no_shutdown_error_log)) {
        $block->set_value($_, "[alert]\n[crit]\n[emerg]")
            unless defined $block->$_;
    }
});

# the smallest databases: all addresses are in the US, for GeoIP2 in XX

our $databases = File::Temp->newdir;

sub database {
    my ($name, $data) = @_;

    open my $fh, '>:raw', "$databases/$name" or die "$name: $!\n";
    print $fh $data;
    close $fh;
}

sub mmdb {
    my $node = "\0\0\x11" x 2;
    my $string = sub { chr(0x40 | length $_[0]) . $_[0] };
    my $number = sub { pack 'Cn', 0xa2, $_[0] };

    return $node . "\0" x 16 . "\xe1" . $string->('country') . $string->('XX')
           . "\xab\xcd\xefMaxMind.com\xe9"
           . $string->('node_count') . "\xc1\x01"
           . $string->('record_size') . $number->(24)
           . $string->('ip_version') . $number->(6)
           . $string->('database_type') . $string->('Test')
           . $string->('binary_format_major_version') . $number->(2)
           . $string->('binary_format_minor_version') . $number->(0)
           . $string->('build_epoch') . "\x01\x02\x01"
           . $string->('languages') . "\x00\x04"
           . $string->('description') . "\xe0";
}

database('GeoIP.dat', "\xe1\xff\xff" x 2 . "\0" x 60);
database('GeoIP.mmdb', mmdb());

my $slowness = $ENV{TEST_NGINX_USE_VALGRIND} ? 10 : 1;

$ENV{TEST_NGINX_CALL_TIMEOUT} = 200 * $slowness . 'ms';
$ENV{TEST_NGINX_LATE} = 2 * $slowness;

TgbotProgram::start($Test::Nginx::Util::PidFile, $slowness);

Test::Nginx::Socket::add_response_body_check(sub {
    my ($block, $body, $index, $repeated, $dry_run) = @_;

    check($block) if !$dry_run && $index == $#{$block->request};
});


sub nginx { return $ENV{TEST_NGINX_BINARY} // 'nginx' }

sub lacks {
    my ($events, @modules) = @_;

    $Test::Nginx::Util::EventType = $events;

    return 1 if $events ne 'epoll' && !built($events);
    return scalar grep { !loads($_) } @modules;
}

sub built {
    my $module = "--with-$_[0]_module";

    return `@{[nginx()]} -V 2>&1` =~ / \Q$module\E/;
}

# a module that the distribution has need not fit another nginx

our %loads;

sub loads {
    my $module = shift;

    return $loads{$module} //= do {
        my $file = "$directory/$module.so";

        -e $file && (nginx() !~ m{/build/} || fits($file));
    };
}

sub fits {
    my $file = shift;

    my $conf = File::Temp->new;
    my $ndk = "$directory/ndk_http_module.so";

    print $conf "load_module $ndk;\n" if -e $ndk && $file ne $ndk;
    print $conf "load_module $file; events { }\n";
    $conf->flush;

    return system(nginx() . " -t -q -e /dev/null -c $conf -g 'pid /dev/null;'"
                  . " > /dev/null 2>&1") == 0;
}


sub config {
    my $config = shift;

    my $webhook = $config =~ s/^webhook: (.*)\n//m ? $1 : '';

    $config .= <<'_EOC_' unless $config =~ m{location = /_program/hi };
    location = /_program/hi {
        internal;
        proxy_pass http://PROGRAM/say/hi;
    }
_EOC_

    $config .= <<'_EOC_' unless $config =~ m{location = /_api };
    location = /_api {
        internal;
        proxy_pass http://PROGRAM/api;
    }
_EOC_

    $config .= <<"_EOC_";
    location = /tg {
        tgbot_webhook  b;
        tgbot_handler  /_program/\$tgbot_text;
        tgbot_api      /_api;
        $webhook

        add_header  X-Verdict  \$tgbot_verdict  always;
    }

    location = /status {
        tgbot_status  format=prometheus;
    }

    location = /seen {
        proxy_pass http://PROGRAM/seen;
    }
_EOC_

    $config =~ s{\b(PROGRAM|fair)/api\b}{$1/json/$uri_ok}g;
    $config =~ s/\bPROGRAM\b/127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/g;
    $config =~ s/\bPORT\b/\$TEST_NGINX_PROGRAM_PORT/g;
    $config =~ s/\bHI\b/$hi/g;
    $config =~ s/\bOK\b/$ok/g;

    return $config;
}

sub post {
    my ($text, $id) = @_;

    return "POST /tg\n" . '{"update_id":' . $id . ',"message":{"message_id":2,'
           . '"date":1700000000,"chat":{"id":7,"type":"private"},'
           . '"from":{"id":7,"first_name":"Ann"},"text":"' . $text . '"}}';
}


sub get {
    my $uri = shift;

    my $socket = IO::Socket::INET->new(
                     PeerAddr => '127.0.0.1',
                     PeerPort => $Test::Nginx::Util::ServerPortForClient,
                     Timeout => 30)
        or die "cannot connect: $!\n";

    print $socket "GET $uri HTTP/1.0\r\n\r\n";
    $socket->flush;

    local $/;
    my $answer = <$socket> // '';

    return $answer =~ s/^.*?\r\n\r\n//sr;
}

sub logged {
    my ($text, $end) = @_;

    while (1) {
        open my $log, '<', $Test::Nginx::Util::ErrLogFile or return;
        return 1 if grep { /\Q$text\E/ } <$log>;
        return if time > $end;
        sleep 0.05;
    }
}

sub stopped {
    my $end = shift;

    my $file = $Test::Nginx::Util::PidFile;
    open my $fh, '<', $file or return;
    kill QUIT => <$fh>;

    sleep 0.05 while -e $file && time < $end;

    return !-e $file;
}

sub check {
    my $block = shift;

    my $name = $block->name;
    my $n = @{$block->request};
    my $calls = $block->calls // "handler.ok=$n api.ok=$n\n";

    my $end = time + 10 * $slowness;
    my $got;

    do {
        sleep 0.02 if defined $got;
        my $metrics = get('/status');
        my (%of, $left);

        $of{"$1.$2"} = $3
            while $metrics =~ /calls_total\{bot="b",kind="(\w+)",
                               event="(\w+)"\}\ ([1-9]\d*)/xg;
        $left = $metrics =~ /calls_inflight\{.*\} [1-9]/;

        $got = join ' ', map { "$_=$of{$_}" } grep { $of{$_} }
                         map { ("handler.$_", "api.$_") }
                             qw(ok failed unknown aborted);
        $got .= ' in flight' if $left;
        $got .= "\n";

    } while ($got ne $calls && time < $end);

    is($got, $calls, "$name - calls");

    for my $line (split /\n/, $block->lines // '') {
        ok(logged($line, $end), "$name - line \"$line\"");
    }

    ok(stopped($end), "$name - stops") if defined $block->stops;

    if (my $like = $block->seen_like) {
        like(get('/seen'), qr/$like/s, "$name - what the Bot API got");
    }

    if (my $seen = $block->seen) {
        is(get('/seen'), $seen, "$name - what the Bot API got");
    }
}


master_on();
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: Lua makes answers, in one go and after waits of all kinds
--- modules: ndk_http_module ngx_http_lua_module
--- http_config
    lua_socket_log_errors off;
--- config
    location /_program/ {
        internal;
        default_type application/json;

        location = /_program/say {
            content_by_lua_block { ngx.say('HI') }
        }
        location = /_program/sleep {
            content_by_lua_block { ngx.sleep(0.01) ngx.say('HI') }
        }
        location = /_program/flush {
            content_by_lua_block {
                ngx.print(' ') ngx.flush(true) ngx.sleep(0.01) ngx.say('HI')
                ngx.flush(true) ngx.eof()
            }
        }
        location = /_program/socket {
            content_by_lua_block {
                local s = ngx.socket.tcp()
                assert(s:connect('127.0.0.1', PORT))
                s:send('GET /say/hi HTTP/1.0\r\n\r\n')
                local answer = s:receive('*a')
                ngx.say((answer:gsub('^.*\r\n\r\n', '')))
            }
        }
        location = /_program/thread {
            content_by_lua_block {
                local t = ngx.thread.spawn(function() ngx.sleep(0.01) end)
                ngx.thread.wait(t) ngx.say('HI')
            }
        }
        location = /_program/timer {
            content_by_lua_block {
                ngx.timer.at(0, function() end) ngx.sleep(0.01) ngx.say('HI')
            }
        }
        location = /_program/header {
            content_by_lua_block {
                ngx.header['X-Lua'] = ngx.var.tgbot_chat_id
                ngx.req.set_header('X-More', ngx.req.get_method())
                ngx.var.limit_rate = '0'
                ngx.req.read_body()
                assert(ngx.req.get_body_data():find('update_id'))
                ngx.say('HI')
            }
        }
        location = /_program/capture {
            content_by_lua_block {
                ngx.print(ngx.location.capture('/say').body)
            }
        }
    }

    location = /say {
        internal;
        proxy_pass http://PROGRAM/say/hi;
    }

    location = /_api {
        internal;
        default_type application/json;
        content_by_lua_block {
            assert(ngx.var.tgbot_method == 'sendMessage')
            ngx.sleep(0.01)
            ngx.say('OK')
        }
    }
--- updates: say sleep flush socket thread timer header capture



=== TEST 2: Lua before what passes a call on, and after it
--- modules: ndk_http_module ngx_http_lua_module
--- config
    location = /_program/hi {
        internal;
        rewrite_by_lua_block {
            ngx.sleep(0.01) ngx.req.set_header('X-Lua', ngx.var.tgbot_user_id)
        }
        access_by_lua_block { ngx.sleep(0.01) }
        header_filter_by_lua_block { ngx.header['X-Lua'] = 'x' }
        body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:gsub('z', 'y') }
        log_by_lua_block { ngx.var.limit_rate = '0' }
        proxy_pass http://PROGRAM/say/hi;
    }
    location = /_api {
        internal;
        rewrite_by_lua_block { ngx.req.set_header('X-Lua', 'x') }
        header_filter_by_lua_block { ngx.header['X-Lua'] = 'x' }
        proxy_pass http://PROGRAM/api;
    }
--- seen eval: $main::usual



=== TEST 3: Lua filters for all
--- modules: ndk_http_module ngx_http_lua_module
--- http_config
    header_filter_by_lua_block { ngx.header['X-Lua'] = ngx.var.uri }
    body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1] }
    rewrite_by_lua_block { ngx.req.set_header('X-Lua', 'x') }
    access_by_lua_block { ngx.sleep(0.001) }
    log_by_lua_block { ngx.var.limit_rate = '0' }
--- response_headers
X-Lua: /tg
X-Verdict: done
--- seen eval: $main::usual



=== TEST 4: errors of Lua, at once and after a wait
--- modules: ndk_http_module ngx_http_lua_module
--- config
    location = /_program/error {
        internal;
        content_by_lua_block { error('at once') }
    }
    location = /_program/later {
        internal;
        content_by_lua_block { ngx.sleep(0.01) error('later') }
    }
    location = /_program/half {
        internal;
        content_by_lua_block { ngx.print('{') ngx.flush(true) error('half') }
    }
    location = /_program/exit {
        internal;
        content_by_lua_block { ngx.sleep(0.01) ngx.exit(503) }
    }
--- updates: error later half exit
--- error_code eval: [503, 503, 503, 503]
--- calls
handler.failed=4



=== TEST 5: events by poll, which asks about each one
--- events: poll
--- config
    location = /_program/hi {
        internal;
        proxy_pass http://PROGRAM/say/hi;
    }
    location = /_program/plain {
        internal;
        proxy_buffering off;
        proxy_pass http://PROGRAM/say/hi;
    }
--- updates: hi plain



=== TEST 6: by select
--- events: select
--- config
    location = /_program/plain {
        internal;
        proxy_buffering off;
        proxy_pass http://PROGRAM/say/hi;
    }
--- updates: hi plain



=== TEST 7: Lua that does not end is ended, and gives its place back
--- modules: ndk_http_module ngx_http_lua_module
--- http_config
    tgbot_max_calls     1;
    tgbot_call_timeout  $TEST_NGINX_CALL_TIMEOUT;
--- config
    location = /_program/forever {
        internal;
        content_by_lua_block { while true do ngx.sleep(0.01) end }
    }
    location = /_program/long {
        internal;
        content_by_lua_block { ngx.sleep(3600) }
    }
--- updates: forever long hi
--- error_code eval: [500, 500, 200]
--- calls
handler.ok=1 api.ok=1 handler.unknown=2
--- lines
tgbot: the call by "tgbot_handler" is aborted after
bot: "b", update: 1, subrequest: "/_program/forever"
bot: "b", update: 2, subrequest: "/_program/long"



=== TEST 8: whatever modules wait for, they let go of a call that is aborted
--- modules: ndk_http_module ngx_http_lua_module ngx_http_echo_module ngx_http_js_module ngx_http_perl_module
--- http_config
    tgbot_call_timeout  $TEST_NGINX_CALL_TIMEOUT;
    js_path    $TEST_NGINX_HTML_DIR;
    js_import  main from main.js;
--- user_files
>>> main.js
function timer(r) { setTimeout(() => r.return(200, ''), r.variables.late * 1000); }
async function fetch(r) {
    await ngx.fetch(`http://127.0.0.1:${r.variables.program_port}/stall`);
    r.return(200, '');
}
export default { timer, fetch };
--- config
    set $program_port PORT;
    set $late $TEST_NGINX_LATE;

    location /_program/ {
        internal;
        location = /_program/lua {
            content_by_lua_block {
                ngx.thread.spawn(function()
                    local socket = ngx.socket.tcp()
                    socket:connect('127.0.0.1', ngx.var.program_port)
                    socket:send('POST /stall HTTP/1.0\r\n\r\n')
                    socket:receive('*a')
                end)
                ngx.thread.spawn(function()
                    require 'ngx.semaphore'.new():wait($TEST_NGINX_LATE)
                end)
                ngx.sleep($TEST_NGINX_LATE)
            }
        }
        location = /_program/timer { js_content main.timer; }
        location = /_program/fetch { js_content main.fetch; }
        location = /_program/echo { echo_sleep $TEST_NGINX_LATE; echo 'HI'; }
        location = /_program/perl {
            perl 'sub {
                my $r = shift;
                $r->sleep(1000 * $TEST_NGINX_LATE, sub { return 200; });
                return 200;
            }';
        }
        location = /_program/last {
            content_by_lua_block {
                ngx.timer.at($TEST_NGINX_LATE, function()
                    ngx.log(ngx.WARN, 'all would have ended')
                end)
                ngx.header.content_type = 'application/json'
                ngx.say('HI')
            }
        }
    }
--- updates: lua timer fetch echo perl last
--- error_code eval: [500, 500, 500, 500, 500, 200]
--- calls
handler.ok=1 api.ok=1 handler.unknown=5
--- lines
bot: "b", update: 5, subrequest: "/_program/perl"
all would have ended



=== TEST 9: a request that nginx does not let go of is abandoned until it does
--- modules: ndk_http_module ngx_http_lua_module
--- log_level: debug
--- http_config
    tgbot_max_calls     1;
    tgbot_call_timeout  $TEST_NGINX_CALL_TIMEOUT;
--- config
    location = /_program/held {
        internal;
        content_by_lua_block {
            local answer = ngx.location.capture('/slow').body
            ngx.req.read_body()
            assert(ngx.req.get_body_data():find('update_id'))
            assert(ngx.var.tgbot_text == nil)
            ngx.log(ngx.ERR, 'a late end: ', ngx.var.http_x_tgbot_update_id)
            ngx.say(answer)
        }
    }
    location = /slow {
        internal;
        proxy_pass http://PROGRAM/sleep/2/say/slow;
    }
--- updates: held hi hi
--- error_code eval: [500, 200, 200]
--- calls
handler.ok=2 api.ok=2 handler.unknown=1
--- lines
tgbot: the call by "tgbot_handler" has not ended after
 ms, but nginx cannot abort it yet: it is abandoned
bot: "b", update: 1, subrequest: "/_program/held"
a late end: 1
tgbot abandoned request is freed



=== TEST 10: or terminates it, whatever else it waits for
--- modules: ndk_http_module ngx_http_lua_module
--- log_level: debug
--- http_config
    tgbot_call_timeout  $TEST_NGINX_CALL_TIMEOUT;
--- config
    location = /_program/held {
        internal;
        content_by_lua_block {
            ngx.location.capture_multi({{'/closes'}, {'/sleeps'}})
        }
    }
    location = /closes {
        internal;
        content_by_lua_block { ngx.sleep($TEST_NGINX_LATE) ngx.exit(444) }
    }
    location = /sleeps {
        internal;
        content_by_lua_block { ngx.sleep(3600) }
    }
--- updates: held
--- error_code: 500
--- calls
handler.unknown=1
--- lines
tgbot: the call by "tgbot_handler" has not ended after
tgbot abandoned request is freed



=== TEST 11: so is a Bot API call, whose token nothing shows afterwards
--- modules: ndk_http_module ngx_http_lua_module
--- http_config
    tgbot_max_calls     1;
    tgbot_call_timeout  $TEST_NGINX_CALL_TIMEOUT;
    tgbot_retry         attempts=1;
    log_subrequest      on;
--- config
    location = /_api {
        internal;
        content_by_lua_block {
            local token = ngx.var.tgbot_api_uri
            ngx.location.capture('/slow')
            assert(ngx.var.tgbot_api_uri == nil)
            ngx.log(ngx.ERR, 'a late end: ', token)
            ngx.say('OK')
        }
    }
    location = /slow {
        internal;
        proxy_pass http://PROGRAM/sleep/2/say/slow;
    }
--- updates: hi
--- calls
handler.ok=1 api.unknown=1
--- lines
tgbot: the call by "tgbot_api" has not ended after
a late end: /bot<redacted>/sendMessage
--- no_error_log
[alert]
[crit]
[emerg]
123456:TOKEN



=== TEST 12: a stop does not wait for what was abandoned
--- modules: ndk_http_module ngx_http_lua_module
--- http_config
    tgbot_call_timeout  $TEST_NGINX_CALL_TIMEOUT;
--- config
    location = /_program/held {
        internal;
        content_by_lua_block { ngx.location.capture('/slow') ngx.say('HI') }
    }
    location = /slow {
        internal;
        proxy_pass http://PROGRAM/stall;
    }
--- updates: held
--- error_code: 500
--- calls
handler.unknown=1
--- stops



=== TEST 13: echo
--- modules: ngx_http_echo_module
--- config
    location /_program/ {
        internal;
        default_type application/json;

        location = /_program/say { echo 'HI'; }
        location = /_program/sleep { echo_sleep 0.01; echo 'HI'; }
        location = /_program/flush {
            echo_duplicate 1 ' '; echo_flush; echo_sleep 0.01; echo 'HI';
        }
        location = /_program/exec { echo_exec /said; }
        location = /_program/body { echo_read_request_body; echo 'HI'; }
    }
    location = /said { internal; default_type application/json; echo 'HI'; }
    location = /_api {
        internal;
        default_type application/json;
        echo_sleep 0.01;
        echo 'OK';
    }
--- updates: say sleep flush exec body



=== TEST 14: echo, whose subrequests a call cannot have
--- modules: ngx_http_echo_module
--- config
    location = /_program/location { internal; echo_location /said; }
    location = /_program/async { internal; echo_location_async /said; }
    location = /_program/subrequest { internal; echo_subrequest GET /said; }
    location = /said { internal; default_type application/json; echo 'HI'; }
--- updates: location async subrequest
--- error_code eval: [503, 503, 503]
--- calls
handler.failed=3
--- lines
nested in-memory subrequest "/said"



=== TEST 15: echo before and after what passes a call on
--- modules: ngx_http_echo_module
--- config
    location = /_program/hi {
        internal;
        echo_before_body -n ' ';
        echo_after_body -n ' ';
        proxy_pass http://PROGRAM/say/hi;
    }
--- updates: hi



=== TEST 16: njs
--- modules: ngx_http_js_module
--- http_config
    js_path    $TEST_NGINX_HTML_DIR;
    js_import  main from main.js;
--- user_files
>>> main.js
const hi = '{"method":"sendMessage","chat_id":7,"text":"hi"}';
function say(r) {
    r.headersOut['Content-Type'] = 'application/json';
    r.headersOut['X-Js'] = r.variables.tgbot_chat_id;
    if (r.requestText.indexOf('update_id') < 0) { throw new Error('no body'); }
    r.return(200, hi);
}
function later(r) {
    setTimeout(() => {
        r.headersOut['Content-Type'] = 'application/json';
        r.return(200, hi);
    }, 10);
}
async function fetch(r) {
    const reply = await ngx.fetch(
        `http://127.0.0.1:${r.variables.program_port}/say/hi`);
    r.headersOut['Content-Type'] = 'application/json';
    const text = await reply.text();
    r.return(200, text);
}
function error(r) { setTimeout(() => { throw new Error('later'); }, 10); }
function nested(r) {
    r.subrequest('/said').then((reply) => r.return(200, reply.responseText));
}
function api(r) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(r.variables.tgbot_method == 'sendMessage' ? 200 : 500,
             '{"ok":true,"result":true}');
}
function header(r) { r.headersOut['X-Js'] = r.uri; }
function body(r, data, flags) { r.sendBuffer(data, flags); }
export default { say, later, fetch, error, nested, api, header, body };
--- config
    set $program_port PORT;

    location /_program/ {
        internal;
        location = /_program/say { js_content main.say; }
        location = /_program/later { js_content main.later; }
        location = /_program/fetch { js_content main.fetch; }
        location = /_program/error { js_content main.error; }
        location = /_program/nested { js_content main.nested; }
    }
    location = /_api { internal; js_content main.api; }
    location = /said { internal; return 200 'HI'; }
--- updates: say later fetch error nested
--- error_code eval: [200, 200, 200, 503, 503]
--- calls
handler.ok=3 api.ok=3 handler.failed=2



=== TEST 17: njs filters, of the webhook as well
--- modules: ngx_http_js_module
--- http_config
    js_path    $TEST_NGINX_HTML_DIR;
    js_import  main from main.js;
--- user_files
>>> main.js
function header(r) { r.headersOut['X-Js'] = r.uri; }
function body(r, data, flags) { r.sendBuffer(data, flags); }
function set(r) { return r.variables.tgbot_user_id; }
export default { header, body, set };
--- config
webhook: js_header_filter main.header; js_body_filter main.body;
    js_set $js_user main.set;
    location = /_program/hi {
        internal;
        js_header_filter main.header;
        js_body_filter main.body;
        proxy_set_header X-User $js_user;
        proxy_pass http://PROGRAM/say/hi;
    }
    location = /_api {
        internal;
        js_header_filter main.header;
        js_body_filter main.body;
        proxy_pass http://PROGRAM/api;
    }
--- response_headers
X-Js: /tg
--- seen eval: $main::usual



=== TEST 18: Perl
--- modules: ngx_http_perl_module
--- config
    location /_program/ {
        internal;

        location = /_program/say {
            perl 'sub {
                my $r = shift;
                $r->header_out("X-Perl", $r->variable("tgbot_chat_id"));
                $r->send_http_header("application/json");
                $r->print(q(HI));
                return OK_;
            }';
        }
        location = /_program/sleep {
            perl 'sub {
                my $r = shift;
                $r->sleep(10, sub {
                    my $r = shift;
                    $r->send_http_header("application/json");
                    $r->print(q(HI));
                    return OK_;
                });
                return OK_;
            }';
        }
        location = /_program/die {
            perl 'sub { die "no" }';
        }
        location = /_program/status {
            perl 'sub { return 503 }';
        }
    }
    location = /_api {
        internal;
        perl 'sub {
            my $r = shift;
            $r->send_http_header("application/json");
            $r->print(q(OK));
            return OK_;
        }';
    }
--- updates: say sleep die status
--- error_code eval: [200, 200, 503, 503]
--- calls
handler.ok=2 api.ok=2 handler.failed=2



=== TEST 19: a channel of nchan is a program that takes updates
--- modules: ngx_nchan_module
--- config
    location = /_program/publish {
        internal;
        nchan_publisher;
        nchan_channel_id updates;
    }
    location = /_program/both {
        internal;
        nchan_pubsub;
        nchan_channel_id updates;
    }
    location = /_program/subscribe {
        internal;
        nchan_subscriber;
        nchan_channel_id updates;
    }
--- updates: publish both subscribe
--- error_code eval: [200, 200, 503]
--- calls
handler.ok=2 handler.failed=1



=== TEST 20: content that is not for POST: of fancyindex, dav-ext, brotli-static, uploadprogress
--- modules: ngx_http_fancyindex_module ngx_http_dav_ext_module ngx_http_brotli_static_module ngx_http_uploadprogress_module
--- http_config
    upload_progress uploads 1m;
--- config
    location /_program/index/ {
        internal;
        alias $TEST_NGINX_HTML_DIR/;
        fancyindex on;
    }
    location /_program/dav/ {
        internal;
        alias $TEST_NGINX_HTML_DIR/;
        dav_ext_methods PROPFIND OPTIONS;
    }
    location /_program/static/ {
        internal;
        alias $TEST_NGINX_HTML_DIR/;
        brotli_static always;
    }
    location = /_program/uploads {
        internal;
        report_uploads uploads;
    }
--- updates: index/ dav/x static/x uploads
--- error_code eval: [503, 503, 503, 503]
--- calls
handler.failed=4



=== TEST 21: memc, with no server there
--- modules: ngx_http_memc_module
--- config
    location = /_program/hi {
        internal;
        set $memc_cmd set;
        set $memc_key update;
        memc_pass 127.0.0.1:1;
    }
--- error_code: 503
--- calls
handler.failed=1



=== TEST 22: filters in called locations that change nothing
--- modules: ngx_http_brotli_filter_module ngx_http_xslt_filter_module ngx_http_uploadprogress_module ngx_http_auth_pam_module ngx_http_upstream_fair_module ngx_http_cache_purge_module
--- http_config
    upload_progress   uploads 1m;
    proxy_cache_path  $TEST_NGINX_SERVER_ROOT/cache keys_zone=cache:1m;

    upstream fair {
        fair;
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
    }
--- user_files
>>> x.xsl
<xsl:stylesheet version="1.0"
    xmlns:xsl="http://www.w3.org/1999/XSL/Transform"/>
--- config
    location = /_program/hi {
        internal;
        brotli on;
        brotli_types application/json;
        brotli_min_length 1;
        xslt_stylesheet $TEST_NGINX_HTML_DIR/x.xsl;
        auth_pam "x";
        auth_pam_service_name "x";
        proxy_cache cache;
        proxy_cache_key $uri;
        proxy_cache_purge PURGE from 127.0.0.1;
        proxy_pass http://fair/say/hi;
        track_uploads uploads 5s;
    }
    location = /_api {
        internal;
        brotli on;
        brotli_types application/json;
        brotli_min_length 1;
        xslt_stylesheet $TEST_NGINX_HTML_DIR/x.xsl;
        auth_pam "x";
        auth_pam_service_name "x";
        proxy_pass http://fair/api;
        track_uploads uploads 5s;
    }
--- seen eval: $main::usual



=== TEST 23: filters in called locations that change answers and requests
--- modules: ndk_http_module ngx_http_subs_filter_module ngx_http_headers_more_filter_module ngx_http_set_misc_module
--- config
    location = /_program/hi {
        internal;
        subs_filter_types application/json;
        subs_filter 'zz' 'hi';
        more_set_headers 'X-More: x';
        more_clear_headers 'Date';
        more_set_input_headers 'X-More: x';
        set_escape_uri $escaped $tgbot_text;
        proxy_set_header X-Text $escaped;
        proxy_pass http://PROGRAM/say/zz;
    }
    location = /_api {
        internal;
        subs_filter_types application/json;
        subs_filter 'no' 'yes';
        more_set_headers 'X-More: x';
        more_set_input_headers 'X-More: x';
        proxy_pass http://PROGRAM/api;
    }
--- seen eval: $main::usual =~ s{/say/hi}{/say/zz}r



=== TEST 24: filters that do not take JSON
--- modules: ngx_http_image_filter_module ngx_http_xslt_filter_module
--- user_files
>>> x.xsl
<xsl:stylesheet version="1.0"
    xmlns:xsl="http://www.w3.org/1999/XSL/Transform"/>
--- config
    location = /_program/image {
        internal;
        image_filter resize 10 10;
        proxy_pass http://PROGRAM/say/hi;
    }
    location = /_program/xslt {
        internal;
        xslt_types application/json;
        xslt_stylesheet $TEST_NGINX_HTML_DIR/x.xsl;
        proxy_pass http://PROGRAM/say/hi;
    }
--- updates: image xslt
--- error_code eval: [500, 500]
--- calls
handler.unknown=2



=== TEST 25: srcache, whose subrequests a call cannot have: nothing is cached
--- modules: ngx_http_srcache_filter_module
--- config
    location = /_program/hi {
        internal;
        srcache_fetch GET /cache;
        srcache_store PUT /cache;
        srcache_methods POST;
        proxy_pass http://PROGRAM/say/hi;
    }
    location = /cache {
        internal;
        return 404;
    }



=== TEST 26: modsecurity
--- modules: ngx_http_modsecurity_module
--- http_config
    modsecurity on;
    modsecurity_rules '
        SecRuleEngine On
        SecRequestBodyAccess On
        SecResponseBodyAccess On
        SecRule ARGS:x "@streq no" "id:1,phase:2,deny,status:403"
    ';
--- seen eval: $main::usual



=== TEST 27: geoip and geoip2
--- modules: ngx_http_geoip_module ngx_http_geoip2_module
--- http_config eval
"    geoip_country  $main::databases/GeoIP.dat;
    geoip2  $main::databases/GeoIP.mmdb {
        \$country source=\$remote_addr country;
    }
"
--- config
    location = /_program/hi {
        internal;
        proxy_set_header X-Country $geoip_country_code;
        proxy_set_header X-Country-2 $country;
        proxy_pass http://PROGRAM/dump;
    }
--- seen_like: X-Country-2: XX\W+u000aX-Country: US



=== TEST 28: filters at http level
--- modules: ndk_http_module ngx_http_lua_module ngx_http_headers_more_filter_module ngx_http_subs_filter_module ngx_http_brotli_filter_module ngx_http_js_module ngx_http_uploadprogress_module ngx_http_echo_module ngx_http_srcache_filter_module ngx_nchan_module ngx_http_xslt_filter_module ngx_http_image_filter_module
--- http_config
    more_set_headers        'X-More: x';
    more_set_input_headers  'X-More: x';
    subs_filter_types       application/json text/plain;
    subs_filter             'no' 'yes';
    brotli                  on;
    brotli_types            application/json text/plain;
    brotli_min_length       1;
    gzip                    on;
    gzip_types              application/json text/plain;
    gzip_min_length         1;
    header_filter_by_lua_block { ngx.header['X-Lua'] = ngx.var.uri }
    body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1] }
--- response_headers
X-More: x
X-Lua: /tg
X-Verdict: done



=== TEST 29: an answer that rides, through them
--- modules: ndk_http_module ngx_http_lua_module ngx_http_headers_more_filter_module ngx_http_subs_filter_module ngx_http_brotli_filter_module
--- http_config
    tgbot_reply_via         response;
    more_set_headers        'X-More: x';
    subs_filter_types       application/json;
    subs_filter             'hi' 'hello';
    brotli                  on;
    brotli_types            application/json;
    header_filter_by_lua_block { ngx.header['X-Lua'] = ngx.var.uri }
    body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1] }
--- response_headers
X-More: x
X-Lua: /tg
--- response_body eval
$main::hi =~ s/hi/hello/r
--- calls
handler.ok=1
