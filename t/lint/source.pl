#!/usr/bin/perl

# What can be seen of the sources without compiling them.
#
#   t/lint/source.pl [directory]
#
# prints "file:line: [check] what is wrong", exits 1 if anything is.

use strict;
use warnings;

my $columns = 80;
my $python_columns = 100;
my $function_lines = 80;
my $file_lines = 1200;

# The folders of the module, and the floor that each stands on: a file includes
# headers of its own folder and of those on lower floors.

my %floor = (telegram => 0, zones => 1, calls => 1, work => 2, http => 3,
             conf => 4);

# functions that block, do not know a length, or have one in nginx

my @banned = qw(
    sprintf vsprintf strcpy strcat strlen atoi atol strtol alloca
    malloc calloc realloc free assert usleep sleep ngx_msleep nanosleep
    getaddrinfo gethostbyname curl_easy_perform redisConnect
    redisConnectWithTimeout redisConnectUnix redisCommand
);

# forks of nginx and of libcurl count as they like: config tests for a feature
my @versions = qw(
    nginx_version NGINX_VERSION NGINX_VER LIBCURL_VERSION LIBCURL_VERSION_NUM
    LIBCURL_VERSION_MAJOR LIBCURL_VERSION_MINOR
);

my $unfinished = qr/\b(?:TODO|FIXME|XXX|HACK)\b|not implemented/;

my $dir = shift // '.';
my $module = 'ngx_http_tgbot_module';
my $found = 0;


chdir $dir or die "$dir: $!\n";

my @sources = sort glob "$module/*/*.[ch]";
my %folder = map { m{([^/]+)/([^/]+)$} ? ($2 => $1) : () } @sources;
my @harness = sort glob "t/unit/*.[ch] t/fuzz/*.[ch]";
my @pages = sort glob "$module/*/*.html";
my @scripts = grep { -f } sort glob "dev config config.make .ci/* t/lint/* "
                                    . "t/unit/run t/*/run t/*/*.py t/lib/* "
                                    . "t/tools/*.sh "
                                    . "$module/*/*.sh $module/*/*.lua";

report('sources', $module, 0, 'has no sources') unless @sources;

for my $file (@sources, @harness) {
    my $text = content($file);
    my $code = code($text);

    lines($file, $text);
    comments($file, $code);

    if ($file =~ m{^$module/}) {
        functions($file, $code);
        includes($file, $text);
        calls($file, $code);
        versions($file, $code);
        secrets($file, $code);
    }
}

lines($_, content($_)) for @scripts, @pages;
page($_, content($_)) for @pages;
unfinished($_) for @sources, @pages, @harness, sort(everything('t')),
                   grep { -f } qw(README.md config nginx.conf.sample);
circles();
directives();
variables();
source_tree();
documents();

exit($found ? 1 : 0);


sub report {
    my ($check, $file, $line, $what) = @_;

    print "$file:$line: [$check] $what\n";
    $found++;
}


sub content {
    my ($file) = @_;

    open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
    local $/;
    return scalar(<$in>) // '';
}


sub everything {
    my ($dir) = @_;

    opendir my $in, $dir or return;

    return map { -d "$dir/$_" ? everything("$dir/$_") : "$dir/$_" }
           grep { !/^\.|^servroot|^__pycache__$|^seeds$|^lint$/ } readdir $in;
}


# the text with comments, strings and characters blanked, line for line

sub code {
    my ($text) = @_;

    $text =~ s{
        (/\*.*?\*/) | "((?:[^"\\\n]|\\.)*)" | '((?:[^'\\\n]|\\.)*)'
    }{
        defined $1 ? blank($1)
                   : defined $2 ? '"' . blank($2) . '"' : "'" . blank($3) . "'"
    }gsex;

    return $text;
}


sub blank {
    my ($text) = @_;

    $text =~ s/[^\n]/ /g;
    return $text;
}


sub line_of {
    my ($text, $offset) = @_;

    return 1 + (substr($text, 0, $offset) =~ tr/\n//);
}


sub lines {
    my ($file, $text) = @_;

    my $n = 0;
    my $python = $file =~ /\.py$/ || $text =~ /\A#!.*python/;

    for my $line (split /\n/, $text, -1) {
        $n++;

        report('columns', $file, $n, length($line) . " columns")
            if length($line) > ($python ? $python_columns : $columns);
        report('tabs', $file, $n, 'a tab') if $line =~ /\t/;
        report('space', $file, $n, 'white space at the end')
            if $line =~ /\s$/;
    }

    $n = $text =~ tr/\n//;

    report('space', $file, $n, 'no newline at the end')
        if $text =~ /[^\n]\z/;
    report('file', $file, $n, "$n lines")
        if $n > $file_lines && $file =~ m{^$module/.*\.[ch]$};
}


sub functions {
    my ($file, $code) = @_;

    my ($n, $start) = (0, 0);

    for my $line (split /\n/, $code) {
        $n++;

        if ($line =~ /^\{/) {
            $start = $n;

        } elsif ($line =~ /^\}/) {
            report('function', $file, $start,
                   'a function of ' . ($n - $start - 1) . ' lines')
                if $start && $n - $start - 1 > $function_lines;
            $start = 0;
        }
    }
}


sub includes {
    my ($file, $text) = @_;

    my ($in) = $file =~ m{^$module/([^/]+)/};

    if (!defined $floor{$in}) {
        report('layers', $file, 1, "\"$in\" is no folder of the module");
        return;
    }

    while ($text =~ /^\s*#\s*include\s*[<"]([^>"\n]*)[>"]/mg) {
        my ($header, $line) = ($1, line_of($text, $-[1]));

        report('layers', $file, $line, "$in/ knows no request")
            if $in eq 'telegram' && $header =~ /^ngx_(?:http|event)\.h$/
               || $in eq 'zones' && $header eq 'ngx_http.h';

        next if $header !~ /^ngx_http_tgbot_\w+\.h$/;

        my $of = $folder{$header};

        if (!defined $of) {

            # made by config.make

            report('layers', $file, $line, "there is no $header")
                if $header !~ /_(?:html|lua)\.h$/;

        } elsif ($of ne $in && $floor{$of} >= $floor{$in}) {
            report('layers', $file, $line, "$in/ includes $header of $of/");
        }
    }
}


# No two files call each other, but for those of one idea: x and x_y.

sub circles {
    my (%defined, %calls);

    for my $file (grep { /\.c$/ } @sources) {
        my $code = code(content($file));

        while ($code =~ /^(?!static\b)\w[\w ]*[ *]*\n(ngx_http_tgbot_\w+)
                          \([^;{]*\)\n\{/mgx)
        {
            $defined{$1} = $file;
        }
    }

    for my $file (grep { /\.c$/ } @sources) {
        my $code = code(content($file));

        while ($code =~ /\b(ngx_http_tgbot_\w+)/g) {
            my $other = $defined{$1};
            $calls{$file}{$other} //= $1 if defined $other && $other ne $file;
        }
    }

    for my $file (sort keys %calls) {
        for my $other (sort keys %{$calls{$file}}) {
            next if $file gt $other || !$calls{$other}{$file};

            my ($x, $y) = map { m{([^/]+)\.c$} } $file, $other;

            report('circles', $file, 1, "calls $calls{$file}{$other}() of"
                   . " $other, which calls $calls{$other}{$file}()")
                if index($y, $x . '_') != 0 && index($x, $y . '_') != 0;
        }
    }
}


sub calls {
    my ($file, $code) = @_;

    my $names = join '|', @banned;

    while ($code =~ /(?<![\w.>])($names)\s*\(/g) {
        report('banned', $file, line_of($code, $-[1]), "$1()");
    }

    # names in the sources are C strings; what comes from outside is not

    while ($code =~ /\bngx_strlen\s*\([^;]*?(?:->|\.)\s*data\b/g) {
        report('banned', $file, line_of($code, $-[0]),
               'ngx_strlen() of an ngx_str_t');
    }
}


sub versions {
    my ($file, $code) = @_;

    my $names = join '|', @versions;

    while ($code =~ /\b($names)\b/g) {
        report('versions', $file, line_of($code, $-[1]), $1);
    }
}


# what returns at the first byte that differs tells how much was guessed

sub secrets {
    my ($file, $code) = @_;

    while ($code =~ /\b((?:ngx_)?(?:memcmp|memn2cmp|str\w*cmp))\s*
                     (\((?:[^()]|(?2))*\))/gx)
    {
        my ($function, $args, $offset) = ($1, $2, $-[1]);

        report('secrets', $file, line_of($code, $offset),
               "$function() on a secret")
            if $args =~ /secret/;
    }
}


sub comments {
    my ($file, $code) = @_;

    while ($code =~ m{//}g) {
        report('comments', $file, line_of($code, $-[0]), 'a // comment');
    }
}


# What would make markup of a text, what the Content-Security-Policy of the
# page does not allow, and what asks somebody else.

sub page {
    my ($file, $text) = @_;

    while ($text =~ m{
        \b(innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment
           |srcdoc|DOMParser|eval|Function|document\s*\.\s*write\w*)\b
        | \s(on\w+|style|src)\s*=\s*["']
        | (\@import|\burl\()
        | (https?:(?!//www\.w3\.org/2000/svg"))
        | ([^\x00-\x7f])
    }gx)
    {
        report('page', $file, line_of($text, $-[0]),
               'has "' . ($1 // $2 // $3 // $4 // sprintf('\x{%x}', ord $5))
               . '"');
    }
}


sub unfinished {
    my ($file) = @_;

    my $text = content($file);

    while ($text =~ /($unfinished)/g) {
        report('unfinished', $file, line_of($text, $-[1]), "\"$1\"");
    }
}


# each row of the tables of this type: name => [file, line]

sub rows {
    my ($type) = @_;

    my %rows;

    for my $file (@sources) {
        my $text = content($file);

        while ($text =~ /^static\s+$type\s[^{]*\{(.*?)^\};/msg) {
            my ($table, $offset) = ($1, $-[1]);

            while ($table =~ /ngx_string\("(tgbot_\w+)"\)/g) {
                $rows{$1} = [$file, line_of($text, $offset + $-[1])];
            }
        }
    }

    return \%rows;
}


# every directive has a section, and README.md links it

sub directives {
    my $directives = rows('ngx_command_t');

    if (!%$directives) {
        report('directives', $module, 0, 'no table of directives found');
        return;
    }

    my $readme = -f 'README.md' ? content('README.md') : '';
    my $file = 'docs/directives.md';
    my $text = -f $file ? content($file) : '';

    for my $name (sort keys %$directives) {
        my @where = @{$directives->{$name}};

        report('directives', @where, "README.md has no link to $name")
            if $readme !~ /\]\(\Q$file\E#$name\)/;

        report('directives', @where, "$file has no section of $name with its "
                                     . 'Syntax, Default and Context')
            if $text !~ /^\#\#\ $name\n\n
                         \ {4}Syntax:\ +$name\b.*\n(?:\ {14}.*\n)*
                         \ {4}Default:\ +\S.*\n
                         \ {4}Context:\ +\S/mx;
    }

    while ($text =~ /^## (tgbot_\w+)$/mg) {
        report('directives', $file, line_of($text, $-[0]),
               "there is no directive $1") if !$directives->{$1};
    }
}


# every variable is in its table, and README.md links it

sub variables {
    my $variables = rows('ngx_http_variable_t');

    my $readme = -f 'README.md' ? content('README.md') : '';
    my $file = 'docs/variables.md';
    my $text = -f $file ? content($file) : '';

    for my $name (sort keys %$variables) {
        my @where = @{$variables->{$name}};

        report('variables', @where, "README.md has no link to \$$name")
            if $readme !~ /\]\(\Q$file\E#$name\)/;

        report('variables', @where, "$file lacks \$$name")
            if $text !~ /^\|.*<a id="$name"><\/a>`\$$name`/m;
    }

    while ($text =~ /<a id="(tgbot_\w+)">/g) {
        report('variables', $file, line_of($text, $-[0]),
               "there is no variable \$$1") if !$variables->{$1};
    }
}


# The lists of the source tree, below a heading for each folder, name each file
# of the folder, without what all names begin with, and no other.

sub source_tree {
    my $page = 'docs/internals.md';
    my ($in, $line, %listed) = (undef, 0);

    for (split /\n/, -f $page ? content($page) : '') {
        $line++;

        if (/^#+ (.*)/) {
            $in = defined $floor{$1} ? $1 : undef;

        } elsif (defined $in && /^\* `([\w*]+(?:\.lua)?)`: \S/) {
            report('tree', $page, $line, "$in/ has $1 twice")
                if $listed{$in}{$1};

            $listed{$in}{$1} = $line;
        }
    }

    for my $folder (sort keys %floor) {
        my %names = map { s{.*/(?:ngx_http_tgbot_)?}{}r =~ s/\.(?!lua$)\w+$//r
                          => $_ } glob "$module/$folder/*";

        for my $name (sort keys %{$listed{$folder}}) {
            my $like = quotemeta($name) =~ s/\\\*/\\w*/gr;

            report('tree', $page, $listed{$folder}{$name},
                   "there is no $folder/$name")
                if !grep { /^$like$/ } keys %names;

            delete @names{grep { /^$like$/ } keys %names};
        }

        report('tree', $names{$_}, 0, "$page does not list it")
            for sort keys %names;
    }
}


sub documents {
    my @documents = grep { -f } qw(README.md CONTRIBUTING.md SECURITY.md
                                   examples/bots/README.md),
                                sort glob 'docs/*.md';

    my %anchors = map { $_ => anchors(prose(content($_))) } @documents;

    for my $file (@documents) {
        links($file, prose(content($file)), \%anchors);
        paths($file, content($file));
        words($file, content($file));
        unfinished($file) if $file ne 'README.md';
    }
}


# the text with blocks of code and `code` blanked, line for line

sub prose {
    my ($text) = @_;

    $text =~ s{^(```.*?^```|(?: {4,}|\t)[^\n]*)}{blank($1)}gsme;

    return $text;
}


# what GitHub makes of a heading, and ids that are written

sub anchors {
    my ($text) = @_;

    my %anchors;

    while ($text =~ /^#+ +(.*?) *$/mg) {
        my $anchor = lc $1;

        $anchor =~ s/[^\w\- ]//g;
        $anchor =~ s/ /-/g;

        $anchors{$anchor}++;
    }

    $anchors{$1}++ while $text =~ /<a id="([^"]+)">/g;

    return \%anchors;
}


# each relative link leads to a file, and its #anchor into it

sub links {
    my ($file, $text, $anchors) = @_;

    $text =~ s/(`[^`\n]*`)/blank($1)/ge;

    my ($dir) = $file =~ m{^(.*/)};

    while ($text =~ /\]\(([^()\s]*)\)/g) {
        my ($link, $line) = ($1, line_of($text, $-[0]));

        next if $link =~ /^[a-z]+:/;

        my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;

        $path = $path eq '' ? $file : ($dir // '') . $path;
        1 while $path =~ s{(?:^|(?<=/))(?!\.\./)[^/]+/\.\./}{};

        if (!-e $path) {
            report('links', $file, $line, "there is no $path");

        } elsif (defined $anchor && !($anchors->{$path} // {})->{$anchor}) {
            report('links', $file, $line, "$path has no #$anchor");
        }
    }
}


# `folder/file` of the module, without what all names begin with, is there

sub paths {
    my ($file, $text) = @_;

    my $folders = join '|', map { m{([^/]+)$} } grep { -d } glob "$module/*";

    return if $folders eq '';

    while ($text =~ /`((?:$folders)\/)(?:ngx_http_tgbot_)?([\w*]+)[.`]/g) {
        report('paths', $file, line_of($text, $-[0]), "there is no $1$2")
            if !(() = glob "$module/$1ngx_http_tgbot_$2.*");
    }
}


# words that plain English does without

sub words {
    my ($file, $text) = @_;

    while ($text =~ /\b(likewise|somebody|nobody|whoever|anew)\b/ig) {
        report('words', $file, line_of($text, $-[0]), "\"$1\"");
    }
}
