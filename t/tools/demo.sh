# Read by dev: nginx with nginx.conf.sample, a simulated Telegram and a bot.
#
# shellcheck shell=sh

port_is_free() {
    $python -c "
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    s.bind(('127.0.0.1', $1))
except OSError:
    sys.exit(1)"
}


cmd_run() {
    packages_run
    build

    for port in 8080 8081 8082; do
        port_is_free $port || die "port $port of 127.0.0.1 is taken:" \
            "nginx.conf.sample and the simulator need 8080, 8081 and 8082"
    done

    # the sample loads build/ngx_http_tgbot_module.so of nginx's prefix

    dir=$build/run
    mkdir -p "$dir"
    ln -sfn "$build" "$dir/build"
    rm -rf "$dir/access.log" "$dir/error.log" "$dir/state"

    nginx -p "$dir/" -c "$top/nginx.conf.sample" -e "$dir/error.log" \
        -g 'daemon off;' &
    nginx=$!

    trap 'kill -QUIT $nginx 2> /dev/null && wait $nginx || :' EXIT
    trap : INT
    trap 'exit 1' HUP TERM

    cat << END
nginx runs with nginx.conf.sample on 127.0.0.1:8080, the simulated Bot API on
8081, the bot's program on 8082.
END

    stay=
    [ ! -t 0 ] || stay=--stay

    rc=0
    # shellcheck disable=SC2086
    $python -B "$top/t/simulator" demo $stay || rc=$?

    cat << END

Look at:
  nginx.conf.sample      the configuration that ran
  build/run/access.log   one line for each update, with its verdict
  build/run/error.log    what nginx had to say
END

    return $rc
}
