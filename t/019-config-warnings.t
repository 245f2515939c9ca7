#!/usr/bin/perl

# What nginx -t warns of: mistakes that it accepts, and that the first update
# would show.  Each has neighbours that are right, or that only a request
# decides, and of these nginx says nothing.

use strict;
use warnings;

use Test::More;

use lib 't/lib';

use TgbotConf;

my $key = 'AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc';
my $app = 'location = /app { internal; }';
my $api = 'location = /api { internal;'
    . ' proxy_pass http://127.0.0.1:9$tgbot_api_uri; }';

# each case has all of its locations itself
$called = '';
$alone = '';

write_file("$_.token", "4711$_:$key\n") for 1 .. 3;


# a server with one bot, whose directives are on lines of their own

sub bot {
    my ($directives, $locations, $server) = @_;

    return "server {\nlisten unix:$home/s;\n" . ($server || '') . "\n"
        . ($locations || '') . "\nlocation = /t {\ntgbot_webhook shop;\n"
        . "tgbot_secret_token off;\n$directives\n}\n}";
}


sub handler {
    my ($uri, @rest) = @_;

    return bot("tgbot_handler $uri;", @rest);
}


sub with_api {
    my ($uri, @rest) = @_;

    return bot("tgbot_reply hi;\ntgbot_token_file 1.token;\ntgbot_api $uri;",
               @rest);
}


# a token in a path is not shown

for my $location ('location /x/47111:', 'location /') {
    accepted("tgbot_api, a token in its path, $location",
             with_api("/x/47111:$key",
                      $location . ($location =~ /:$/ ? $key : '') . ' { }'),
             qr{"tgbot_api" directive "/x/<redacted>" of bot "shop" leads to }
             . ($location =~ /:$/ ? qr{location "/x/<redacted>" that}
                                  : qr{location "/" that}));
}


# tgbot_handler and tgbot_api: the location

for my $case (['tgbot_handler', \&handler, $app, '/app'],
              ['tgbot_api', \&with_api, $api, '/api'])
{
    my ($directive, $with, $good, $uri) = @$case;
    my $says = sub {
        my ($value) = @_;
        return qr/"$directive" directive "\Q$value\E" of bot "shop" leads to/;
    };

    accepted("$directive, a location", $with->($uri, $good));

    accepted("$directive, no location", $with->('/no', $good),
             qr/${\$says->('\/no')} no location of its server, expected the URI/);

    accepted("$directive, longer than the location", $with->("$uri/a", $good),
             $says->("$uri/a"));

    accepted("$directive, the location is in another server",
             $with->($uri) . "\nserver { listen unix:$home/other; $good }",
             $says->($uri));

    accepted("$directive, the location of the site",
             $with->($uri, 'location / { root /srv; }'),
             qr/${\$says->($uri)} location "\/" that any client can reach, expect/);

    accepted("$directive, a location without internal",
             $with->($uri, "location $uri { allow all; }"),
             qr/${\$says->($uri)} location "\Q$uri\E" that any client can reach/);

    accepted("$directive, the webhook itself", $with->('/t'),
             qr/${\$says->('\/t')} location "\/t" of a webhook, expected the/);

    accepted("$directive, a redirect to the location",
             $with->($uri, "location $uri/ { internal; proxy_pass"
                           . ' http://127.0.0.1:9; }'),
             qr/${\$says->($uri)} location "\Q$uri\E\/" by a redirect, expected/);

    # how nginx finds a location

    for my $place ("location $uri { internal; }",
                   'location /a { internal; }',
                   'location ^~ /a { internal; } location ~ /a { }',
                   'location / { internal; location /a { } }',
                   "location / { location /a { location = $uri"
                   . ' { internal; } } }',
                   'location ~ ^/ap+ { internal; } location / { }',
                   'location ~ ^/ap+ { internal; } location /a { }',
                   'location ~* ^/APP?I?$ { internal; }',
                   'location ~ x { } location ~ ^/a { internal; }',
                   'location ~ ^/a { location ~ p { internal; } }',
                   'location /a { location /ap { } }'
                   . ' location ~ ^/a { internal; }',
                   "location $uri/ { } location ~ ^/a { internal; }",
                   'location /b { } location /c { } location /aa { }'
                   . " location /az { } location = /a { } location = $uri "
                   . '{ internal; }')
    {
        accepted("$directive, $place", $with->($uri, $place));
    }

    for my $place ("location ~ ^$uri\$ { } location $uri { internal; }",
                   "location = $uri { } location ^~ $uri { internal; }",
                   'location ^~ /a { } location ~ ^/a { internal; }',
                   'location ~ /a { } location ~ /ap { internal; }',
                   'location / { location /a { } } location /b { internal; }')
    {
        accepted("$directive, $place", $with->($uri, $place), $says->($uri));
    }

    # what only a request decides

    for my $rewrite ('rewrite ^/no$ ' . "$uri;", 'if ($arg_a) { return 403; }',
                     "set \$where $uri;")
    {
        accepted("$directive, $rewrite", $with->('/no', $good, $rewrite));
    }

    accepted("$directive, a variable",
             "map \$tgbot_command \$where { default $uri; /x /no; }\n"
             . $with->('$where', $good));

    accepted("$directive, a variable behind a path",
             $with->('/no$tgbot_bot', $good));

    accepted("$directive, arguments",
             $with->("'$uri?a=\$tgbot_bot'", $good));

    # of directives above the webhooks

    my $two = join "\n", map "location = /t$_ { tgbot_webhook b$_;"
        . " tgbot_token_file $_.token; }", 1, 2;
    my $one = "server { listen unix:$home/b; location = /t3"
        . ' { tgbot_webhook b3; tgbot_token_file 3.token; } LOCATION }';

    $two = "tgbot_secret_token off; $directive $uri;"
        . ($directive eq 'tgbot_api' ? ' tgbot_reply hi;' : '')
        . "\nserver { listen unix:$home/a; $two }\n$one";

    accepted("$directive of http, no location: one warning a server",
             $two =~ s/LOCATION//r,
             map(qr/"$directive" directive "\Q$uri\E" of bot "$_" leads to no/,
                 'b1', 'b3'));

    accepted("$directive of http, no location in one server",
             $two =~ s/LOCATION/$good/r,
             qr/"$directive" directive "\Q$uri\E" of bot "b1" leads to no/);
}

accepted('a return as the program', handler('/app', 'location = /app {'
         . ' internal; default_type application/json; return 200 "{}"; }'));


# tgbot_api: proxy_pass

for my $pass ('http://127.0.0.1:9', 'http://127.0.0.1:9/',
              'http://127.0.0.1:9/bot', 'http://telegram')
{
    accepted("tgbot_api, proxy_pass $pass",
             "upstream telegram { server 127.0.0.1:9; }\n"
             . with_api('/api', "location = /api { internal;"
                                . " proxy_pass $pass; }"));

    accepted("tgbot_handler, proxy_pass $pass",
             "upstream telegram { server 127.0.0.1:9; }\n"
             . handler('/app', "location = /app { internal;"
                               . " proxy_pass $pass; }"));
}

for my $location ('proxy_pass http://127.0.0.1:9$tgbot_api_uri;',
                  'set $to 127.0.0.1:9$tgbot_api_uri; proxy_pass http://$to;',
                  'rewrite ^ $tgbot_api_uri break;'
                  . ' proxy_pass http://127.0.0.1:9;',
                  'proxy_pass http://127.0.0.1:9$request_uri;',
                  'fastcgi_pass 127.0.0.1:9;', 'return 200 "{}";')
{
    accepted("tgbot_api, $location",
             with_api('/api', "location = /api { internal; $location }"));
}


# return beside the webhook

my $return = qr/"tgbot_webhook" directive "shop" gets no requests: "return"/;

accepted('return in the location of the webhook',
         handler("/app;\nreturn 200", $app),
         qr/$return answers all of its location, expected a location without/);

accepted('return before the webhook',
         bot('tgbot_handler /app;', $app) =~ s/(location = \/t \{)/$1 return 204;/r,
         $return);

accepted('return in the server of the webhook',
         handler('/app', $app, 'return 301 https://example.com;'),
         qr/$return answers all of its server, expected a server without/);

accepted('return under a condition',
         handler("/app;\nif (\$arg_a) { return 403; }\nset \$a 1", $app));

accepted('return in another location',
         handler('/app', "$app location / { return 404; }"));

accepted('return in a location inside',
         bot("tgbot_handler /app;\nlocation /t/in { return 404; }", $app)
         =~ s/location = \/t \{/location \/t {/r);


# a queue without tgbot_api

my $queue = "tgbot_queue zone=q:4m;\ntgbot_handler /app;";
my $needs = qr/directive "shop" has "tgbot_queue" and "tgbot_handler" without/;

accepted('a queue without tgbot_api', bot($queue, $app),
         qr/$needs "tgbot_api", .* expected "tgbot_api", or "tgbot_api off"/);

accepted('a queue in Redis without tgbot_api', "tgbot_redis 127.0.0.1;\n"
         . bot("tgbot_queue redis;\ntgbot_handler /app;", $app), $needs);

accepted('a queue with tgbot_api off', bot("$queue\ntgbot_api off;", $app));

accepted('a queue with tgbot_api off in http',
         "tgbot_api off;\n" . bot($queue, $app));

accepted('a queue with tgbot_api off in the server',
         bot($queue, $app, 'tgbot_api off;'));

accepted('a queue with tgbot_api of http',
         "tgbot_token_file 1.token; tgbot_api /api;\n"
         . bot($queue, "$app $api"));

accepted('a queue without a program', bot('tgbot_queue zone=q:4m;'),
         qr/has neither "tgbot_reply" nor "tgbot_handler"/);

accepted('no queue, and no tgbot_api', handler('/app', $app));

accepted('a queue of many bots is warned of once',
         "tgbot_queue zone=q:8m share=100%; tgbot_secret_token off;"
         . " tgbot_handler /app;\nserver { listen unix:$home/s; $app\n"
         . join("\n", map "location = /t$_ { tgbot_webhook b$_; }", 1 .. 3)
         . "\n}", qr/"b1" has "tgbot_queue" and "tgbot_handler" without/);


# tokens and secrets in the configuration

my @bots = map "location = /t$_ {\ntgbot_webhook b$_;\n"
    . "tgbot_token 4711$_:$key;\ntgbot_secret_token s$_;\n}", 1 .. 3;

sub inline {
    my ($n) = @_;

    return "server {\nlisten unix:$home/s;\ntgbot_reply hi;\n"
        . join("\n", @bots[0 .. $n - 1]) . "\n}";
}

accepted('a token and a secret inline', inline(1),
         qr/value of "tgbot_token" directive is shown by "nginx -T"/,
         qr/value of "tgbot_secret_token" directive is shown by "nginx -T"/);

accepted('tokens and secrets inline are warned of once', inline(3),
         qr/values of 3 "tgbot_token" directives are shown by "nginx -T"/,
         qr/values of 3 "tgbot_secret_token" directives are shown by "nginx/);

my (undef, $said) = test_conf(inline(3));

my ($first) = map { (split /\n/, content())[$_ - 1] }
    $said =~ /"tgbot_token_file" .* first one is in \S+:(\d+)/;
is($first, "tgbot_token 47111:$key;", 'the first of the lines is told');


# the shape of a token

my $cut = substr $key, 0, 34;

for my $case ([$cut, 34], ["${key}a", 36], ['h', 1]) {
    my ($text, $n) = @$case;

    write_file('cut.token', "4711:$text\n");

    my $shape = qr/token of bot "shop" in "(?:tgbot_token|tgbot_token_file)" /;

    accepted("a token with $n characters",
             bot("tgbot_reply hi;\ntgbot_token_file cut.token;"),
             qr/$shape.* has $n characters after ":", expected 35, as BotFat/);

    accepted("a token with $n characters inline",
             bot("tgbot_reply hi;\ntgbot_token 4711:$text;"),
             qr/$shape.* has $n characters after ":", expected 35/,
             qr/is shown by "nginx -T"/);
}

accepted('a token with 35 characters',
         bot("tgbot_reply hi;\ntgbot_token_file 1.token;"));

unlike($leaks, qr/\Q$key\E|\Q$cut\E/, 'no message quotes a token');


sub content {
    open my $fh, '<', "$home/conf/nginx.conf" or die "nginx.conf: $!";
    local $/;
    return <$fh>;
}

done_testing();
