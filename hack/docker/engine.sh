#!/usr/bin/env bash
# A Docker engine of one's own, for tests and for a machine where none runs: one folder holds all of it.
#
# It leaves the machine's network as it is: its containers reach this machine over a bridge of its own,
# and nothing beyond; what must, such as a build, says --network host.
# Needs Linux, root, iproute2 and dockerd (Debian, Ubuntu: apt-get install docker.io iproute2).
# Usage: hack/docker/engine.sh start [FOLDER]    prints its address, for DOCKER_HOST; one that runs stays
#        hack/docker/engine.sh stop [FOLDER]     images and build cache stay in FOLDER
set -euo pipefail

# dockerd and docker of one package: a newer client elsewhere on the path may lack what builds.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
READY_SECONDS=60
STOP_SECONDS=60

fail() { # message, hint
    printf '%s\nHint: %s\n' "$1" "$2" >&2
    exit 2
}

answers() {
    docker --host "$HOST" version >/dev/null 2>&1
}

is_running() {
    [ -f "$FOLDER/pid" ] && kill -0 "$(cat "$FOLDER/pid")" 2>/dev/null
}

check_prerequisites() {
    [ "$(id -u)" -eq 0 ] || fail 'dockerd: only root can start it' 'sudo hack/docker/engine.sh start'
    for each in dockerd docker ip; do
        command -v "$each" >/dev/null ||
            fail "$each: not installed" 'apt-get install docker.io iproute2'
    done
}

start_engine() {
    if answers; then
        return
    fi
    check_prerequisites
    mkdir -p "$FOLDER"
    # A file that a killed engine left names a process that may be another one by now.
    rm -f "$FOLDER/pid" "$FOLDER/docker.sock"
    # Without a limit the build cache only grows, by two gigabytes for each build from nothing.
    printf '{"builder": {"gc": {"enabled": true, "defaultKeepStorage": "8GB"}}}\n' >"$FOLDER/config.json"
    # docker0 belongs to the system's engine; and of an engine with --bridge=none every other one
    # loses it.
    ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge
    setsid dockerd --config-file "$FOLDER/config.json" --bridge "$BRIDGE" --iptables=false \
        --ip-forward=false --host "$HOST" --data-root "$FOLDER/data" --exec-root "$FOLDER/exec" \
        --pidfile "$FOLDER/pid" >"$FOLDER/log" 2>&1 </dev/null &
    local process=$! deadline=$((SECONDS + READY_SECONDS))
    until answers; do
        if ! kill -0 "$process" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            tail -n 20 "$FOLDER/log" >&2
            fail "dockerd: does not answer at $HOST" "$FOLDER/log has all it said"
        fi
        sleep 0.2
    done
}

stop_engine() {
    if ! is_running; then
        return
    fi
    local process deadline=$((SECONDS + STOP_SECONDS))
    process=$(cat "$FOLDER/pid")
    kill "$process"
    while kill -0 "$process" 2>/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || fail "dockerd: still runs, process $process" "$FOLDER/log"
        sleep 0.2
    done
    ip link delete "$BRIDGE" 2>/dev/null || :
}

main() {
    FOLDER=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/tac-docker/engine}
    HOST=unix://$FOLDER/docker.sock
    BRIDGE=tacdocker-$(printf %s "$FOLDER" | sha256sum | cut -c -5)
    case ${1:-} in
        start) start_engine && printf '%s\n' "$HOST" ;;
        stop) stop_engine ;;
        *) fail "engine.sh: start or stop, not '${1:-}'" 'hack/docker/engine.sh start' ;;
    esac
}

main "$@"
