# Read by dev: all tests in chroots of other suites of Debian, below
# build/matrix.
#
# shellcheck shell=sh

# in_chroot options dir command ...: with /proc and /dev of its own mount
# namespace, so nothing is left mounted

in_chroot() {
    options=$1
    shift

    # shellcheck disable=SC2016
    as_root unshare "$options" sh -c '
        set -e
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        [ "$0" = -m ] || ip link set lo up
        exec chroot "$@"' "$options" "$@"
}


matrix_suite() {
    suite=$1
    dir=$build/matrix/$suite
    certificates=/etc/ssl/certs/ca-certificates.crt

    if [ ! -d "$dir" ]; then
        say "creating a chroot of $suite"

        mirror=$(debian_sources | awk '$2 !~ /security/ { print $1; exit }')
        [ -n "$mirror" ] || die "no Debian mirror among the sources of apt"

        as_root rm -rf "$dir.new"
        mkdir -p "$dir.new"
        quiet as_root debootstrap --variant=minbase --include=ca-certificates \
            "$suite" "$dir.new" "$mirror" || return 1

        echo 'Acquire::Check-Valid-Until "false";' \
            | as_root tee "$dir.new/etc/apt/apt.conf.d/99archive" > /dev/null
        [ -e "$dir.new/etc/hosts" ] || echo '127.0.0.1 localhost' \
            | as_root tee "$dir.new/etc/hosts" > /dev/null

        as_root mv "$dir.new" "$dir"
    fi

    # what this machine needs for the network, a proxy's certificate as well

    as_root cp -L /etc/resolv.conf "$dir/etc/resolv.conf"
    [ ! -e $certificates ] || as_root cp -L $certificates "$dir$certificates"
    as_root mkdir -p "$dir/module"
    as_root find "$dir/module" -mindepth 1 -maxdepth 1 ! -name build \
        -exec rm -rf {} +

    (cd "$top" && tar -c --exclude=./build --exclude=./.git \
        --exclude='./t/servroot*' .) | as_root tar -x -m -C "$dir/module"

    # packages need the network, the tests get one of its own

    in_chroot -m "$dir" /module/dev packages test || return 1
    in_chroot -mn "$dir" env TGBOT_OFFLINE=1 /module/dev test || return 1
    in_chroot -mn "$dir" env TGBOT_OFFLINE=1 /module/dev test valkey
}


cmd_matrix() {
    packages_matrix

    [ $# -gt 0 ] || set -- trixie sid

    results=
    rc=0

    for suite in "$@"; do
        say "==== $suite"

        if matrix_suite "$suite"; then
            results="$results $suite: passed."
        else
            results="$results $suite: failed."
            rc=1
        fi
    done

    say "==== matrix:$results"
    return $rc
}


# for suites of Debian that have it

cmd_test_valkey() {
    packages_suites
    packages_valkey
    build

    if ! command -v valkey-server > /dev/null; then
        say "there is no valkey-server"
        return
    fi

    export TGBOT_REDIS=valkey-server

    rc=0
    (cmd_test_suites "$top"/t/14*.t) || rc=1
    cmd_test_e2e redis || rc=1
    return $rc
}
