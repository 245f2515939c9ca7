# Dead letters: what is given up is kept, listed, shown, replayed and dropped.
# For blocks with steps see TgbotSteps.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use TgbotDead;
use TgbotSteps;

use Encode ();
use JSON::PP;
use Math::BigInt;
use Time::HiRes qw(time);

our $by_host = qr/^expected an address, "localhost" or /;
our $by_site = qr/^expected no page of another site/;

TgbotSteps::start(
    request => 'GET /status',
    status  => 'payload=on write=on',

    # what is left would be worked on for ever
    main    => "worker_shutdown_timeout ${slowness}s;",

    webhook => {
        tgbot_token    => sub { $_[0] eq 'b' ? '1:TOKEN' : '2:TOKEN' },
        tgbot_api      => '/_api/header/X-Method/$tgbot_method/json/%7B%7D',
        tgbot_attempts => '2 backoff=50ms max_backoff=100ms',
    });

master_on();
workers(2);
worker_connections(1024);
no_root_location();
no_long_string();
run_tests();

__DATA__

=== TEST 1: an update for which the program fails, without a queue
--- config eval: main::bot()
--- then
give_up(text => 'status/500');
asked(('status/500') x 2);
letters('1 failed');

my (undef, $json) = answer('/status/dead/b');
my $letter = $json->{letters}[0];

is($letter->{update_id}, 1001, $block->name . ' - update_id');
is($letter->{status}, 500, $block->name . ' - status');
is($letter->{attempts}, 2, $block->name . ' - attempts');
ok($letter->{last} - time < 5, $block->name . ' - last');
ok($letter->{first} <= $letter->{last}, $block->name . ' - first');
is($json->{next}, 0, $block->name . ' - no more');

check(end(begin(id => 1001)), 'duplicate', '');

becomes(1, 'status', sub { status()->{bots}{b}{dead_letters}{letters} });
is(status()->{bots}{b}{dead_letters_total}{failed}, 1,
   $block->name . ' - counted');



=== TEST 2: a letter is shown as the user wrote it, in valid JSON
--- config eval: main::bot('tgbot_handler /_program/status/500;')
--- then
my $text = '</script><b>"hi"\\ ' . chr(1) . 'ы';
give_up(text => $text);

my ($status, $json) = answer('/status/dead/b/1');
is($status, 200, $block->name . ' - shown');

my $update = ref $json->{update} ? $json->{update}
                                 : JSON::PP->new->decode($json->{update});
is($update->{message}{text}, Encode::decode('UTF-8', $text),
   $block->name . ' - text');
is_deeply($json->{calls}, [], $block->name . ' - no calls');



=== TEST 3: nothing of a user is shown without payload=on
--- config eval
main::bot('tgbot_handler /_program/status/500;')
. 'location /plain { tgbot_status; }'
--- then
give_up(text => 'secretive');

my $answer = get('/plain/dead/b/1');
like($answer, qr/"cause":"failed"/, $block->name . ' - shown');
unlike($answer, qr/secretive/, $block->name . ' - without its text');



=== TEST 4: a letter has the call that was given up, and the calls after it
--- config eval
main::bot('tgbot_api /_api/$of/header/X-Method/$tgbot_method/json/%7B%7D;
           tgbot_retry attempts=1;')
--- http_config
    map $tgbot_method $of {
        volatile;
        default    keep;
        sendPhoto  close;
    }
--- then
my $text = 'json/[{"method":"sendDice"},{"method":"sendPhoto","photo":"a"},'
           . '{"method":"sendPoll"}]';

check(end(begin(text => $text)), 'dead', '');
letters('1 unsent');

my (undef, $json) = answer('/status/dead/b/1');
is(CORE::join(' ', map { $_->{method} } @{$json->{calls}}),
   'sendPhoto sendPoll', $block->name . ' - calls');
is($json->{calls_done}, 1, $block->name . ' - done');
is($json->{calls}[0]{body}{photo}, 'a', $block->name . ' - body');



=== TEST 5: a letter is replayed when the program is mended
--- config eval
main::bot('tgbot_handler /_mended;') . $main::mended
--- then
give_up();
letters('1 failed');

my ($status, $json) = change(POST => '/status/dead/b/1', 'replay');
is($status, 200, $block->name . ' - replayed');
is_deeply($json, { replayed => 1 }, $block->name . ' - one');

# it fails once more, which is another letter of it

letters('2 failed');

mend();

is((change(POST => '/status/dead/b/2', 'replay'))[0], 200,
   $block->name . ' - replayed');
until_asked(qr/sendMessage/);
letters('');
is((change(POST => '/status/dead/b/2', 'replay'))[0], 404,
   $block->name . ' - it is gone');



=== TEST 6: all letters are replayed through a queue
--- config eval
main::bot('tgbot_handler /_mended; tgbot_queue zone=updates:4m;')
. $main::mended
--- then
for my $chat (1 .. 3) {
    check(end(begin(chat => $chat)), 'queued', '');
    letters(CORE::join ', ', map { "$_ failed" } 1 .. $chat);
}

mend();

my ($status, $json) = change(POST => '/status/dead/b', 'replay');
is_deeply($json, { replayed => 3, left => 0, being_replayed => 0 },
          $block->name . ' - three');

letters('');

becomes(3, 'done', sub { status()->{bots}{b}{queue_items_total}{done} });



=== TEST 7: only the calls that are left are replayed
--- config eval
main::bot('tgbot_api /_api/$of/header/X-Method/$tgbot_method/json/%7B%7D;
           tgbot_retry attempts=1;')
--- http_config
    map $tgbot_method $of {
        volatile;
        default    keep;
        sendPhoto  close;
    }
--- then
my $text = 'json/[{"method":"sendDice"},{"method":"sendPhoto","photo":"a"}]';

check(end(begin(text => $text)), 'dead', '');
letters('1 unsent');
TgbotProgram::seen();

is((change(POST => '/status/dead/b/1', 'replay'))[0], 200,
   $block->name . ' - replayed');
letters('2 unsent');
until_asked(qr/sendPhoto/);
unlike($asked, qr/sendDice|json\/\[/, $block->name . ' - the program is not');



=== TEST 8: letters are dropped
--- config eval: main::bot()
--- then
give_up(text => 'status/500') for 1 .. 3;
letters('1 failed, 2 failed, 3 failed');

is((change(DELETE => '/status/dead/b/2', 'drop'))[0], 200,
   $block->name . ' - dropped');
letters('1 failed, 3 failed');

is((change(DELETE => '/status/dead/b/2', 'drop'))[0], 404,
   $block->name . ' - it is gone');

my ($status, $json) = change(DELETE => '/status/dead/b', 'drop');
is_deeply($json, { dropped => 2, left => 0, being_replayed => 0 },
          $block->name . ' - all');
letters('');
logged('2 dead letters dropped', 1);



=== TEST 9: a list in parts
--- config eval: main::bot()
--- then
give_up(text => 'status/500') for 1 .. 3;

letters('1 failed, 2 failed', 'b', '?limit=2');
letters('3 failed', 'b', '?limit=2&after=2');
letters('', 'b', '?after=3');
is((answer('/status/dead/b?limit=0'))[0], 400, $block->name . ' - 0');
is((answer('/status/dead/b?limit=1001'))[0], 400, $block->name . ' - 1001');
is((answer('/status/dead/b?after=x'))[0], 400, $block->name . ' - x');



=== TEST 10: the oldest letter is evicted
--- config eval: main::bot('tgbot_dead_letters max=2;')
--- then
give_up(text => 'status/500') for 1 .. 3;
letters('2 failed, 3 failed');
becomes(1, 'evicted', sub { status()->{bots}{b}{dead_letters}{evicted} });
logged('1 older dead letters are evicted', 1);



=== TEST 11: changes need write=on and X-Tgbot-Action
--- config eval: main::bot() . 'location /plain { tgbot_status; }'
--- then
give_up(text => 'status/500');

my ($status, $json) = change(DELETE => '/plain/dead/b/1', 'drop');
is($status, 403, $block->name . ' - not allowed');
like($json->{error}, qr/write=on/, $block->name . ' - why');

for my $action (undef, 'replay', 'dropp', '') {
    is((change(DELETE => '/status/dead/b/1', $action))[0], 403,
       $block->name . ' - ' . ($action // 'no header'));
}

is((change(POST => '/status/dead/b/1', 'drop'))[0], 403,
   $block->name . ' - the wrong one');
letters('1 failed');



=== TEST 12: 404 for what there is not
--- config eval
main::bot() . main::bot('tgbot_dead_letters off;', 'c')
. 'location = /exact { tgbot_status; }'
--- then
is((answer("/status/$_"))[0], 404, $block->name . " - $_")
    for qw(dead/x dead/ dead/b/ dead/b/0 dead/b/x dead/b/1 dead/c dead/c/1);
is((get("/status/$_") =~ m{ (\d+) })[0], 404, $block->name . " - $_")
    for qw(x deadly dead);
is((answer('/status/'))[0], 200, $block->name . ' - all');
is((get('/status/dead/b', [], 'PUT') =~ m{ (\d+) })[0], 405,
   $block->name . ' - method');



=== TEST 13: two bots, letters of their own
--- config eval: main::bot() . main::bot('', 'c')
--- then
give_up(text => 'status/500');
give_up(text => 'status/500', bot => 'c');
letters('1 failed', 'b');
letters('2 failed', 'c');
is((answer('/status/dead/b/2'))[0], 404, $block->name . ' - not his');



=== TEST 14: letters are kept over a reload
--- config eval: main::bot()
--- then
give_up(text => 'status/500');
reload();
letters('1 failed');



=== TEST 15: a letter of a queue is replayed into it
--- config eval
main::bot('tgbot_queue zone=updates:4m; tgbot_attempts 1;
           tgbot_handler /_program/$tgbot_text;')
--- then
check(end(begin(text => 'status/500')), 'queued', '');
letters('1 failed');

my ($status, $json) = change(POST => '/status/dead/b', 'replay');
is($status, 200, $block->name . ' - replayed');
is($json->{replayed}, 1, $block->name . ' - one');
letters('2 failed');
asked(('status/500') x 2);


# an item is settled after its letter is kept

my $items = until_status(sub {
    $_[0]{bots}{b}{queue_items_total}{dead} == 2
})->{bots}{b}{queue_items_total};

is($items->{replayed}, 1, $block->name . ' - counted');
is($items->{dead}, 2, $block->name . ' - dead');



=== TEST 16: pages of other sites, and other host names, change nothing
--- config eval
main::bot()
--- then
give_up(text => 'status/500') for 1 .. 40;

my $id = 0;

# [allowed or not, header ...]

for my $row (
    [ 1, 'Sec-Fetch-Site: same-origin' ],
    [ 1, 'Sec-Fetch-Site: none' ],
    [ 0, 'Sec-Fetch-Site: cross-site' ],
    [ 0, 'Sec-Fetch-Site: same-site' ],
    [ 0, 'Sec-Fetch-Site: Same-Origin' ],
    [ 0, 'Sec-Fetch-Site: same-origin, cross-site' ],
    [ 0, 'Sec-Fetch-Site:' ],
    [ 1, 'Origin: http://localhost' ],
    [ 0, 'Origin: http://evil.example' ],
    [ 1, 'Host: localhost' ],
    [ 1, 'Host: LOCALHOST:8080' ],
    [ 1, 'Host: 127.0.0.1' ],
    [ 1, 'Host: 192.0.2.1:80' ],
    [ 1, 'Host: [::1]' ],
    [ 1, 'Host: [2001:db8::1]:8080' ],
    [ 0, 'Host: none' ],
    [ 0, 'Host: evil.example' ],
    [ 0, 'Host: localhost.evil.example' ],
    [ 0, 'Host: 127.0.0.1.evil.example' ],
    [ 0, 'Host: 1.2.3' ],
    [ 0, 'Host: 1.2.3.4.5' ],
    [ 0, 'Host: [evil]' ],
) {
    my ($allowed, @headers) = @$row;
    my $name = CORE::join ', ', @headers;

    my ($status, $json) = change(DELETE => '/status/dead/b/' . ($id + 1),
                                 'drop', @headers);

    is($status, $allowed ? 200 : 403, $block->name . " - $name");
    $id++ if $status == 200;

    next if $allowed;

    like($json->{error}, $name =~ /^Host/ ? $main::by_host : $main::by_site,
         $block->name . " - why $name");
}

is((change(POST => '/status/dead/b/40', 'replay', 'Host: evil.example'))[0],
   403, $block->name . ' - replay');
is((change(DELETE => '/status/dead/b', 'drop', 'Host: evil.example'))[0],
   403, $block->name . ' - all');



=== TEST 17: host names of the server are accepted
--- config eval
main::bot()
. 'server_name bot.example.com *.wild.example .dot.example tail.*
               ~^(?<x>re)gex\.example$ Upper.Example;'
--- then
give_up(text => 'status/500') for 1 .. 9;

my $id = 0;

for my $host ('bot.example.com', 'BOT.example.com:8080', 'bot.example.com.',
              'upper.example')
{
    is((change(DELETE => '/status/dead/b/' . ++$id, 'drop', "Host: $host"))[0],
       200, $block->name . " - $host");
}

for my $host ('evil.wild.example', 'wild.example', 'dot.example',
              'evil.dot.example', 'tail.evil', 'regex.example', 're',
              'x.bot.example.com', 'bot.example.co', '_')
{
    is((change(DELETE => '/status/dead/b/9', 'drop', "Host: $host"))[0], 403,
       $block->name . " - $host");
}



=== TEST 18: host names inside of if and limit_except
--- config eval
main::bot()
. 'server_name bot.example.com;
   location /if { tgbot_status write=on; if ($arg_if) { set $x 1; } }
   location /limit {
       tgbot_status write=on;
       limit_except GET { allow 127.0.0.1; deny all; }
   }'
--- then
give_up(text => 'status/500') for 1 .. 4;

my $id = 0;

for my $uri ('/if/dead/b/%d', '/if/dead/b/%d?if=1', '/limit/dead/b/%d') {
    my $at = sprintf $uri, ++$id;

    is((change(DELETE => $at, 'drop', 'Host: evil.example'))[0], 403,
       $block->name . " - $at");
    is((change(DELETE => $at, 'drop', 'Host: bot.example.com'))[0], 200,
       $block->name . " - $at");
}



=== TEST 19: changes are logged
--- config eval
main::bot('tgbot_handler /_mended;') . $main::mended
--- then
give_up() for 1 .. 4;
change(DELETE => '/status/dead/b/2', 'drop');
change(DELETE => '/status/dead/b/2', 'drop');
change(POST => '/status/dead/b/1', 'replay');
change(DELETE => '/status/dead/b/3', 'drop', 'Host: evil.example');
change(DELETE => '/status/dead/b', 'drop');

for (
    [ 'bot "b": dead letter 2 is dropped, client: 127.0.0.1', 1 ],
    [ 'bot "b": dead letter 2 is not dropped, client: 127.0.0.1', 1 ],
    [ 'bot "b": dead letter 1 is replayed, client: 127.0.0.1', 1 ],
    [ 'bot "b": a change of dead letters is refused: expected an address', 1 ],
    [ 'dead letters dropped, client: 127.0.0.1', 1 ],
) {
    logged(@$_);
}



=== TEST 20: no token is shown, whatever wrote it
--- config eval
main::bot('tgbot_api /_api/close; tgbot_retry attempts=1;')
. main::bot('tgbot_handler /_program/status/500;', 'c')
--- then
check(end(begin(text => 'json/{"method":"sendPhoto","photo":"bot1:TOKEN/x",'
                        . '"a":"2%253ATOKEN","b":"2\u003aTOKEN"}')),
      'dead', '');

my (undef, $json) = answer('/status/dead/b/1');
my $body = $json->{calls}[0]{body};

is($body->{photo}, 'bot<redacted>/x', $block->name . ' - its own');
is($body->{a}, '<redacted>', $block->name . ' - that of another bot');
is($body->{b}, '<redacted>', $block->name . ' - as JSON may write it');

# JSON, and what is shown as a string

give_up(bot => 'c', text => 'a 2:TOKEN b');
give_up(bot => 'c', text => "\xd1\x8b 1:TOKEN");

for my $id (2, 3) {
    my $got = get("/status/dead/c/$id");

    like($got, qr/<redacted>/, $block->name . " - update $id");
    unlike($got, qr/TOKEN/, $block->name . " - nothing in update $id");
}



=== TEST 21: pages of other sites, and other host names, read no payload
--- config eval
main::bot('tgbot_handler /_program/status/500;')
. 'server_name bot.example.com;
   location /plain { tgbot_status write=on; }'
--- then
give_up(text => 'secretive');

my $written = qr/secretive/;

for my $row (
    [ $written ],
    [ $written, 'Sec-Fetch-Site: none' ],
    [ $written, 'Sec-Fetch-Site: same-origin' ],
    [ $written, 'Host: 192.0.2.1:8080' ],
    [ $written, 'Host: bot.example.com' ],
    [ $written, 'Host: localhost:81', 'Origin: http://LOCALHOST:81' ],
    [ $written, 'Sec-Fetch-Site: same-origin', 'Origin: https://proxy.example' ],
    [ $main::by_site, 'Sec-Fetch-Site: cross-site' ],
    [ $main::by_site, 'Sec-Fetch-Site: same-site' ],
    [ $main::by_site, 'Sec-Fetch-Site: cross-site', 'Origin: http://localhost' ],
    [ $main::by_site, 'Origin: http://evil.example' ],
    [ $main::by_site, 'Origin: http://localhost:81' ],
    [ $main::by_site, 'Origin: http://localhost.evil.example' ],
    [ $main::by_site, 'Origin: http://evil.example?http://localhost' ],
    [ $main::by_site, 'Origin: null' ],
    [ $main::by_site, 'Origin: localhost' ],
    [ $main::by_site, 'Origin:' ],
    [ $main::by_host, 'Host: evil.example' ],
    [ $main::by_host, 'Host: evil.example', 'Sec-Fetch-Site: same-origin' ],
    [ $main::by_host, 'Host: none' ],
) {
    my ($want, @headers) = @$row;
    my $name = $block->name . ' - ' . CORE::join(', ', @headers);

    for my $uri ('/status/dead/b/1', '/status/dead/b') {
        my ($status, $json) = answer($uri, \@headers);
        my $head = get($uri, \@headers, 'HEAD');

        is($status, $want eq $written ? 200 : 403, "$name - $uri");
        like($head, qr/^HTTP\S+ $status /, "$name - HEAD $uri");

        if ($status == 403) {
            like($json->{error}, $want, "$name - why");

        } elsif ($uri =~ /1$/) {
            is($json->{update}{message}{text}, 'secretive', "$name - text");
        }
    }

    # what shows nothing of a user

    is((answer($_, \@headers))[0], 200, "$name - $_")
        for '/status', '/plain/dead/b/1', '/plain/dead/b';
}

logged('a look at dead letters is refused: expected', 13 * 4);



=== TEST 22: a letter is replayed once at a time, and kept when its worker is killed
--- config eval
main::bot('tgbot_handler /_step;') . $main::stalls
--- no_error_log
[crit]
[emerg]
--- then
give_up() for 1 .. 2;
touch('stalls');

is((change(POST => '/status/dead/b/1', 'replay'))[0], 200,
   $block->name . ' - replayed');
until_asked(qr/stall/);

# by each worker

for (1 .. 8) {
    my ($status, $json) = change(POST => '/status/dead/b/1', 'replay');
    is($status, 409, $block->name . ' - once more');
    is($json->{error}, 'the letter is being replayed',
       $block->name . ' - why');

    ($status, $json) = change(DELETE => '/status/dead/b/1', 'drop');
    is($status, 409, $block->name . ' - dropped');
    is($json->{error}, 'the letter is being replayed',
       $block->name . ' - why');
}

is_deeply((change(POST => '/status/dead/b', 'replay'))[1],
          { replayed => 1, left => 2, being_replayed => 1 },
          $block->name . ' - all but one');
is_deeply((change(DELETE => '/status/dead/b', 'drop'))[1],
          { dropped => 0, left => 2, being_replayed => 2 },
          $block->name . ' - none dropped');
asked(('status/500') x 4, ('stall') x 2);
letters('1 failed, 2 failed');

touch('mended');
kill_workers();
letters('1 failed, 2 failed');
is_deeply((change(DELETE => '/status/dead/b/2', 'drop'))[1],
          { dropped => 1 }, $block->name . ' - free to be dropped');
is((change(POST => '/status/dead/b/1', 'replay'))[0], 200,
   $block->name . ' - free to be replayed');
asked('say/x', 'api sendMessage');
letters('');



=== TEST 23: a letter that fails once more stays one letter, and evicts no other
--- config eval
main::bot('tgbot_handler /_program/status/500; tgbot_dead_letters max=2;')
--- then
give_up() for 1 .. 2;

for my $id (1 .. 4) {
    is((change(POST => "/status/dead/b/$id", 'replay'))[0], 200,
       $block->name . " - $id");
    letters(CORE::join ', ', map { "$_ failed" } $id + 1, $id + 2);
}

is(status()->{bots}{b}{dead_letters}{evicted}, 0,
   $block->name . ' - none had to go');



=== TEST 24: update_ids beyond those of Telegram
--- config eval
main::bot('tgbot_handler /_mended; tgbot_attempts 1;') . $main::mended
. main::bot('tgbot_queue zone=updates:1m;', 'q')
--- then
my $wide = Math::BigInt->new('18446744073709551616');

check(end(begin(id => $_)), 'dead', '')
    for -5, 9223372036854775807, $wide, $wide;

my ($status, $json) = answer('/status/dead/b');

is(CORE::join(' ', sort map { $_->{update_id} // 'null' } @{$json->{letters}}),
   '-5 9223372036854775807 null null', $block->name . " - update_ids");

mend();
change(POST => "/status/dead/b/$_", 'replay') for 1 .. 4;
letters('');

my %of;
$of{$_}++ for TgbotProgram::seen() =~ m{^/(status|say|header)/}mg;
is("@of{qw(status say header)}", '4 4 4', $block->name . " - all replayed");

# none of them is taken for another
check(end(begin(id => $_, bot => 'q')), 'queued', '') for 0, -5, $wide, $wide;
asked(('say/x', 'api sendMessage') x 4);



=== TEST 25: two at once whose update_id does not fit
--- config eval: main::bot()
--- then
my $wide = Math::BigInt->new('18446744073709551616');
my @held = map { begin(id => $wide, text => "sleep/0.5/say/x") } 1, 2;

check(end($_), 'done') for @held;
