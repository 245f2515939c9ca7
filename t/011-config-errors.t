#!/usr/bin/perl

# What nginx -t says of each directive that is wrong, and of some that are
# right; and processes that have no webhook, as Test::Nginx starts none.

use strict;
use warnings;

use POSIX qw(mkfifo);
use Test::More;

use lib 't/lib';

use TgbotConf;

my $token = '4711:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc';
my $token2 = '4712:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bd';
my $secret = 'Ohp2aShahxee6ohy';
my $secret2 = 'waeJ0aiFah9uuyei';

my $shown = qr/is shown by "nginx -T"/;


# tgbot_webhook

for my $value ('""', '"a b"', 'a.b', 'a/b', "\xc3\xa4", 'a' x 33, '$x') {
    (my $text = $value) =~ s/"//g;

    refused("webhook $value",
            location("tgbot_webhook $value; tgbot_secret_token off;"),
            qr/invalid value "\Q$text\E" in "tgbot_webhook" directive/,
            qr/expected 1 to 32 of \[A-Za-z0-9_-\]/);
}

refused('webhook, the wrong character is told',
        location('tgbot_webhook shop.two;'), qr/character 5 of 8 is wrong/);

accepted('webhook of 32 characters',
         location('tgbot_secret_token off; tgbot_handler /app; tgbot_webhook '
                  . 'aZ0_-' . 'b' x 27 . ';'));

refused('webhook without a name', location('tgbot_webhook;'),
        qr/number of arguments in "tgbot_webhook" directive/);

refused('webhook with two names', location('tgbot_webhook a b;'),
        qr/invalid value "b" in "tgbot_webhook" directive, expected "username=bot_name"/);

refused('webhook with too much', location('tgbot_webhook a username=b c;'),
        qr/number of arguments in "tgbot_webhook" directive/);

refused("webhook with $_", location("tgbot_webhook a $_;"),
        qr/invalid value "\Q$_\E" in "tgbot_webhook" directive, expected /)
    for 'username=', 'username=@shop_bot', 'username=shop-bot', 'user=a';

refused('text of a button that is too long',
        location('tgbot_webhook a; tgbot_reply json \'{"method":'
                 . '"answerCallbackQuery","x":{"text":1},"text":"'
                 . 'a' x 201 . '"}\';'),
        qr/in "tgbot_reply" directive, expected a text of at most 200 char/);


refused('webhook twice in a location', shop('tgbot_webhook two;'),
        qr/"tgbot_webhook" directive is duplicate/);

refused('webhook in http', 'tgbot_webhook shop;',
        qr/"tgbot_webhook" directive is not allowed here/);

refused('webhook in a server',
        "server { listen unix:$home/s; tgbot_webhook shop; }",
        qr/"tgbot_webhook" directive is not allowed here/);

refused('webhook in if', location('if ($arg_a) { tgbot_webhook shop; }'),
        qr/"tgbot_webhook" directive is not allowed here/);

refused('webhook in limit_except',
        location('limit_except POST { tgbot_webhook shop; }'),
        qr/"tgbot_webhook" directive is not allowed here/);

refused('two webhooks of one name',
        shop('') . shop(''),
        qr/duplicate value "shop" in "tgbot_webhook" directive/,
        qr/expected another name than in \S+nginx\.conf:\d+ /,
        qr/a file that several servers include/);

write_file('shop.inc', 'location /i { tgbot_webhook shop;'
           . ' tgbot_secret_token off; tgbot_handler /app; }');

refused('a file that two servers include',
        "server { listen unix:$home/a; include shop.inc; }\n"
        . "server { listen unix:$home/b; include shop.inc; }",
        qr/duplicate value "shop"/, qr/than in \S+shop\.inc:1 /);

accepted('names differ in case',
         "server {\nlisten unix:$home/s;\ntgbot_secret_token off;\n"
         . "tgbot_handler /app;\nlocation /a { tgbot_webhook shop; }\n"
         . "location /b { tgbot_webhook Shop; }\n}");

refused('proxy_pass before the webhook',
        location('proxy_pass http://127.0.0.1:1; tgbot_webhook shop;'),
        qr/"tgbot_webhook" directive "shop" stands in location "\/t"/,
        qr/expected a location of its own/);

refused('proxy_pass behind the webhook',
        shop('proxy_pass http://127.0.0.1:1;'),
        qr/"tgbot_webhook" directive "shop" stands in location "\/t" beside/,
        qr/expected a location of its own/);

refused('no secret', webhook('tgbot_handler /app;'),
        qr/"tgbot_webhook" directive "shop" has no secret/,
        qr/expected "tgbot_secret_token", "tgbot_secret_token_file" or /);

accepted('neither reply nor handler', bare(''),
         qr/"shop" has neither "tgbot_reply" nor "tgbot_handler"/);

accepted('both off', bare('tgbot_reply off; tgbot_handler off;'),
         qr/"shop" has neither "tgbot_reply" nor "tgbot_handler"/);


# bodies

accepted('client_max_body_size too small', shop('client_max_body_size 512k;'),
         qr/"shop" has a "client_max_body_size" of less than 576k/);

accepted('client_max_body_size inherited, too small',
         shop('', 'client_max_body_size 575k;'),
         qr/"shop" has a "client_max_body_size" of less than 576k/);

accepted('client_max_body_size of 576k', shop('client_max_body_size 576k;'));
accepted('client_max_body_size unlimited', shop('client_max_body_size 0;'));

accepted('client_max_body_size of if is not told twice',
         shop('client_max_body_size 575k; if ($arg_a) { return 403; }'),
         qr/"client_max_body_size"/);

accepted('client_body_in_file_only', shop('client_body_in_file_only clean;'),
         qr/"shop" does without "client_body_in_file_only"/);


# tokens

my $token_shape = qr/expected 1 to 20 digits, ":" and 1 to 128 of/;

for my $case (['""', qr/it is empty/],
              ['4711', qr/it ends after 4 characters/],
              ['4711:', qr/it ends after 5 characters/],
              [':abc', qr/character 1 of 4 is wrong/],
              ['bot4711:abc', qr/character 1 of 11 is wrong/],
              ['"4711:ab c"', qr/character 8 of 9 is wrong/],
              ['4711:ab:c', qr/character 8 of 9 is wrong/],
              ['1' x 21 . ':a', qr/character 21 of 23 is wrong/],
              ['1:' . 'a' x 129, qr/character 131 of 131 is wrong/])
{
    my ($value, $fault) = @$case;
    (my $text = $value) =~ s/"//g;

    for my $file (0, 1) {
        write_file('token', "$text\n");

        refused("token $value, " . ($file ? 'file' : 'inline'),
                $file ? shop('tgbot_token_file token;')
                      : shop("tgbot_token $value;"),
                !$file ? qr/invalid value in "tgbot_token" directive: /
                : length $text
                  ? qr/invalid line 1 of file "\S+token" of "tgbot_token_file"/
                  : qr/file "\S+token" of "tgbot_token_file" directive is empt/,
                $file && !length $text ? () : ($fault, $token_shape));
    }
}

accepted('token of the longest shape',
         shop('tgbot_token ' . '1' x 20 . ':' . 'a' x 128 . ';'), $shown,
         qr/token of bot "shop" in "tgbot_token" directive has 128 characters/);

accepted('token inline', shop("tgbot_token $token;"),
         qr/"tgbot_token" directive $shown, "tgbot_token_file"/);

refused('token twice', shop("tgbot_token $token; tgbot_token $token;"),
        qr/"tgbot_token" directive is duplicate/);

refused('token and token file',
        shop("tgbot_token $token; tgbot_token_file token;"),
        qr/"tgbot_token_file" directive is duplicate, "tgbot_token" is set/);

refused('token file and token',
        shop("tgbot_token_file token; tgbot_token $token;"),
        qr/"tgbot_token" directive is duplicate, "tgbot_token_file" is set/);

refused('token file twice',
        shop("tgbot_token_file a; tgbot_token_file b;"),
        qr/"tgbot_token_file" directive is duplicate/);

refused('two tokens', shop("tgbot_token $token $token2;"),
        qr/number of arguments in "tgbot_token" directive/);

refused('token in if', shop("if (\$arg_a) { tgbot_token $token; }"),
        qr/"tgbot_token" directive is not allowed here/);

refused('a token for a path', shop("tgbot_token_file $token;"),
        qr/invalid value in "tgbot_token_file" directive: it is a token, /,
        qr/expected the path of a file/);

refused('one token under two names',
        "tgbot_token $token;\n"
        . "server {\nlisten unix:$home/s;\ntgbot_secret_token off;\n"
        . "tgbot_handler /app;\nlocation /a { tgbot_webhook one; }\n"
        . "location /b { tgbot_webhook two; }\n}",
        qr/"tgbot_webhook" directives "one" in \S+conf:\d+ and "two"/,
        qr/have one token, expected one of its own for every bot/);

refused('api without a token', shop('tgbot_api /api;'),
        qr/"tgbot_webhook" directive "shop" has "tgbot_api" without a token/,
        qr/expected "tgbot_token" or "tgbot_token_file"/);


# secrets

my $secret_shape = qr/expected 1 to 256 of \[A-Za-z0-9_-\]/;

for my $case (['""', qr/it is empty/],
              ['"a b"', qr/character 2 of 3 is wrong/],
              ['a.b', qr/character 2 of 3 is wrong/],
              ["$secret\xc3\xa4", qr/character 17 of 18 is wrong/],
              ['a' x 257, qr/character 257 of 257 is wrong/])
{
    my ($value, $fault) = @$case;
    (my $text = $value) =~ s/"//g;

    refused("secret $value", webhook("tgbot_secret_token $value;"),
            qr/invalid value in "tgbot_secret_token" directive: /,
            $fault, $secret_shape);

    refused("old secret $value",
            webhook("tgbot_secret_token $secret $value;"),
            qr/invalid value in "tgbot_secret_token" directive: /,
            $fault, $secret_shape);

    next if $text eq '';

    write_file('secret', "$secret\n$text\n");

    refused("old secret $value in a file",
            webhook("tgbot_secret_token_file secret;"),
            qr/invalid line 2 of file "\S+secret" of "tgbot_secret_token_file"/,
            $fault, $secret_shape);
}

accepted('secrets inline',
         webhook("tgbot_handler /app; tgbot_secret_token $secret $secret2;"),
         qr/"tgbot_secret_token" directive $shown, "tgbot_secret_token_file"/);

accepted('the longest secret',
         webhook('tgbot_handler /app; tgbot_secret_token ' . 'a' x 256 . ';'),
         $shown);

for my $value ("off $secret", "$secret off", 'off off') {
    refused("secret $value", webhook("tgbot_secret_token $value;"),
            qr/invalid value "off" in "tgbot_secret_token" directive/,
            qr/expected either one or two secrets or "off"/);
}

refused('three secrets', webhook('tgbot_secret_token a b c;'),
        qr/number of arguments in "tgbot_secret_token" directive/);

refused('secret twice',
        webhook("tgbot_secret_token $secret; tgbot_secret_token $secret2;"),
        qr/"tgbot_secret_token" directive is duplicate/);

refused('secret and off',
        webhook("tgbot_secret_token off; tgbot_secret_token $secret;"),
        qr/"tgbot_secret_token" directive is duplicate/);

refused('secret and file',
        webhook("tgbot_secret_token $secret; tgbot_secret_token_file s;"),
        qr/"tgbot_secret_token_file" directive is duplicate, /,
        qr/"tgbot_secret_token" is set already/);

refused('off and file',
        webhook("tgbot_secret_token off; tgbot_secret_token_file s;"),
        qr/"tgbot_secret_token_file" directive is duplicate/);

refused('file and secret',
        webhook("tgbot_secret_token_file s; tgbot_secret_token $secret;"),
        qr/"tgbot_secret_token" directive is duplicate, /,
        qr/"tgbot_secret_token_file" is set already/);

refused('secret file twice',
        webhook("tgbot_secret_token_file s; tgbot_secret_token_file s;"),
        qr/"tgbot_secret_token_file" directive is duplicate/);


# files of tokens and secrets

mkfifo("$home/conf/fifo", 0600) or die "mkfifo: $!";
symlink "$home/conf/token", "$home/conf/link" or die "symlink: $!";

for my $directive ('tgbot_token_file', 'tgbot_secret_token_file') {
    my $good = $directive eq 'tgbot_token_file' ? $token : $secret;
    my $file = qr/file "\Q$home\E\/conf\/\S+" of "$directive" directive/;

    my $with = sub {
        my ($path) = @_;

        return $directive eq 'tgbot_token_file'
            ? shop("$directive $path;")
            : webhook("tgbot_handler /app; $directive $path;");
    };

    refused("$directive, no file", $with->('absent'),
            qr/$file cannot be read, expected a file of one (line|or two)/,
            qr/\(2: No such file or directory\)/);

    refused("$directive, a directory", $with->('sub'),
            qr/$file is not a regular file/);

    refused("$directive, a FIFO", $with->('fifo'),
            qr/$file is not a regular file/);

    refused("$directive, an empty path", $with->('""'),
            qr/invalid value "" in "$directive" directive/,
            qr/expected the path of a file/);

    for my $path ('/run/$host/t', '/run/$tgbot_botx', '/run/${tgbot_bot',
                  '/run/${tgbot_botx}', '/run/$', '/run/$tgbot_bo',
                  '/run/$tgbot_bot2')
    {
        refused("$directive, $path", $with->("\"$path\""),
                qr/invalid value "\Q$path\E" in "$directive" directive/,
                qr/in which \$tgbot_bot is the only variable/);
    }

    for my $text ('', "\n", "\r\n\n") {
        write_file('token', $text);

        refused("$directive, an empty file", $with->('token'),
                qr/$file is empty/);
    }

    write_file('token', "$good\n" . 'x' x 4096);

    refused("$directive, a large file", $with->('token'),
            qr/$file is larger than 4096 bytes/);

    write_file('token', " $good\n");

    refused("$directive, a leading space", $with->('token'),
            qr/invalid line 1 of $file: character 1 of \d+ is wrong/);

    write_file('token', "\n$good\n");

    refused("$directive, an empty first line", $with->('token'),
            qr/invalid line 1 of $file: it is empty/);

    write_file('token', "$good\n$good\n$good\n");

    refused("$directive, three lines", $with->('token'),
            qr/$file has more than (one line|two lines)/);

    write_file('token', "$good\n", 0602);

    refused("$directive, world-writable", $with->('token'),
            qr/$file is world-writable, expected that only its owner/);

    write_file('token', "$good\n", 0644);

    accepted("$directive, world-readable", $with->('token'),
             qr/$file is world-readable/);

    for my $text ($good, "$good\n", "$good\r\n", "$good\n\n\n") {
        (my $shape = $text) =~ s/\Q$good\E/x/;
        $shape =~ s/\n/\\n/g;
        $shape =~ s/\r/\\r/g;

        write_file('token', $text);
        accepted("$directive, $shape", $with->('token'));
    }

    accepted("$directive, a symbolic link", $with->('link'));
    accepted("$directive, an absolute path", $with->("$home/conf/token"));

    write_file('shop.token', $good);
    write_file('sub/shop', $good);

    accepted("$directive, the name in the path", $with->('$tgbot_bot.token'));
    accepted("$directive, the name in braces", $with->('sub/${tgbot_bot}'));

    refused("$directive, the path is told with the name in it",
            $with->('${tgbot_bot}_x'), qr/\/conf\/shop_x"/);
}

write_file('token', "$token\n$token2\n");

refused('token file, two lines', shop('tgbot_token_file token;'),
        qr/has more than one line/);

write_file('secret', "$secret\r\n$secret2\r\n");

accepted('secret file, two lines',
         webhook('tgbot_handler /app; tgbot_secret_token_file secret;'));

write_file('secret', "$secret\n", 0644);

accepted('a file of two bots is warned of once',
         "tgbot_secret_token_file secret; tgbot_handler /app;\n"
         . "server {\nlisten unix:$home/s;\n"
         . "location /a { tgbot_webhook one; }\n"
         . "location /b { tgbot_webhook two; }\n}",
         qr/"tgbot_secret_token_file" directive is world-readable/);

accepted('a file of no webhook is not read',
         "tgbot_token_file absent; tgbot_secret_token_file absent;\n"
         . "server {\nlisten unix:$home/s;\n}");

accepted('a file that a location replaces is not read',
         shop("tgbot_token $token;", 'tgbot_token_file absent;'), $shown);


# tgbot_reply

refused('reply without a value', shop('tgbot_reply;'),
        qr/number of arguments in "tgbot_reply" directive/);

refused('reply of three words', shop('tgbot_reply json a b;'),
        qr/number of arguments in "tgbot_reply" directive/);

refused('reply of two words', shop('tgbot_reply hello world;'),
        qr/invalid value "hello" in "tgbot_reply" directive/,
        qr/expected \[json\] value, or "off"/);

refused('reply json without a value', shop('tgbot_reply json;'),
        qr/invalid value "json" in "tgbot_reply" directive/,
        qr/expected \[json\] value, or "off"/);

refused('reply and off', shop('tgbot_reply hi; tgbot_reply off;'),
        qr/"tgbot_reply" directive is duplicate, "off" stands alone/);

refused('off and reply', shop('tgbot_reply off; tgbot_reply hi;'),
        qr/"tgbot_reply" directive is duplicate, "off" stands alone/);

refused('off twice', shop('tgbot_reply off; tgbot_reply off;'),
        qr/"tgbot_reply" directive is duplicate/);

for my $value ('{', 'hi', '{"a":}') {
    refused("reply json $value", shop("tgbot_reply json '$value';"),
            qr/invalid value "\Q$value\E" in "tgbot_reply" directive: it /,
            qr/expected a method object or an array of them/);
}

refused('reply json of a method that is not allowed',
        shop(q(tgbot_reply json '{"method":"deleteWebhook"}';)),
        qr/in "tgbot_reply" directive: it /);

for my $value ('{}', '[]', '5', '{"text":"hi"}') {
    refused("reply json $value, no method",
            shop("tgbot_reply json '$value';"),
            qr/invalid value "\Q$value\E" in "tgbot_reply" directive/,
            qr/expected /);
}

accepted('replies', bare('tgbot_reply $arg_a; tgbot_reply hi;'
                         . q(tgbot_reply json '{"method":"sendMessage",)
                         . q("text":"hi"}'; tgbot_reply json $arg_b;)));


# tgbot_handler, tgbot_api

for my $value ('/api Test', '/api test=on', '/api prod', 'off test') {
    my ($word) = $value =~ / (.*)/;

    refused("tgbot_api $value",
            shop("tgbot_token_file shop.token; tgbot_api $value;"),
            qr/invalid value "\Q$word\E" in "tgbot_api" directive/,
            qr/expected "test" after a URI/);
}

refused('tgbot_handler with test', shop('tgbot_handler /app test;'),
        qr/number of arguments in "tgbot_handler" directive/);

for my $directive ('tgbot_handler', 'tgbot_api') {
    my $with = sub {
        my ($value) = @_;

        return webhook("tgbot_secret_token off; tgbot_reply hi;\n"
                       . "tgbot_token_file shop.token; $directive $value;");
    };

    write_file('shop.token', $token);

    for my $case (['app', qr/which starts with "\/" or a variable, or "off"/],
                  ['""', qr/which starts with "\/"/],
                  ['?a=b', qr/which starts with "\/"/],
                  ['@app', qr/named locations cannot be called/],
                  ['http://127.0.0.1:8080/', qr/where "proxy_pass" leads to/],
                  ['HTTPS://example.com', qr/where "proxy_pass" leads to/],
                  ['/../app', qr/a URI without "\/\.\/" and "\/\.\.\/"/],
                  ['/app/..?a=/', qr/a URI without "\/\.\/" and/],
                  ['/./app', qr/a URI without "\/\.\/" and/],
                  ['/app/$1', qr/a URI without captures/],
                  ['"/app/${2}"', qr/a URI without captures/])
    {
        my ($value, $fault) = @$case;
        (my $text = $value) =~ s/"//g;

        refused("$directive $value", $with->($value),
                qr/invalid value "\Q$text\E" in "$directive" directive/,
                qr/expected (the|a) URI/, $fault);
    }

    refused("$directive twice", $with->("/a; $directive /b"),
            qr/"$directive" directive is duplicate/);

    refused("$directive of three words", $with->('/a test b'),
            qr/number of arguments in "$directive" directive/);

    for my $value ('/app', '/app?a=b?c', '/a/$tgbot_bot?t=$tgbot_text',
                   '$arg_a', '/app?x=/../', '/v1$arg_x2', 'off')
    {
        accepted("$directive $value", $with->($value));
    }

    accepted("$directive of dots", $with->('/a.b/..c/...'),
             qr/"$directive" directive "\/a\.b\/\.\.c\/\.\.\."/);
}


# tgbot_reply_via

for my $value ('on', '""', 'API', 'webhook') {
    (my $text = $value) =~ s/"//g;

    refused("reply_via $value", shop("tgbot_reply_via $value;"),
            qr/invalid value "\Q$text\E" in "tgbot_reply_via" directive/,
            qr/expected "auto", "api" or "response"/);
}

refused('reply_via twice',
        shop('tgbot_reply_via auto; tgbot_reply_via auto;'),
        qr/"tgbot_reply_via" directive is duplicate/);

refused('reply_via api without an api', shop('tgbot_reply_via api;'),
        qr/"tgbot_webhook" directive "shop" has "tgbot_reply_via api"/,
        qr/expected "tgbot_api" with it/);

refused('reply_via api, the api is off',
        shop('tgbot_api off;', 'tgbot_reply_via api; tgbot_api /api;'),
        qr/"shop" has "tgbot_reply_via api"/);

accepted('reply_via response', shop('tgbot_reply_via response;'));

accepted('reply_via api',
         shop('tgbot_reply_via api; tgbot_api /api;'
              . 'tgbot_token_file shop.token;'));


# tgbot_hold_timeout, tgbot_call_timeout

for my $name ('tgbot_hold_timeout', 'tgbot_call_timeout') {
    for my $value ('0', '0s', '-1', 'abc', '1x', '""') {
        (my $text = $value) =~ s/"//g;

        refused("$name $value", shop("$name $value;"),
                qr/invalid value "\Q$text\E" in "$name" directive/,
                qr/expected a time greater than 0/);
    }

    refused("$name twice", shop("$name 5s; $name 5s;"),
            qr/"$name" directive is duplicate/);
}

accepted('call_timeout of a day', shop('tgbot_call_timeout 1d;'));

accepted('hold_timeout of 55s', shop('tgbot_hold_timeout 55s;'));
accepted('hold_timeout of 10ms', shop('tgbot_hold_timeout 10ms;'));

accepted('hold_timeout of a minute', shop('tgbot_hold_timeout 1m;'),
         qr/"1m" in "tgbot_hold_timeout" directive is more than 55s, Telegram/);


# tgbot_retry

refused('retry without a parameter', shop('tgbot_retry;'),
        qr/number of arguments in "tgbot_retry" directive/);

for my $case (['attempts=0', qr/expected a number greater than 0/],
              ['attempts=-1', qr/expected a number greater than 0/],
              ['attempts=', qr/expected a number greater than 0/],
              ['attempts=5s', qr/expected a number greater than 0/],
              ['backoff=0', qr/expected a time greater than 0/],
              ['backoff=x', qr/expected a time greater than 0/],
              ['max_backoff=0ms', qr/expected a time greater than 0/],
              ['life=', qr/expected a time greater than 0/],
              ['life=0', qr/expected a time greater than 0/],
              ['5', qr/expected "attempts=", "backoff=", "max_backoff=" or/],
              ['off', qr/expected "attempts="/],
              ['attempt=5', qr/expected "attempts="/])
{
    my ($value, $fault) = @$case;

    refused("retry $value", shop("tgbot_retry $value;"),
            qr/invalid value "\Q$value\E" in "tgbot_retry" directive/, $fault);
}

refused('retry with a parameter twice',
        shop('tgbot_retry attempts=3 attempts=4;'),
        qr/invalid value "attempts=4" in "tgbot_retry" directive/,
        qr/expected every parameter only once/);

refused('retry, backoff above max_backoff',
        shop('tgbot_retry backoff=2s max_backoff=1s;'),
        qr/invalid value "backoff=2000ms" in "tgbot_retry" directive/,
        qr/expected at most "max_backoff", which is 1000ms/);

refused('retry, backoff above the default of max_backoff',
        shop('tgbot_retry backoff=1m;'),
        qr/expected at most "max_backoff", which is 30000ms/);

refused('retry, max_backoff below the default of backoff',
        shop('tgbot_retry max_backoff=100ms;'),
        qr/invalid value "backoff=500ms"/);

refused('retry, parameters of one directive are not merged',
        shop('tgbot_retry backoff=1m;', 'tgbot_retry max_backoff=2m;'),
        qr/expected at most "max_backoff", which is 30000ms/);

refused('retry twice', shop('tgbot_retry attempts=1; tgbot_retry life=1s;'),
        qr/"tgbot_retry" directive is duplicate/);

accepted('retry with all', shop('tgbot_retry attempts=1 backoff=1s '
                                . 'max_backoff=1s life=1d;'));
accepted('retry with one', shop('tgbot_retry life=1ms;'));


# tgbot_pace

for my $case (['chat=1', qr/between 1 and 1000000 with "r\/s" or "r\/m"/],
              ['group=0r/m', qr/between 1 and 1000000 with "r\/s" or "r\/m"/],
              ['global=30r/h', qr/between 1 and 1000000 with "r\/s" or "r\/m"/],
              ['paid=r/s', qr/between 1 and 1000000 with "r\/s" or "r\/m"/],
              ['chat_burst=0', qr/expected a number between 1 and 1000000/],
              ['paid_burst=x', qr/expected a number between 1 and 1000000/],
              ['max_wait=0', qr/expected a time greater than 0/],
              ['redis=1', qr/expected "zone=", .* "max_wait=" or "redis", or /],
              ['burst=3', qr/expected "zone=", "chat=", "group=", "global=", /])
{
    my ($value, $fault) = @$case;

    refused("pace $value", shop("tgbot_pace $value;"),
            qr/invalid value "\Q$value\E" in "tgbot_pace" directive/, $fault);
}

refused('pace off beside another value', shop('tgbot_pace off chat=1r/s;'),
        qr/in "tgbot_pace" directive/);

accepted('pace with all',
         shop('tgbot_pace zone=p:1m chat=1r/s chat_burst=1 group=20r/m '
              . 'group_burst=1 global=1000000r/s global_burst=1000000 '
              . 'paid=1r/m paid_burst=1 max_wait=1ms;'));
accepted('pace off', shop('tgbot_pace off;'));

# "shop" is the name of the webhook

refused('a gateway with another zone than its bot',
        shop('', "tgbot_pace zone=one:1m; tgbot_token $token; tgbot_api /api; "
                 . "server { listen unix:$home/g; location /bot/ { "
                 . 'tgbot_gateway shop; tgbot_pace zone=two:1m; } }'),
        qr/value "shop" in "tgbot_gateway" directive has a "tgbot_pace" with/);

# tgbot_gateway

sub calls {
    my ($directives, $location, $more) = @_;

    $location //= '/bot/';
    $more //= "tgbot_token $token; tgbot_api /api;";

    return webhook("tgbot_secret_token off; tgbot_handler /app; $more\n}\n"
                   . "location $location {\n$directives");
}

accepted('gateway with all',
         calls('tgbot_gateway shop bulk timeout=1ms order=strict '
               . 'idempotency=keys:1m allow=setWebhook,close;'), $shown);

for my $case (['x', qr/expected "bulk", "timeout=", "order=", "idempotency=" or "allow="/],
              ['timeout=0', qr/expected a time greater than 0/],
              ['timeout=', qr/expected a time/],
              ['timeout=x', qr/expected a time/],
              ['order=x', qr/expected "chat", "strict" or "off"/],
              map { [$_, qr/expected some of "getUpdates", "setWebhook", /] }
                  'allow=', 'allow=getMe', 'allow=close,', 'allow=close,,logOut',
                  'allow=close;logOut')
{
    my ($value, $fault) = @$case;

    refused("gateway $value", calls("tgbot_gateway shop '$value';"),
            qr/invalid value "\Q$value\E" in "tgbot_gateway" directive/, $fault);
}

refused('gateway with a value twice', calls('tgbot_gateway shop bulk bulk;'),
        qr/in "tgbot_gateway" directive/);

refused('gateway without a name', calls('tgbot_gateway;'),
        qr/number of arguments in "tgbot_gateway" directive/);

refused('gateway with a name that cannot be', calls('tgbot_gateway a.b;'),
        qr/invalid value "a.b" in "tgbot_gateway" directive: character 2 of 3/);

refused('gateway twice in a location',
        calls('tgbot_gateway shop; tgbot_gateway shop;'),
        qr/"tgbot_gateway" directive is duplicate/);

refused('gateway of no bot', calls('tgbot_gateway none;'),
        qr/value "none" in "tgbot_gateway" directive is the name of no bot, expected that of a "tgbot_webhook"/);

refused('gateway of a bot that has no Bot API',
        calls('tgbot_gateway shop;', '/bot/', 'tgbot_api off;'),
        qr/value "shop" in "tgbot_gateway" directive names a bot without "tgbot_api"/);

for my $directives ('proxy_pass http://127.0.0.1:1; tgbot_gateway shop;',
                    'tgbot_gateway shop; proxy_pass http://127.0.0.1:1;')
{
    refused("gateway: $directives", calls($directives),
            qr{"tgbot_gateway" directive "shop" stands in location "/bot/" beside another content handler, expected a location of its own});
}

for my $location ('= /bot', '~ ^/bot', '@bot') {
    my ($name) = $location =~ /(\S+)$/;

    refused("gateway in $location", calls('tgbot_gateway shop;', $location),
            qr{"tgbot_gateway" directive "shop" stands in location "\Q$name\E" which is no prefix, expected a location such as "/bot/"});
}

refused('gateway in if', calls('if ($arg_a) { tgbot_gateway shop; }'),
        qr/"tgbot_gateway" directive is not allowed here/);

refused('gateway in a server', "server { listen unix:$home/s; tgbot_gateway shop; }",
        qr/"tgbot_gateway" directive is not allowed here/);

# a bot with two gateways, a webhook and broadcasts, which have these paces

write_file('paced', "$token\n");

my $redis = 'tgbot_redis 127.0.0.1;';

sub paces {
    my ($one, $two, $webhook, $broadcast) = map { $_ // '' } @_[0 .. 3];

    return shop($webhook, "tgbot_token_file paced; tgbot_api /api; $redis
server { listen unix:$home/g;
location /one/ { tgbot_gateway shop bulk; $one }
location /two/ { tgbot_gateway shop; $two }
location /b/ { tgbot_broadcast shop zone=b:8m; $broadcast } }");
}

my $paced = 'tgbot_pace global=25r/s;';
my @other = (qr/"tgbot_pace" directive has another pace for bot "shop" than /,
             qr/ in \S+nginx\.conf:\d+, expected .* in \S+nginx\.conf:\d+/);

for my $case ('chat=2r/s', 'chat_burst=4', 'group=1r/s', 'group_burst=1',
              'global=26r/s', 'paid=1r/s', 'paid_burst=9', 'redis')
{
    my $pace = "tgbot_pace global=25r/s $case;" =~ s/25r.s global=//r;

    refused("paces, $case", paces($paced, $pace), @other);
    refused("paces, $case at the webhook", paces($paced, '', $pace), @other);
    refused("paces, $case of broadcasts", paces('', $paced, '', $pace),
            @other);
}

accepted('paces of one rate',
         paces($paced, 'tgbot_pace global=1500r/m max_wait=1s;', $paced,
               $paced));
accepted('paces, off', paces($paced, 'tgbot_pace off;', 'tgbot_pace off;'));
accepted('paces, none elsewhere', paces('', $paced));
accepted('paces in Redis', paces(('tgbot_pace redis;') x 4));

$redis = '';

for my $n (0 .. 3) {
    refused("no Redis for the pace of location $n",
            paces(('') x $n, 'tgbot_pace max_wait=9s redis;'),
            qr/value "redis" in "tgbot_pace" directive names no Redis, /,
            qr/expected "tgbot_redis" in http in \S+nginx\.conf:\d+/);
}


# tgbot_retry_on

refused('retry_on without a value', shop('tgbot_retry_on;'),
        qr/number of arguments in "tgbot_retry_on" directive/);

for my $value ('http_500', '429', 'on', 'Error', '""') {
    (my $text = $value) =~ s/"//g;

    refused("retry_on $value", shop("tgbot_retry_on error $value;"),
            qr/invalid value "\Q$text\E" in "tgbot_retry_on" directive/,
            qr/expected some of "http_429", "http_5xx", "error" and "timeout"/);
}

refused('retry_on with off beside', shop('tgbot_retry_on error off;'),
        qr/invalid value "off" in "tgbot_retry_on" directive/,
        qr/or "off" alone/);

refused('retry_on with one twice', shop('tgbot_retry_on error error;'),
        qr/invalid value "error" in "tgbot_retry_on" directive/,
        qr/expected every value only once/);

refused('retry_on twice', shop('tgbot_retry_on error; tgbot_retry_on off;'),
        qr/"tgbot_retry_on" directive is duplicate/);

accepted('retry_on all', shop('tgbot_retry_on http_429 http_5xx error '
                              . 'timeout;'));
accepted('retry_on off', shop('tgbot_retry_on off;'));


# tgbot_response_size, tgbot_max_calls

for my $value ('0', '1023', '65m', '1g', '-1', 'big', '""') {
    (my $text = $value) =~ s/"//g;

    refused("response_size $value", shop("tgbot_response_size $value;"),
            qr/invalid value "\Q$text\E" in "tgbot_response_size" directive/,
            qr/expected a size between 1k and 64m/);
}

refused('response_size twice',
        shop('tgbot_response_size 1k; tgbot_response_size 1k;'),
        qr/"tgbot_response_size" directive is duplicate/);

accepted('response_size of 1k', shop('tgbot_response_size 1k;'));
accepted('response_size of 64m', shop('tgbot_response_size 64m;'));

for my $value ('0', '65536', '-1', 'many', '""', '1k') {
    (my $text = $value) =~ s/"//g;

    refused("max_calls $value", shop('', "tgbot_max_calls $value;"),
            qr/invalid value "\Q$text\E" in "tgbot_max_calls" directive/,
            qr/expected a number between 1 and 65535/);
}

refused('max_calls twice', shop('', 'tgbot_max_calls 1; tgbot_max_calls 1;'),
        qr/"tgbot_max_calls" directive is duplicate/);

refused('max_calls in a location', shop('tgbot_max_calls 1;'),
        qr/"tgbot_max_calls" directive is not allowed here/);

accepted('max_calls of 1', shop('', 'tgbot_max_calls 1;'));
accepted('max_calls of 65535', shop('', 'tgbot_max_calls 65535;'));


# no other directive either is for if and limit_except, or outside of http

for my $line ("tgbot_token $token", "tgbot_token_file t",
              'tgbot_secret_token off', 'tgbot_secret_token_file s',
              'tgbot_reply off', 'tgbot_handler off', 'tgbot_api off',
              'tgbot_reply_via auto', 'tgbot_hold_timeout 1s',
              'tgbot_call_timeout 1s', 'tgbot_retry life=1s', 'tgbot_retry_on off',
              'tgbot_response_size 1k')
{
    my ($name) = split ' ', $line;

    refused("$name in if", shop("if (\$arg_a) { $line; }"),
            qr/"$name" directive is not allowed here/);

    refused("$name in limit_except", shop("limit_except GET { $line; }"),
            qr/"$name" directive is not allowed here/);
}

accepted('directives in http, server and location',
         shop('tgbot_api /api; tgbot_token_file shop.token;',
              "tgbot_api /a; tgbot_token_file absent; tgbot_reply_via auto;\n"
              . "tgbot_hold_timeout 1s; tgbot_retry life=1s;\n"
              . "tgbot_call_timeout 1s;\n"
              . "tgbot_retry_on off; tgbot_response_size 1k; tgbot_reply a;"));

accepted('if and limit_except in a webhook',
         shop('if ($arg_a) { return 403; } limit_except POST { deny all; }'));

accepted('webhooks in nested and regular expression locations',
         "server {\nlisten unix:$home/s;\ntgbot_secret_token off;\n"
         . "tgbot_handler /app;\nlocation /a { tgbot_webhook one;\n"
         . "location /a/b { tgbot_webhook two; }\n"
         . "location ~ \\.php\$ { tgbot_webhook three; } }\n}");


# processes without webhooks

for my $mode ('off', 'on') {
    my $set = "daemon off;\nmaster_process $mode;\n";

    for my $case (['without http', ''],
                  ['without a webhook',
                   http_block("proxy_cache_path $home/cache keys_zone=c:1m;\n"
                              . 'tgbot_secret_token off; tgbot_max_calls 9;')])
    {
        my ($name, $text) = @$case;
        my ($status, $out) = started($set . $text);

        is($status, 0, "$name, master_process $mode");
        unlike($out, qr/\[(?:alert|crit|emerg)\]/,
               "$name, master_process $mode, no alerts") or diag($out);
    }
}


# what all of this said, and left

unlike($leaks, qr/\Q$token\E|\Q$token2\E|AAEhBOweik6/, 'no token is told');
unlike($leaks, qr/\Q$secret\E|\Q$secret2\E/, 'no secret is told');


# tgbot_broadcast

write_file('shop.token', $token);

sub cast {
    my ($directives, $more) = @_;

    $more //= 'tgbot_token_file shop.token; tgbot_api /api;';

    return webhook("tgbot_secret_token off; tgbot_handler /app; $more\n}\n"
                   . "location /cast {\n$directives");
}

accepted('broadcast', cast('tgbot_broadcast shop zone=cast:1m;'));

refused('broadcast without a zone', cast('tgbot_broadcast shop x;'),
        qr/value "x" in "tgbot_broadcast" directive, expected "zone=" or "idemp/);

accepted('broadcast with Idempotency-Key',
         cast('tgbot_broadcast shop zone=cast:1m idempotency=keys:1m;'));

refused('broadcast with keys and no zone',
        cast('tgbot_broadcast shop idempotency=keys:1m;'),
        qr/value "shop" in "tgbot_broadcast" directive stands without "zone=", exp/);

refused('broadcast with too little', cast('tgbot_broadcast shop;'),
        qr/number of arguments in "tgbot_broadcast" directive/);

refused('broadcast in a small zone', cast('tgbot_broadcast shop zone=cast:1k;'),
        qr/zone "cast:1k" in "tgbot_broadcast" directive.* or more/);

refused('broadcast of no bot', cast('tgbot_broadcast none zone=cast:1m;'),
        qr/"tgbot_broadcast" directive "none" names no bot, expected the name of a "tgbot_webhook"/);

refused('broadcast of a bot that has no Bot API',
        cast('tgbot_broadcast shop zone=cast:1m;', 'tgbot_api off;'),
        qr/"tgbot_broadcast" directive "shop" names a bot without "tgbot_api"/);

refused('broadcast twice',
        cast("tgbot_broadcast shop zone=cast:1m;\n}\nlocation /two {\n"
             . 'tgbot_broadcast shop zone=cast;'),
        qr/names a bot that has a "tgbot_broadcast" already, expected one/);

refused('broadcast beside another handler',
        cast('tgbot_broadcast shop zone=cast:1m; proxy_pass http://127.0.0.1;'),
        qr/stands in location "\/cast", expected a prefix location of its own/);

refused('broadcast in an exact location',
        cast("root html;\n}\nlocation = /x {\n"
             . 'tgbot_broadcast shop zone=cast:1m;'),
        qr/stands in location "\/x", expected a prefix location of its own/);


write_file('nginx.conf', '');
write_file('shop.token', $token);
write_file('secret', $secret);

my $conf = webhook("tgbot_token_file shop.token; tgbot_api /api;\n"
                   . "tgbot_secret_token_file secret; tgbot_handler /app;");

test_conf($conf);
my $before = listing();
my ($rc, $out) = test_conf($conf);

is($rc, 0, 'a whole configuration');

# but for the time of the directory in which it makes a socket, for a moment

my $changing = qr/^(?:\S+nginx\.conf|\Q$home\E) \d+ \d+\n/m;

is(listing() =~ s/$changing//gr, $before =~ s/$changing//gr,
   'nginx -t changes nothing');

($rc, $out) = do {
    my $dump = `'$nginx' -T -p '$home/' -c conf/nginx.conf -e stderr 2>&1`;
    ($? >> 8, $dump);
};

is($rc, 0, 'nginx -T');
unlike($out, qr/\Q$token\E|\Q$secret\E/, 'nginx -T does not show the files');

done_testing();
