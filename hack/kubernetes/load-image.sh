#!/usr/bin/env bash
# Put an image on every node of the Kubernetes that up.sh started; there is no registry.
#
# Needs root. Usage: hack/kubernetes/load-image.sh IMAGE...
# IMAGE is a file that `docker save` or image.py wrote, or the name of an image in the engine.
# Pods use it with imagePullPolicy Never or IfNotPresent.
# Settings: TAC_KUBERNETES_STATE, as for up.sh.
set -euo pipefail

# shellcheck source=hack/kubernetes/names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

import_file() { # file
    local node loads=()
    for node in $(seq "$(cat "$STATE/nodes")"); do
        "$STATE/bin/ctr" -a "$STATE/node-$node/containerd.sock" -n k8s.io images import "$1" \
            >"$STATE/load-$node.log" 2>&1 &
        loads+=($!)
    done
    for node in $(seq "$(cat "$STATE/nodes")"); do
        wait "${loads[node - 1]}" || {
            tail -n 5 "$STATE/load-$node.log" >&2
            fail "$1: node-$node did not take it" \
                "docker save IMAGE -o FILE, or image.py, writes what it takes"
        }
    done
}

import_from_docker() { # name
    local file
    docker image inspect "$1" >/dev/null 2>&1 ||
        fail "$1: neither a file nor an image of the Docker engine" "docker build -t $1 ."
    file=$(mktemp "$STATE/load-XXXXXX.tar") # sessions may share a cluster
    # shellcheck disable=SC2064 # the name as it is now
    trap "rm -f '$file'" EXIT
    docker save "$1" -o "$file"
    import_file "$file"
    rm "$file"
}

main() {
    local image
    (($#)) || fail "no image was named" "hack/kubernetes/load-image.sh IMAGE"
    [[ -e $STATE/ready ]] || fail "$STATE: no Kubernetes is up there" "make cluster"
    for image in "$@"; do
        if [[ -f $image ]]; then
            import_file "$image"
        else
            import_from_docker "$image"
        fi
        say "$image: on every node"
    done
}

main "$@"
