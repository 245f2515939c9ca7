# The program: what it is asked, through what kinds of locations.

use lib 't/lib';
use File::Temp;
use Test::Nginx::Socket 'no_plan';
use TgbotLogged;
use TgbotProgram;

TgbotProgram::start($Test::Nginx::Util::PidFile);

our $secrets = File::Temp->new;
print $secrets "sekret\nstale\n";
$secrets->flush;

our $headers = "Content-Type: application/json\n"
               . "X-Telegram-Bot-Api-Secret-Token: sekret";

TgbotProgram::blocks(one => 1, log => '[error]', headers => $headers);

# a webhook, and what else; PROGRAM is where the program is

sub config {
    my ($handler, $more) = @_;

    my $config = <<"_EOC_";
    location = /tg {
        tgbot_webhook       b;
        tgbot_secret_token_file  $secrets;
        tgbot_handler       $handler;

        add_header  X-Verdict  \$tgbot_verdict  always;
        add_header  X-Time     \$request_time   always;
    }

    $more

    location = /seen {
        proxy_pass http://PROGRAM/seen;
    }
_EOC_

    $config =~ s/PROGRAM/127.0.0.1:\$TEST_NGINX_PROGRAM_PORT/g;

    return $config;
}

# the usual location, its address and what else is in it

sub program {
    my ($path, $more) = @_;

    return config('/_program', <<"_EOC_");
    location = /_program {
        internal;
        proxy_pass  http://PROGRAM/$path;
        @{[$more // '']}
    }
_EOC_
}

# a program that redirects, by the text of a message

our $redirects = "tgbot_token_file \$TEST_NGINX_TOKEN_FILE;\nmap \$tgbot_text \$to {\n" . join('', map { "$_;\n" }
    'https     https%3A%2F%2Flogin.example.com%2Fsecret-path',
    'port      %2F%2FLOCALHOST%3A3000',
    'user      http%3A%2F%2Fann%3Asecret-path%40example.org%3Fx%3D1',
    'v6        http%3A%2F%2F[%3A%3A1]%3A8080%2F',
    'relative  %2Fsecret-path%2FAnn',
    'text      http%3A%2F%2Fsecret-path%20Ann',
    'token     http%3A%2F%2F123456%3ATOKEN',
    'long      http%3A%2F%2F' . 'a' x 100) . "}\n";

our $redirect = <<'_EOC_';
    location ~ ^/_program/ {
        internal;
        proxy_pass  http://PROGRAM/header/Location/$to/status/302;
    }

    location = /_program/none {
        internal;
        proxy_pass  http://PROGRAM/status/302;
    }

    location = /_program/nginx {
        internal;
        return  301 https://example.com/;
    }
_EOC_

sub update {
    my ($text, $id) = @_;

    return '{"update_id":' . ($id // 1) . ',"message":{"message_id":2,'
           . '"date":1700000000,"chat":{"id":7,"type":"private"},'
           . '"from":{"id":7,"first_name":"Ann"},"text":' . $text . '}}';
}

sub post { return "POST /tg\n" . update(@_) }

# one bot that is held, and one with a queue

sub queued {
    return config('/_program', <<'_EOC_');
    location = /queued {
        tgbot_webhook       queued;
        tgbot_secret_token  sekret;
        tgbot_handler       /_program;
        tgbot_queue         zone=updates:1m;

        add_header  X-Verdict  $tgbot_verdict;
    }

    location = /_program {
        internal;
        proxy_pass  http://PROGRAM/json/%7B%7D;
    }
_EOC_
}

# in chunks, or by HTTP/1.0 without the header Host

sub raw {
    my ($uri, $chunked) = @_;
    my $body = update('"hi"');

    return join "\r\n", "POST $uri HTTP/1." . ($chunked ? "1" : "0"),
        "Connection: close", split(/\n/, $headers),
        $chunked ? ("Host: localhost", "Transfer-Encoding: chunked", "",
                    sprintf("%x", length $body), $body, "0", "", "")
                 : ("Content-Length: " . length($body), "", $body);
}

# what the dump of a request says

sub said {
    my $text = shift;

    $text =~ s/\n\z//;
    $text =~ s/(["\\])/\\$1/g;
    $text =~ s/\n/\\u000a/g;

    return '{"method":"sendMessage","chat_id":7,"text":"' . $text . '"}';
}

no_root_location();
TgbotLogged::start();

no_long_string();
run_tests();

__DATA__

=== TEST 1: the request, to the byte
--- config eval
main::program('dump', 'proxy_http_version 1.1; proxy_set_header Host $http_host;
                       proxy_set_header Connection close;')
--- request eval
"POST /tg?x=1\n" . main::update("\"\\u00e9 \\ud83d\\ude00 \xff\xfe\\/\"")
--- more_headers
Host: bots.example.com:8443
Content-Type: Application/JSON; charset=utf-8
X-Telegram-Bot-Api-Secret-Token: sekret
Accept-Encoding: gzip, deflate
Authorization: Basic eDp5
Cookie: a=b
User-Agent: nobody
X-Forwarded-For: 203.0.113.9
X-Real-IP: 203.0.113.9
X-Tgbot-Bot: another
X-Tgbot-Attempt: 9
If-None-Match: x
Range: bytes=0-1
--- response_body eval
my $body = main::update("\"\\u00e9 \\ud83d\\ude00 \xff\xfe\\/\"");
main::said("POST /dump HTTP/1.1
Accept-Encoding: identity
Connection: close
Content-Length: " . length($body) . "
Content-Type: application/json
Host: bots.example.com:8443
X-Telegram-Bot-Api-Secret-Token: sekret
X-Tgbot-Attempt: 1
X-Tgbot-Bot: b
X-Tgbot-Update-Id: 1

$body")
--- response_headers
X-Verdict: done
Content-Type: application/json
--- error_code: 200



=== TEST 2: the secret is the current one though Telegram sent the old one
--- config eval: main::program('dump')
--- request eval: main::post('"hi"')
--- more_headers
Content-Type: application/json
X-Telegram-Bot-Api-Secret-Token: stale
--- response_body_like: X-Telegram-Bot-Api-Secret-Token: sekret\\u000a



=== TEST 3: without a secret there is no header for it
--- config
    location = /tg {
        tgbot_webhook       b;
        tgbot_secret_token  off;
        tgbot_handler       /_program;
    }

    location = /_program {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/dump;
    }
--- request eval: main::post('"hi"')
--- response_body_unlike: (?i)secret-token
--- error_code: 200



=== TEST 4: headers that the location sets, and whose address it is
--- config eval
main::program('dump', 'proxy_set_header X-Forwarded-For
                           $proxy_add_x_forwarded_for;
                       proxy_set_header X-Real-IP $remote_addr;
                       proxy_set_header X-Server $server_addr:$server_port;
                       proxy_set_header X-Scheme $scheme;
                       proxy_set_header X-Host $host;
                       proxy_set_header X-Chat $tgbot_chat_id;
                       proxy_set_header X-Text $tgbot_text;
                       proxy_set_header X-Type $tgbot_update_type;
                       proxy_set_header X-Verdict "<$tgbot_verdict>";
                       proxy_set_header X-Cookie "<$http_cookie>";')
--- request eval: main::post('"a\r\nX-Evil: b"')
--- more_headers eval
"$main::headers\nHost: Bots.Example.Com:8443\nCookie: c=d\n"
. "X-Forwarded-For: 203.0.113.9"
--- response_body_like eval
CORE::join '.*', map { quotemeta }
    'X-Chat: 7\u000a', 'X-Cookie: <>\u000a', 'X-Forwarded-For: 127.0.0.1\u000a',
    'X-Host: bots.example.com\u000a',
    'X-Real-IP: 127.0.0.1\u000a', 'X-Scheme: http\u000a',
    "X-Server: 127.0.0.1:$Test::Nginx::Util::ServerPort\\u000a",
    'X-Text: a  X-Evil: b\u000a', 'X-Type: message\u000a', 'X-Verdict: <>\u000a'



=== TEST 5: the address may come from a proxy
--- config eval
"set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;"
. main::program('dump', 'proxy_set_header X-Client $remote_addr;')
--- request eval: main::post('"hi"')
--- more_headers eval: "$main::headers\nX-Real-IP: 149.154.167.197"
--- response_body_like: X-Client: 149\.154\.167\.197\\u000a



=== TEST 6: arguments of the handler are escaped
--- config eval
main::config('/_program?text=$tgbot_text&chat=$tgbot_chat_id&x=$arg_x',
'location = /_program { internal; proxy_pass http://PROGRAM/dump$is_args$args; }')
--- request eval: main::post('"a&b=c d?#\u00e9%41\"\\\\"')
--- response_body_like chomp
POST /dump\?text=a%26b%3[dD]c%20d%3[fF]%23%[cC]3%[aA]9%2541%22%5[cC]&chat=7&x= HTTP



=== TEST 7: the handler by a map, empty is none
--- http_config
    map $tgbot_command $handler {
        default  /_program/default;
        /a       /_program/a;
        /none    "";
    }
--- config eval
main::config('$handler',
'location /_program/ { internal; proxy_pass http://PROGRAM/say/; }')
--- request eval
[ map { main::post("\"$_\"") } "/a", "/b", "/none" ]
--- response_headers eval
[ "X-Verdict: done", "X-Verdict: done", "X-Verdict: ignored" ]
--- response_body eval
[ (map { qq({"method":"sendMessage","chat_id":7,"text":"$_"}) }
       "a", "default"), "" ]



=== TEST 8: a path made of user text does not leave its directory
--- config eval
main::config('/_program/$tgbot_text',
'location / { internal; proxy_pass http://PROGRAM/say/; }')
--- request eval
[ map { main::post("\"$_\"") }
      "x", "../x", "x/..", "..", "x/./y", "a/../../b" ]
--- response_headers eval
[ "X-Verdict: done", ("X-Verdict: failed\nContent-Length: 0") x 5 ]
--- error_code eval: [200, (500) x 5]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 9: variables of the update in proxy_pass
--- config eval
main::program('say/$tgbot_chat_id/$tgbot_bot/$tgbot_update_id/$tgbot_attempts')
--- request eval: main::post('"hi"', 12)
--- response_body_like: "text":"7/b/12/1"



=== TEST 10: FastCGI
--- config eval
main::config('/_program?x=$tgbot_chat_id', '
    location = /_program {
        internal;
        fastcgi_pass   PROGRAM;
        fastcgi_param  SCRIPT_NAME     /dump;
        fastcgi_param  REQUEST_METHOD  $request_method;
        fastcgi_param  CONTENT_TYPE    $content_type;
        fastcgi_param  CONTENT_LENGTH  $content_length;
        fastcgi_param  QUERY_STRING    $query_string;
        fastcgi_param  REMOTE_ADDR     $remote_addr;
        fastcgi_param  SERVER_PROTOCOL $server_protocol;
    }')
--- request eval: main::post('"hi"')
--- more_headers eval: "$main::headers\nCookie: a=b"
--- response_body eval
my $body = main::update('"hi"');
main::said("CONTENT_LENGTH=" . length($body) . "
CONTENT_TYPE=application/json
HTTP_ACCEPT_ENCODING=identity
HTTP_CONTENT_LENGTH=" . length($body) . "
HTTP_CONTENT_TYPE=application/json
HTTP_HOST=localhost
HTTP_X_TELEGRAM_BOT_API_SECRET_TOKEN=sekret
HTTP_X_TGBOT_ATTEMPT=1
HTTP_X_TGBOT_BOT=b
HTTP_X_TGBOT_UPDATE_ID=1
QUERY_STRING=x=7
REMOTE_ADDR=127.0.0.1
REQUEST_METHOD=POST
SCRIPT_NAME=/dump
SERVER_PROTOCOL=HTTP/1.1

$body")
--- response_headers
X-Verdict: done



=== TEST 11: statuses by FastCGI
--- config eval
main::config('/_program', '
    location = /_program {
        internal;
        fastcgi_pass   PROGRAM;
        fastcgi_param  SCRIPT_NAME  /status/$tgbot_text;
    }')
--- pipelined_requests eval
[ map { main::post("\"$_\"") } 204, 404, 500, 503, 200 ]
--- response_headers eval
[ map { "X-Verdict: $_" } qw(done busy failed busy done) ]
--- error_code eval: [200, 503, 500, 503, 200]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 12: an answer made in the configuration
--- config eval
main::config('/_program', '
    location = /_program {
        internal;
        default_type  application/json;
        return 200 "{\"method\":\"sendMessage\",\"text\":\"$tgbot_chat_id\"}";
    }')
--- request eval: main::post('"hi"')
--- response_body chomp
{"chat_id":7,"method":"sendMessage","text":"7"}
--- response_headers
X-Verdict: done



=== TEST 13: empty answers made in the configuration
--- config eval
main::config('/_program/$tgbot_text', '
    location = /_program/200  { internal; return 200; }
    location = /_program/204  { internal; return 204; }
    location = /_program/404  { internal; return 404; }
    location = /_program/500  { internal; return 500; }
    location = /_program/503  { internal; return 503; }
    location = /_program/301  { internal; return 301 http://localhost/; }
    location = /_program/444  { internal; return 444; }')
--- pipelined_requests eval
[ map { main::post("\"$_\"") }
      200, 204, 301, 404, 500, 503, 'none', 444, 200 ]
--- response_headers eval
[ map { "X-Verdict: $_" }
      qw(done done busy busy busy busy busy busy done) ]
--- error_code eval: [200, 200, (503) x 6, 200]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 14: files and pictures want no POST
--- config eval
main::config('/$tgbot_text', '
    location = /50x.html { internal; root html; }
    location = /gif      { internal; empty_gif; }')
--- pipelined_requests eval
[ main::post('"50x.html"'), main::post('"gif"') ]
--- response_headers eval
[ "X-Verdict: busy", "X-Verdict: busy" ]
--- error_code eval: [503, 503]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 15: what is logged of a path that is no location's
--- config eval: main::config('/_program/$tgbot_text', '')
--- request eval: main::post('"../x"')
--- error_code: 500
--- error_log eval
[ '"/_program/../x" is not the path of an internal location',
  'bot "b", update 1: the program failed: the call could not be set up' ]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 16: what is logged of an answer by nginx
--- config eval: main::config('/_program/none', '')
--- request eval: main::post('"hi"')
--- error_code: 503
--- error_log
the call by "tgbot_handler" was answered with 404 by nginx itself, check the location and the rewrites of its server
bot "b", update 1: the program is unavailable: status 404
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 17: a file that is answered all the same
--- config eval
main::config('/file.json', '
    location = /file.json {
        internal;
        root html;
        error_page 405 =200 $uri;
    }')
--- user_files
>>> file.json
{"method":"sendMessage","text":"x"}
--- request eval: main::post('"x"')
--- error_code: 503
--- response_headers
X-Verdict: busy
--- error_log
was answered with 405 by nginx itself
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 18: unbuffered
--- config eval: main::program('say/x', 'proxy_buffering off;')
--- request eval: main::post('"hi"')
--- response_body chomp
{"method":"sendMessage","chat_id":7,"text":"x"}



=== TEST 19: kept alive, HTTP/1.1
--- http_config
    upstream program {
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
        keepalive 4;
    }
--- config eval
main::config('/_program', '
    location = /_program {
        internal;
        proxy_pass          http://program/keep/count;
        proxy_http_version  1.1;
        proxy_set_header    Connection "";
    }')
--- pipelined_requests eval: [(main::post('"hi"')) x 3]
--- response_headers eval: [("X-Verdict: done") x 3]
--- response_body eval
[ map { qq({"method":"sendMessage","chat_id":7,"text":"$_"}) } 1, 2, 3 ]



=== TEST 20: kept alive, unbuffered
--- http_config
    upstream program {
        server 127.0.0.1:$TEST_NGINX_PROGRAM_PORT;
        keepalive 4;
    }
--- config eval
main::config('/_program', '
    location = /_program {
        internal;
        proxy_pass          http://program/keep/count;
        proxy_http_version  1.1;
        proxy_set_header    Connection "";
        proxy_buffering     off;
    }')
--- pipelined_requests eval: [(main::post('"hi"')) x 3]
--- response_headers eval: [("X-Verdict: done") x 3]
--- response_body eval
[ map { qq({"method":"sendMessage","chat_id":7,"text":"$_"}) } 1, 2, 3 ]



=== TEST 21: cached
--- http_config
    proxy_cache_path cache keys_zone=answers:1m;
--- config eval
main::program('say/$tgbot_text',
              'proxy_cache answers; proxy_cache_methods POST;
               proxy_cache_key $tgbot_text; proxy_cache_valid 1m;')
--- request eval
[ (map { main::post("\"$_\"") } "a", "b", "a"), "GET /seen" ]
--- response_body_like eval
[ '"text":"a"', '"text":"b"', '"text":"a"', '^/say/a [^\n]*\n/say/b [^\n]*\n$' ]



=== TEST 22: gzip and charset leave an answer as it is
--- config eval
main::program('say/%C3%A9' . 'x' x 2000,
              'gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
               gzip_http_version 1.0; charset utf-8; charset_types *;')
--- request eval: main::post('"hi"')
--- more_headers eval: "$main::headers\nAccept-Encoding: gzip"
--- response_body_like: "text":"%C3%A9x{2000}"\}$
--- response_headers
X-Verdict: done
Content-Type: application/json



=== TEST 23: error_page in force does not make a failure a success
--- config eval
main::program('status/500',
    'proxy_intercept_errors on; error_page 500 =200 /fine;')
. 'location = /fine { return 200; }'
--- request eval: main::post('"hi"')
--- error_code: 500
--- response_headers
X-Verdict: failed
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 24: rewrites
--- config eval
main::config('/_$tgbot_text', '
    location = /_last {
        internal;
        rewrite ^ /other/last? last;
    }
    location = /_break {
        internal;
        rewrite ^ /say/break break;
        proxy_pass http://PROGRAM;
    }
    location = /_if {
        internal;
        if ($tgbot_chat_id = 7) {
            rewrite ^ /other/if? last;
        }
        return 500;
    }
    location /other/ {
        internal;
        proxy_pass http://PROGRAM/say/;
    }')
--- pipelined_requests eval
[ map { main::post("\"$_\"") } "last", "break", "if" ]
--- response_body eval
[ map { qq({"method":"sendMessage","chat_id":7,"text":"$_"}) }
      "last", "break", "if" ]



=== TEST 25: try_files, by a URI and by a name
--- config eval
main::config('/_$tgbot_text', '
    location = /_uri {
        internal;
        try_files /none /other/uri;
    }
    location = /_name {
        internal;
        try_files /none @other;
    }
    location @other {
        rewrite ^ /say/name break;
        proxy_pass http://PROGRAM;
    }
    location /other/ {
        internal;
        proxy_pass http://PROGRAM/say/;
    }')
--- pipelined_requests eval
[ map { main::post("\"$_\"") } "uri", "name" ]
--- response_body eval
[ map { qq({"method":"sendMessage","chat_id":7,"text":"$_"}) }
      "uri", "name" ]



=== TEST 26: limit_req that delays
--- http_config
    limit_req_zone $tgbot_chat_id zone=calls:1m rate=30r/m;
--- config eval
main::program('say/x', 'limit_req zone=calls burst=5;')
--- pipelined_requests eval: [(main::post('"hi"')) x 3]
--- response_headers_like eval
[ map { "X-Verdict: done\nX-Time: $_" }
      '[01]\..*', ('(?:0\.[2-9]|[1-9]).*') x 2 ]
--- no_error_log
[alert]
[crit]
[emerg]
[error]



=== TEST 27: limit_req that refuses
--- http_config
    limit_req_zone $tgbot_chat_id zone=calls:1m rate=1r/m;
--- config eval
main::program('say/x', 'limit_req zone=calls;')
--- pipelined_requests eval: [(main::post('"hi"')) x 2]
--- response_headers eval: ["X-Verdict: done", "X-Verdict: busy"]
--- error_code eval: [200, 503]
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 28: limit_conn
--- http_config
    limit_conn_zone $tgbot_chat_id zone=calls:1m;
--- config eval
main::program('say/x', 'limit_conn calls 1;')
--- pipelined_requests eval: [(main::post('"hi"')) x 3]
--- response_headers eval: [("X-Verdict: done") x 3]



=== TEST 29: access rules are not for subrequests
--- config eval
main::program('say/x', 'auth_request /no; deny all;')
. 'location = /no { internal; return 403; }'
--- request eval: main::post('"hi"')
--- response_headers
X-Verdict: done



=== TEST 30: mirror
--- config eval
main::config('/_program', '
    location = /_program {
        internal;
        mirror /mirror;
        proxy_pass http://PROGRAM/say/x;
    }
    location = /mirror {
        internal;
        proxy_pass http://PROGRAM/sleep/0.3/say/mirror;
    }')
--- pipelined_requests eval: [(main::post('"hi"')) x 2]
--- response_headers eval: [("X-Verdict: done") x 2]



=== TEST 31: SSI in an answer includes nothing, as in every captured one
--- config eval
main::program('json/%7B%22method%22:%22sendMessage%22,%22text%22:%22'
              . '%3C!--%23%20include%20virtual=%22/in%22%20--%3E%22%7D',
              'ssi on; ssi_types application/json;')
. 'location = /in {
       internal;
       proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/sleep/0.1/json/in;
   }'
--- request eval: main::post('"hi"')
--- response_body_like: ^\{"chat_id":7,"method":"sendMessage","text":"\[an error
--- response_headers
X-Verdict: done
--- error_log
nested in-memory subrequest "/in"
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 32: X-Accel-Redirect of the program leads nowhere
--- config eval
main::program('header/X-Accel-Redirect/%2Ffile/say/x')
. 'location = /file { internal; return 200 "a file"; }'
--- request eval: main::post('"hi"')
--- response_body chomp
{"method":"sendMessage","chat_id":7,"text":"x"}
--- error_log
tgbot: X-Accel-Redirect of a called location is ignored



=== TEST 33: elsewhere it works
--- config eval
main::program('say/x')
. 'location = /other {
       proxy_pass http://127.0.0.1:$TEST_NGINX_PROGRAM_PORT/header/X-Accel-Redirect/%2Ffile/say/x;
   }
   location = /file { internal; return 200 "a file"; }'
--- request
GET /other
--- response_body chomp
a file



=== TEST 34: other X-Accel headers do not hurt
--- config eval
main::program('header/X-Accel-Limit-Rate/10/header/X-Accel-Buffering/no'
              . '/header/X-Accel-Expires/10/header/Set-Cookie/a=b'
              . '/header/Location/x/header/Refresh/0/say/x',
              'proxy_cookie_domain x y; proxy_redirect x y;')
--- request eval: main::post('"hi"')
--- response_body chomp
{"method":"sendMessage","chat_id":7,"text":"x"}
--- response_headers
!Set-Cookie
!Location



=== TEST 35: a slow answer by limit_rate
--- config eval
main::program('say/' . 'x' x 3000, 'limit_rate 10k; limit_rate_after 1;')
--- request eval: main::post('"hi"')
--- response_headers
X-Verdict: done
Content-Length: 3046



=== TEST 36: a location that is not internal is warned about once
--- config eval
main::program('say/x') =~ s/internal;//r
--- raw_request eval
my $r = "POST /tg HTTP/1.1\r\nHost: localhost\r\nContent-Length: 43\r\n"
        . "Content-Type: application/json\r\nConnection: %s\r\n"
        . "X-Telegram-Bot-Api-Secret-Token: sekret\r\n\r\n"
        . '{"update_id":1,"message":{"chat":{"id":7}}}';

sprintf($r, 'keep-alive') . sprintf($r, 'close')
--- ignore_response
--- grep_error_log eval
qr/called by "tgbot_handler" of bot "b" is not internal|http subrequest over/
--- grep_error_log_out
called by "tgbot_handler" of bot "b" is not internal



=== TEST 37: an internal one is not
--- config eval: main::program('say/x')
--- request eval: main::post('"hi"')
--- error_code: 200
--- no_error_log
is not internal
[alert]
[crit]
[emerg]



=== TEST 38: a body that is sent unbuffered, and not at all
--- config eval
main::config('/_$tgbot_text', '
    location = /_unbuffered {
        internal;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        proxy_pass http://PROGRAM/dump;
    }
    location = /_none {
        internal;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://PROGRAM/dump;
    }')
--- pipelined_requests eval
[ map { main::post("\"$_\"") } "unbuffered", "none" ]
--- response_body_like eval
[ '\\\\u000a\\\\u000a\{\\\\"update_id\\\\":1,', '\\\\u000a\\\\u000a"\}$' ]



=== TEST 39: a large update
--- config eval
main::config('/_program', '
    location = /_program {
        internal;
        proxy_pass http://PROGRAM/say/x;
    }')
--- request eval: [main::post('"' . 'z' x 400000 . '"'), "GET /seen"]
--- response_headers eval: ["X-Verdict: done", ""]
--- response_body_like eval: ['"text":"x"', 'z{10000}']



=== TEST 40: one that nginx put into a file
--- config eval
main::program('dump') =~ s/(tgbot_webhook)/tgbot_response_size 2m; $1/r
--- request eval: main::post('"by file ' . 'z' x 900000 . '"')
--- response_headers
X-Verdict: done
--- response_body_like: by file z+\\"\}\}"\}$
--- error_log
buffered to a temporary file



=== TEST 41: in chunks, held
--- config eval: main::queued()
--- raw_request eval: main::raw("/tg", 1)
--- response_headers
X-Verdict: done



=== TEST 42: in chunks, queued
--- config eval: main::queued()
--- raw_request eval: main::raw("/queued", 1)
--- response_headers
X-Verdict: queued



=== TEST 43: without a host, held
--- config eval: main::queued()
--- raw_request eval: main::raw("/tg", 0)
--- response_headers
X-Verdict: done



=== TEST 44: without a host, queued
--- config eval: main::queued()
--- raw_request eval: main::raw("/queued", 0)
--- response_headers
X-Verdict: queued



=== TEST 45: update_ids beyond those of Telegram
--- config eval: main::program('dump')
--- pipelined_requests eval
[ map { main::post('"hi"', $_) } qw(9223372036854775807 -5 9223372036854775808) ]
--- response_headers eval: [("X-Verdict: done") x 3]
--- response_body_like eval
[ 'X-Tgbot-Update-Id: 9223372036854775807\\\\u000a.*"update_id\\\\":9223372036854775807,',
  'X-Tgbot-Update-Id: -5\\\\u000a.*"update_id\\\\":-5,',
  '^(?!.*X-Tgbot-Update-Id).*"update_id\\\\":9223372036854775808,' ]



=== TEST 46: a program that does not know the secret
--- config eval: main::program('status/401')
--- request eval: main::post('"hi"')
--- error_code: 503
--- error_log
the program is unavailable: status 401, does it know the current secret?
--- no_error_log
There is none
[alert]
[crit]
[emerg]



=== TEST 47: a program that wants a secret, and there is none
--- config eval
main::program('status/401') =~ s/tgbot_secret_token_file .*/tgbot_secret_token off;/r
--- request eval: main::post('"hi"')
--- error_code: 503
--- error_log eval
qr/status 401, does it want a secret\?  There is none with "tgbot_secret_token off"/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 48: a program that redirects
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"https"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q302, a redirect to login.example.com\E$/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 49: a redirect to a port
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"port"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q302, a redirect to LOCALHOST:3000\E$/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 50: a redirect with a user
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"user"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q302, a redirect to example.org\E$/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 51: a redirect to an address
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"v6"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q302, a redirect to [::1]:8080\E$/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 52: a redirect to a path
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"relative"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q302, a redirect\E$/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 53: a redirect to no host
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"text"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q302, a redirect\E$/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 54: a redirect to a token
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"token"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q302, a redirect to <redacted>\E$/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 55: a redirect to a long host
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"long"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q302, a redirect to aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\E$/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 56: a redirect to nowhere
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"none"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q302\E$/
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 57: a redirect by nginx
--- http_config eval: $main::redirects
--- config eval: main::config('/_program/$tgbot_text', $main::redirect)
--- request eval: main::post('"nginx"')
--- error_code: 503
--- error_log eval
qr/is unavailable: status \Q301\E$/
--- no_error_log
[alert]
[crit]
[emerg]
