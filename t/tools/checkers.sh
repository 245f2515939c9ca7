# Read by dev: the suites under valgrind, and in an nginx that is built from
# source with sanitizers.  All of it is below build/valgrind, build/sanitize.
#
# shellcheck shell=sh

# no_reports dir rc: prove passes whatever valgrind or a sanitizer reported

no_reports() {
    reports=$(find "$1" -type f -size +0)

    if [ -n "$reports" ]; then
        # shellcheck disable=SC2086
        head -n 60 $reports
        say "== reports in ${1#"$top"/}:" "$(echo "$reports" | wc -l)"
        return 1
    fi

    say "== no reports"
    return "$2"
}


cmd_test_valgrind() {
    packages_valgrind
    build

    dir=$build/valgrind
    rm -rf "$dir"
    mkdir -p "$dir"
    chmod 1777 "$dir"

    [ $# -gt 0 ] || set -- "$top"/t/*.t

    jobs=$(nproc)

    export TEST_NGINX_SLEEP=0.3
    export TEST_NGINX_USE_VALGRIND="--leak-check=full --show-possibly-lost=no \
--num-callers=50 --keep-debuginfo=yes --trace-children=yes \
--suppressions=$top/t/tools/valgrind.suppress --log-file=$dir/%p"

    failed=0
    run_prove "$(command -v nginx)" "$module" "$@" || failed=1

    no_reports "$dir" $failed
}


# sanitized_source dir: unpacks nginx's source into dir, the version that is
# installed, or the next older one that the mirror still has

sanitized_source() {
    version=$(dpkg-query -W -f '${source:Version}' nginx-dev)
    apt=$build/apt-src

    rm -rf "$apt" "$1"
    mkdir -p "$1"

    debian_sources | private_apt "$apt" deb-src \
        || die "cannot read the lists of sources"

    for v in $version $(env APT_CONFIG="$apt/apt.conf" apt-cache showsrc \
        --only-source nginx 2> /dev/null | sed -n 's/^Version: //p' \
        | sort -rVu)
    do
        say "fetching the source of nginx $v"

        if (cd "$1" && quiet env APT_CONFIG="$apt/apt.conf" \
            apt-get -qq source --only-source "nginx=$v")
        then
            break
        fi
    done

    rm -rf "$apt"

    for tree in "$1"/nginx-*/; do
        if [ -f "$tree/src/core/nginx.c" ]; then
            mv "$tree" "$1/src"
            return
        fi
    done

    die "no source of nginx could be fetched"
}


# An nginx whose pools are malloc()s: what overruns an allocation is seen.
# clang, since gcc's two runtimes next to each other lose what UBSAN finds;
# -fsanitize=function would find fault with nginx's callbacks.

sanitized_build() {
    cc=clang
    san="-fsanitize=address,undefined -fno-sanitize=function \
        -fno-omit-frame-pointer"

    if ! configured "$dir/objs" sanitize; then

        if ! dpkg-query -W nginx-dev | cmp -s - "$dir/nginx-dev"; then
            sanitized_source "$dir"
            dpkg-query -W nginx-dev > "$dir/nginx-dev"
        fi

        rm -rf "$dir/objs"
        mkdir -p "$dir/objs"
        say "building nginx with sanitizers"

        # in the program, since nginx leaves its workers no environment.  The
        # table of modules is both in nginx and in the module; leaks are left
        # to valgrind.

        cat > "$dir/options.c" << END
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *
__asan_default_options(void)
{
    return "detect_odr_violation=0:detect_leaks=0:log_path=$dir/logs/asan";
}

const char *
__ubsan_default_options(void)
{
    return "print_stacktrace=1:log_path=$dir/logs/ubsan:"
           "suppressions=$top/t/tools/ubsan.suppress";
}
END
        "$cc" -c -o "$dir/options.o" "$dir/options.c" || return 1

        # the modules that the distribution's nginx has built in
        # shellcheck disable=SC2046
        (cd "$dir/src" && quiet sh ./configure \
            --with-cc="$cc" \
            --with-cc-opt="-g -O1 $san -DNGX_HAVE_NONALIGNED=0 \
                -DNGX_DEBUG_PALLOC=1" \
            --with-ld-opt="-fsanitize=address,undefined -Wl,-E \
                $dir/options.o" \
            --builddir="$dir/objs" --prefix="$dir" --with-compat --with-debug \
            --with-pcre-jit --with-threads \
            --with-poll_module --with-select_module \
            $(nginx -V 2>&1 | tr ' ' '\n' \
                | grep -x -e '--with-http_[a-z0-9_]*') \
            --add-dynamic-module="$top") || die "nginx's configure failed"

        fingerprint "$dir/objs" sanitize > "$dir/objs/fingerprint"
    fi

    (cd "$dir/src" && make -s -j"$(nproc)" -f "$dir/objs/Makefile" \
        > "$dir/make.log" 2>&1) \
        || { tail -n 30 "$dir/make.log" >&2; die "the build failed"; }
}


cmd_test_sanitize() {
    packages_sanitize

    jobs=$(nproc)
    dir=$build/sanitize
    logs=$dir/logs
    mkdir -p "$logs"

    sanitized_build

    # workers write there as well
    rm -rf "$logs"
    mkdir -p "$logs"
    chmod 1777 "$logs"

    failed=0

    if [ $# = 0 ]; then
        set -- "$top"/t/*.t

        TGBOT_NGINX=$dir/objs/nginx TGBOT_MODULE=$dir/objs/${module##*/} \
            $python -B "$top/t/e2e/run" || failed=1
    fi

    run_prove "$dir/objs/nginx" "$dir/objs/${module##*/}" "$@" || failed=1

    no_reports "$logs" $failed
}
