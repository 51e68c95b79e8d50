# shellcheck shell=bash
# Our processes: each has NAME.pid and NAME.log in the state folder. Sourced, never run.

# Every process that is started here, and what it starts itself, carries this in its environment;
# those of pods do not, they get their own. A number alone may have been given to another since.
MARK=TAC_KUBERNETES_PROCESS_OF

start() { # name, command...
    local name=$1
    shift
    env "$MARK=$STATE" setsid "$@" >"$STATE/$name.log" 2>&1 </dev/null &
    echo $! >"$STATE/$name.pid"
}

is_alive() { # name
    local pid
    pid=$(cat "$STATE/$1.pid" 2>/dev/null) || return 1
    grep -qzxF "$MARK=$STATE" "/proc/$pid/environ" 2>/dev/null
}

list_own_processes() {
    grep -lszxF "$MARK=$STATE" /proc/[0-9]*/environ | tr -c -d '0-9\n' || true
}

# One Kubernetes a machine: its links, addresses and control groups have fixed names.
refuse_other_state() {
    local other
    other=$(cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | sed -n "s/^$MARK=//p" | sort -u |
        grep -vxF "$STATE" | head -n 1) || true
    [[ -z $other ]] ||
        fail "up in $other, not in $STATE" "TAC_KUBERNETES_STATE=$other make cluster-down"
}

list_dead() {
    local file
    for file in "$STATE"/*.pid; do
        [[ -e $file ]] || continue
        is_alive "$(basename "$file" .pid)" || basename "$file" .pid
    done
}

fail_started() { # what happened, name of the process
    say "hack/kubernetes: $1; the last lines of $STATE/$2.log:"
    tail -n 12 "$STATE/$2.log" | cut -c 1-300 | sed 's/^/    /' >&2
    say "Hint: $STATE is left as it is, to look at; make cluster-down removes it"
    exit 1
}

# Until the command succeeds; fails as soon as any of our processes has ended.
await() { # seconds, what is awaited, name of the process that answers for it, command...
    local deadline=$((SECONDS + $1)) what=$2 name=$3 dead
    shift 3
    until "$@" >"$STATE/await.log" 2>&1; do
        dead=$(list_dead | head -n 1)
        [[ -z $dead ]] || fail_started "$dead ended while $what was awaited" "$dead"
        if ((SECONDS > deadline)); then
            say "    $(tail -n 3 "$STATE/await.log")"
            fail_started "$what was not ready in time" "$name"
        fi
        sleep 0.2
    done
}
