# Read by dev: the stages of a test, side by side, and what became of them.
#
# shellcheck shell=sh

# those that run, a space before and after each
sessions=' '


# begin stage ...: starts them, each in a session of its own, for finish to wait
# for; what they need has been installed.  What computes gives way to what is to
# see that time passes, also where each session has a share of its own of the
# processors.

begin() {
    mkdir -p "$build/stages"

    for stage in "$@"; do
        case $stage in
            lint|unit|redis)  nice=5 ;;
            *)                nice=0 ;;
        esac

        log=$build/stages/$stage.log
        : > "$log"
        # shellcheck disable=SC2016
        TGBOT_OFFLINE=1 \
        setsid sh -c '{ echo "$1" > /proc/self/autogroup; } 2> /dev/null
            exec nice -n "$1" "$2" test "$3"' sh $nice "$top/dev" "$stage" \
            > "$log" 2>&1 &
        eval "pid_$stage=$! began_$stage=$(date +%s)"
        sessions="$sessions$! "
    done

    trap 'for pid in $sessions; do kill -- -"$pid" 2> /dev/null || :; done' \
        EXIT
    trap 'exit 1' HUP INT TERM
}


# finish stage ...: waits for them.  The first one's output is shown as it
# comes, that of the others after it.  Adds to $passed, $failed and $names.

finish() {
    for stage in "$@"; do
        log=$build/stages/$stage.log
        eval "pid=\$pid_$stage began=\$began_$stage"

        say "== $stage"
        tail -n +1 -f --pid="$pid" "$log"

        if wait "$pid"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            names="$names $stage"
        fi

        sessions="${sessions%% "$pid" *} ${sessions#* "$pid" }"

        # the last thing that a stage does is to tell how it went
        say "== $stage: $(($(stat -c %Y "$log") - began)) s"
    done
}


# failures stage: what failed in it, with what is said of it, or the end of its
# log

failures() {
    log=$build/stages/$1.log

    awk 'BEGIN { shown = 1 }
         /^(not )?ok /  { shown = /^not/ }
         /^failed: /    { shown = 1 }
         shown && /^(#|not ok |failed: )/' "$log" \
        | head -n 60 > "$build/stages/failures"

    [ -s "$build/stages/failures" ] \
        || tail -n 20 "$log" > "$build/stages/failures"

    cat "$build/stages/failures"
}


# sum_up: tells how the stages went, fails if one did; what failed comes last,
# as the end may be all of the output that is kept

sum_up() {
    for stage in $names; do
        say "== failed in $stage"
        failures "$stage"
    done

    say "== $passed stages passed, $failed failed${names:+:$names}"
    [ $failed = 0 ]
}
