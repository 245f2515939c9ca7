# The page of tgbot_status, as nginx sends it; what it does in a browser is
# tested in t/browser.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';

use Digest::SHA qw(sha256_base64);
use IO::Uncompress::Gunzip qw(gunzip);

my $file = 'ngx_http_tgbot_module/http/ngx_http_tgbot_status_page.html';

our $page = do {
    open my $in, '<:raw', $file or die "$file: $!\n";
    local $/;
    <$in>;
};

# of what stands between the tags, as a browser reckons it

sub hash {
    my ($tag) = @_;

    my @parts = $page =~ m{<$tag>(.*?)</$tag>}gs;

    is(scalar @parts, 1, "one <$tag>");

    my $hash = sha256_base64($parts[0]);

    return "'sha256-$hash" . '=' x (-length($hash) % 4) . "'";
}

our $policy = "default-src 'none'; style-src " . hash('style')
              . '; script-src ' . hash('script')
              . "; connect-src 'self'; base-uri 'none'; form-action 'none'; "
              . "frame-ancestors 'none'";

our $browser = 'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,'
               . '*/*;q=0.8';

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value("no_error_log", "[alert]\n[crit]\n[emerg]");

    $block->set_value("config", ($block->config // '') . <<'_EOC_');
    location /status {
        tgbot_status;
    }
_EOC_
});

run_tests();

__DATA__

=== TEST 1: what a browser gets
--- request
GET /status
--- more_headers eval: $main::browser
--- response_headers eval
"Content-Type: text/html; charset=utf-8
Content-Length: " . length($main::page) . "
Content-Security-Policy: $main::policy
X-Content-Type-Options: nosniff
X-Frame-Options: DENY
Referrer-Policy: no-referrer
Cache-Control: no-store
Vary: Accept"
--- response_body eval: $main::page



=== TEST 2: with a slash at the end
--- request
GET /status/
--- more_headers eval: $main::browser
--- response_headers
Content-Type: text/html; charset=utf-8
--- response_body eval: $main::page



=== TEST 3: asked for by an argument, whatever the client takes
--- request
GET /status?a=b&format=html
--- more_headers
Accept: application/json
--- response_headers
Content-Type: text/html; charset=utf-8
--- response_body eval: $main::page



=== TEST 4: the page asks for JSON
--- request
GET /status?format=json
--- more_headers eval: $main::browser
--- response_headers
Content-Type: application/json
Vary: Accept
! Content-Security-Policy
--- response_body_like: ^\{"version":"



=== TEST 5: metrics depend on the same header
--- request
GET /status
--- more_headers
Accept: text/plain;version=0.0.4
--- response_headers
Vary: Accept
! Content-Security-Policy
--- response_body_like: ^# HELP nginx_tgbot_



=== TEST 6: nobody else gets the page
--- request
GET /status
--- more_headers
Accept: application/json, text/plain, */*
--- response_headers
Content-Type: application/json
--- response_body_like: ^\{"version":"



=== TEST 7: where the format is fixed
--- config
    location /fixed {
        tgbot_status format=json;
    }
--- request
GET /fixed?format=html
--- more_headers eval: $main::browser
--- response_headers
Content-Type: application/json
--- response_body_like: ^\{"version":"



=== TEST 8: HEAD
--- request
HEAD /status?format=html
--- response_headers eval
"Content-Type: text/html; charset=utf-8
Content-Length: " . length($main::page) . "
Content-Security-Policy: $main::policy"
--- response_body



=== TEST 9: nothing is posted to it
--- request
POST /status?format=html
a=b
--- error_code: 405
--- response_headers
Allow: GET, HEAD



=== TEST 10: compressed
--- config
    gzip on;
--- request
GET /status
--- more_headers eval
"$main::browser
Accept-Encoding: gzip"
--- response_headers
Content-Encoding: gzip
--- response_body_filters eval
sub {
    IO::Uncompress::Gunzip::gunzip(\$_[0] => \my $plain);
    return $plain;
}
--- response_body eval: $main::page



=== TEST 11: as a part of another page, twice
--- config
    location = /outer.html {
        ssi on;
    }
--- user_files
>>> outer.html
<!--# include virtual="/status?format=html" -->|<!--# include virtual="/status?format=html" -->|
--- request
GET /outer.html
--- response_body eval: "$main::page|$main::page|\n"



=== TEST 12: not below it
--- request
GET /status/page
--- more_headers eval: $main::browser
--- error_code: 404
