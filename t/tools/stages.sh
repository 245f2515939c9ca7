# Read by dev: the stages of a test, side by side, and what became of them.
#
# shellcheck shell=sh

# stages first [other ...]: runs them side by side, each in a session of its
# own.  The first one's output is shown as it comes, that of the others after
# it.  Adds to $passed, $failed and $names.

stages() {
    mkdir -p "$build/stages"
    sessions=

    for stage in "$@"; do
        log=$build/stages/$stage.log
        : > "$log"
        setsid "$top/dev" test "$stage" > "$log" 2>&1 &
        sessions="$sessions $!"
    done

    trap 'for pid in $sessions; do kill -- -"$pid" 2> /dev/null || :; done' \
        EXIT
    trap 'exit 1' HUP INT TERM

    for pid in $sessions; do
        stage=$1
        shift

        say "== $stage"
        tail -n +1 -f --pid="$pid" "$build/stages/$stage.log"

        if wait "$pid"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            names="$names $stage"
        fi
    done

    trap - EXIT HUP INT TERM
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
