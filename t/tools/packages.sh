# Read by dev: the Debian packages that commands need.  packages_x installs
# what command x needs and no more; "need" is for what x cannot do without,
# "want" for what it can.  $top, $build, $cc and $python are those of dev.
#
# shellcheck shell=sh

updated=

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        die "run me as root, or install sudo: \"$*\" needs it"
    fi
}


installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2> /dev/null \
        | grep -qx installed
}


# whether all that there is has been installed before, as in a network
# namespace, or is by another process, whose packages are "unpacked" for a while

offline() {
    [ -n "${TGBOT_OFFLINE:-}" ]
}


# the lists of packages, if they are missing or older than a day

update_lists() {
    lists=/var/lib/apt/lists

    if [ -n "$updated" ]; then
        return
    fi

    if [ "${1:-}" != now ] && ls $lists/*Packages* > /dev/null 2>&1 \
       && [ -z "$(find $lists/partial -prune -mtime +0)" ]
    then
        return
    fi

    say "updating the lists of packages"

    quiet as_root apt-get -qq update \
        || say "apt-get update failed, going on with the lists there are"

    updated=yes
}


# in a subshell: starts no service, which would take port 80, while it runs

apt_install() (
    policy=/usr/sbin/policy-rc.d

    if [ ! -e $policy ]; then
        trap 'as_root rm -f $policy' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy > /dev/null
        as_root chmod 755 $policy
    fi

    quiet as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends "$@"
)


need() {
    ! offline || return 0
    missing=

    for package in "$@"; do
        installed "$package" || missing="$missing $package"
    done

    if [ -z "$missing" ]; then
        return
    fi

    update_lists
    say "installing$missing"

    # shellcheck disable=SC2086
    apt_install $missing || {
        [ -z "$updated" ] || die "cannot install$missing"
        update_lists now
        apt_install $missing || die "cannot install$missing"
    }
}


# what is left out where it cannot be had

want() {
    (need "$@") || say "going on without $*"
}


want_npm() {
    command -v npm > /dev/null || want nodejs npm
}


# node_packages from dir name: installs below dir what the package.json in
# "from" says

node_packages() {
    if [ -d "$2/node_modules" ] && cmp -s "$1/package.json" "$2/package.json" \
       && { [ ! -f "$1/package-lock.json" ] \
            || cmp -s "$1/package-lock.json" "$2/package-lock.json"; }
    then
        return
    fi

    command -v npm > /dev/null || return 1
    ! offline || return 1
    say "installing $3"

    rm -rf "$2"
    mkdir -p "$2"
    cp "$1"/package*.json "$2"

    how=install
    [ ! -f "$2/package-lock.json" ] || how=ci

    quiet npm "$how" --prefix "$2" --no-audit --no-fund --omit=optional \
        --ignore-scripts \
        || { rm -rf "$2"; return 1; }
}


# "URI suite component" of each of the machine's own sources of Debian

debian_sources() {
    apt-get indextargets \
        --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | sed -n 's/^Debian //p' | sort -u
}


# private_apt dir type: an apt of its own below dir, whose sources of that
# type (deb, deb-src) are read from stdin; leaves the machine's apt alone

private_apt() {
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial"

    keyring=
    for file in /usr/share/keyrings/debian-archive-keyring.gpg \
                /usr/share/keyrings/debian-archive-keyring.pgp
    do
        [ ! -e "$file" ] || keyring="[signed-by=$file] "
    done

    sed "s|^|$2 $keyring|" > "$1/sources.list"

    cat > "$1/apt.conf" << END
Dir::Etc::SourceList "$1/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$1/lists";
Dir::Cache "$1/cache";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "$(id -un)";
END

    quiet env APT_CONFIG="$1/apt.conf" apt-get -qq update
}


# Test::Nginx is packaged since forky; its package there needs nothing that
# older suites lack

need_test_nginx() {
    package=libtest-nginx-perl

    if offline || installed $package; then
        return
    fi

    update_lists

    if [ -n "$(apt-cache madison $package)" ]; then
        need $package
        return
    fi

    say "installing $package from Debian's unstable suite"

    mirror=$(debian_sources | awk '$2 !~ /security/ { print $1; exit }')
    [ -n "$mirror" ] || die "no Debian mirror among the sources of apt"

    dir=$build/apt-sid
    rm -rf "$dir"

    echo "$mirror sid main" | private_apt "$dir" deb \
        || die "cannot read the lists of unstable at $mirror"

    (cd "$dir" && quiet env APT_CONFIG="$dir/apt.conf" \
        apt-get -qq download $package) || die "cannot fetch $package"
    apt_install "$dir"/${package}_*.deb || die "cannot install $package"

    rm -rf "$dir"
}


# the program that checks metrics and rules; what it checks is left out
# without it.  Until Debian 12 it is in a package with a server and a service,
# of which it is the only file that is taken.

need_promtool() {
    if command -v promtool > /dev/null || [ -x "$build/promtool" ] || offline
    then
        return
    fi

    update_lists

    if [ -n "$(apt-cache madison promtool)" ]; then
        want promtool
        return
    fi

    say "fetching promtool"

    dir=$build/apt-promtool
    rm -rf "$dir"
    mkdir -p "$dir"

    if (cd "$dir" && quiet apt-get -qq download prometheus \
        && dpkg-deb --fsys-tarfile prometheus_*.deb \
           | tar -x ./usr/bin/promtool)
    then
        mv "$dir/usr/bin/promtool" "$build/promtool"
    else
        say "going on without promtool"
    fi

    rm -rf "$dir"
}


need_compiler() {
    case $cc in
        */*)           [ -x "$cc" ] || die "no compiler $cc" ;;
        *" "*)         die "CC is a name without options: \"$cc\"" ;;
        *)             command -v "$cc" > /dev/null || need "$cc" ;;
    esac

    case $cc in
        *clang*)       need libclang-rt-dev ;;
    esac

    need libc6-dev make
}


packages_build() {
    need_compiler
    need nginx-dev libyajl-dev libcurl4-openssl-dev libhiredis-dev
}


packages_run() {
    packages_build
    need python3
}


# of nginx, to be tried beside this one; a suite need not have each of them

nginx_modules="libnginx-mod-http-auth-pam libnginx-mod-http-brotli-filter \
libnginx-mod-http-brotli-static libnginx-mod-http-cache-purge \
libnginx-mod-http-dav-ext libnginx-mod-http-echo libnginx-mod-http-fancyindex \
libnginx-mod-http-geoip libnginx-mod-http-geoip2 \
libnginx-mod-http-headers-more-filter libnginx-mod-http-image-filter \
libnginx-mod-http-js libnginx-mod-http-lua libnginx-mod-http-memc \
libnginx-mod-http-modsecurity libnginx-mod-http-ndk libnginx-mod-http-perl \
libnginx-mod-http-set-misc libnginx-mod-http-srcache-filter \
libnginx-mod-http-subs-filter libnginx-mod-http-uploadprogress \
libnginx-mod-http-upstream-fair libnginx-mod-http-xslt-filter \
libnginx-mod-nchan"


packages_suites() {
    packages_build
    need perl python3 openssl curl redis-server redis-sentinel
    need_test_nginx
    need_promtool

    # examples whose languages the suite has are tested, and modules of nginx
    for package in php-fpm uwsgi-core uwsgi-plugin-python3 $nginx_modules; do
        if ! installed $package && [ -n "$(apt-cache madison $package)" ]; then
            need $package
        fi
    done
}


# python-telegram-bot 20 or newer with what it needs, where the suite has
# version 13: a tree of packages of Debian 13, which have no machine code

want_python_telegram_bot_20() {
    tree=$build/frameworks/python

    version=$(dpkg-query -W -f '${Version}' python3-python-telegram-bot) || :

    case $version in
        13.*)  ;;
        *)     return 0 ;;
    esac

    if [ -d "$tree" ] || offline; then
        return
    fi

    mirror=$(debian_sources | awk '$2 !~ /security/ { print $1; exit }')
    [ -n "$mirror" ] || return 0

    say "fetching python-telegram-bot of Debian 13"

    dir=$build/apt-trixie
    rm -rf "$dir" "$tree.new"
    mkdir -p "$tree.new"

    # shellcheck disable=SC2030,SC2031
    if echo "$mirror trixie main" | private_apt "$dir" deb \
       && (cd "$dir" && export APT_CONFIG="$dir/apt.conf" \
           && quiet apt-get -qq download python3-python-telegram-bot \
              python3-httpx python3-httpcore python3-h11 python3-anyio \
              python3-sniffio python3-certifi python3-idna \
              python3-typing-extensions \
           && for file in *.deb; do
                  dpkg-deb -x "$file" "$tree.new" || exit
              done)
    then
        mv "$tree.new" "$tree"
    else
        say "going on without python-telegram-bot 20"
    fi

    rm -rf "$dir" "$tree.new"
}


# what bots are written with; the tests of what a suite lacks are left out

packages_e2e() {
    packages_suites
    want_npm
    want python3-python-telegram-bot python3-tornado \
        && want_python_telegram_bot_20
    want golang-go golang-gopkg-telebot.v3-dev
    want libplack-perl
    want puma
    want bindfs
    want rabbitmq-server python3-pika
    node_packages "$top/t/frameworks" "$build/frameworks/node" \
        "frameworks for bots" || say "going on without frameworks of Node.js"
}


packages_redis() {
    need python3 redis-server
    packages_valkey
}


# not every suite has it

packages_valkey() {
    if [ -n "$(apt-cache madison valkey-server)" ]; then
        need valkey-server
    fi
}


packages_browser() {
    packages_build
    need python3
    want chromium
    want_npm
    node_packages "$top/t/browser" "$build/browser/node" playwright-core \
        || say "going on without the tests in a browser"
}


packages_test() {
    packages_e2e
    packages_redis
    packages_browser
}


packages_valgrind() {
    packages_suites
    need valgrind libc6-dbg
}


packages_sanitize() {
    packages_suites
    need clang libclang-rt-dev llvm dpkg-dev libpcre2-dev libssl-dev zlib1g-dev
}


packages_bench() {
    packages_build
    need python3 libnginx-mod-http-echo redis-server

    want libnginx-mod-http-lua lua-cjson
    want libnginx-mod-http-js
    want python3-python-telegram-bot python3-tornado
    want rabbitmq-server python3-pika

    want_npm
    node_packages "$top/t/bench/grammy" "$build/bench/node" grammY \
        || say "going on without grammY"
    node_packages "$top/t/bench/bullmq" "$build/bench/bullmq" BullMQ \
        || say "going on without BullMQ: npm cannot install it"
}


packages_instructions() {
    packages_build
    need python3 libnginx-mod-http-echo valgrind
}


packages_lint() {
    packages_build
    need coccinelle clang-tidy python3

    # spatch looks for it when it runs
    need "libpython$($python -c 'import sys
print("%d.%d" % sys.version_info[:2])')"
}


packages_fuzz() {
    packages_build
    need clang libclang-rt-dev
}


packages_matrix() {
    need debootstrap iproute2
}


packages_zones() {
    packages_build
}


packages_install() {
    packages_build
}
