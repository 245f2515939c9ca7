# Read by dev: what it does for who runs nginx: install, uninstall, zones.
#
# shellcheck shell=sh
# shellcheck disable=SC2154

# what install and uninstall speak of.  The last two directories are the
# user's: for tokens, secrets and configuration, and for the zones of
# tgbot_state.  The others may be of packages.

install_paths() {
    conf=mod-http-tgbot.conf
    modules=/usr/lib/nginx/modules
    available=/usr/share/nginx/modules-available
    enabled=/etc/nginx/modules-enabled
    loaded=$enabled/50-$conf
    secrets=/etc/nginx/tgbot
    state=/var/lib/nginx/tgbot
}


cmd_install() {
    build
    install_paths

    as_root mkdir -p $modules $available $enabled
    as_root install -m 644 "$module" "$modules/${module##*/}.new"
    as_root mv "$modules/${module##*/}.new" "$modules/${module##*/}"

    echo "load_module modules/${module##*/};" \
        | as_root tee "$available/$conf" > /dev/null

    as_root ln -sf "$available/$conf" $loaded

    [ -d $secrets ] || as_root install -d -m 755 $secrets
    [ -d $state ] || as_root install -d -m 700 $state

    as_root nginx -t || die "nginx does not accept its configuration:" \
        "./dev uninstall if this module is the cause"

    say "installed; nginx -s reload, or a restart, loads it"
}


# nginx has to start without the module before its file goes

cmd_uninstall() {
    install_paths

    if [ -e $loaded ] && command -v nginx > /dev/null; then
        as_root mv $loaded "$loaded.off"

        as_root nginx -t || {
            as_root mv "$loaded.off" $loaded
            die "nginx does not accept its configuration without the" \
                "module, which stays: take the directives tgbot_* out first"
        }
    fi

    as_root rm -f $loaded "$loaded.off" "$available/$conf" \
        "$modules/${module##*/}"

    stays=

    for dir in $modules "${modules%/*}" $available $enabled $secrets $state; do
        if dpkg-query -S "$dir" > /dev/null 2>&1 || [ ! -d "$dir" ]; then
            continue
        fi

        as_root rmdir "$dir" 2> /dev/null || stays="$stays $dir"
    done

    say "uninstalled; nginx -s reload, or a restart, unloads it"
    [ -z "$stays" ] || say "what stays, with files that are not the" \
        "module's:$stays"
    say "The directory ${build#"$top"/} stays as well, and packages that" \
        "the build needed."
}


# with the zones of the module, and nginx's part of the unit tests

cmd_zones() {
    packages_zones
    [ -f "$objs/ngx_auto_config.h" ] || build

    tool=$build/zones/zones

    if [ ! -x "$tool" ] || [ -n "$(find "$top/t/tools/zones.c" "$top/t/unit" \
             "$top/ngx_http_tgbot_module/zones" -newer "$tool")" ]
    then
        CC=$cc CFLAGS=-I$ngx_src/src/event/quic SAN='' NGX_OBJS=$objs \
            NGX_SRC=$ngx_src OUT=${tool%/*} TOOL=$top/t/tools/zones.c \
            "$top/t/unit/run" zones || die "the build failed"
    fi

    as_root "$tool" "$@"
}
