#!/usr/bin/env bash
# Build a real Kubernetes, and all that a node needs, from Go modules, into a cache.
#
# Versions and checksums are in components/*/go.mod and go.sum; Go verifies its downloads by them.
# A component that was built is not built again; one that was interrupted is built anew.
#
# Needs Go 1.26.6 (or an older one, 1.21 at least, that may download it) and util-linux.
# Usage: hack/kubernetes/build.sh               prints the folders of the programs
#        WITH_KWOK=1 hack/kubernetes/build.sh   and kwok, which plays thousands of nodes
# Folder: TAC_KUBERNETES_CACHE, by default ~/.cache/tac-kubernetes.
set -euo pipefail

# shellcheck source=hack/kubernetes/names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

# The linker flags of Kubernetes' own build; without them every component reports v0.0.0.
linker_flags() { # component
    local version package=k8s.io/component-base/version
    version=$(component_version "$1")
    printf -- '-s -w'
    if [[ $1 == kubernetes ]]; then
        printf -- ' -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s' \
            $package "$version" $package $package "$(cut -d. -f2 <<<"$version")"
    fi
}

# Chained by &&, because `set -e` does not hold inside the condition that calls this.
build_programs() { # component, folder
    local packages=tool
    [[ $1 != pause ]] || packages=.
    # Readonly: what is not in go.mod and go.sum is an error, never an addition.
    cd "$HERE/components/$1" &&
        go build -mod=readonly -trimpath -ldflags "$(linker_flags "$1")" -o "$2/" $packages &&
        complete_programs "$1" "$2"
}

complete_programs() { # component, folder
    case $1 in
        etcd) mv "$2/server" "$2/etcd" ;; # the package is called server
        kwok) copy_stages "$2" ;;
    esac
}

# What a fake node does, as kwok's authors ship it; the program comes without.
copy_stages() { # folder
    local stages
    stages=$(go list -mod=readonly -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage &&
        install -D -m 644 -t "$1/stages" "$stages"/node/fast/node-initialize.yaml \
            "$stages"/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml \
            "$stages"/pod/fast/pod-{complete,delete,ready}.yaml
}

ensure_component() { # component
    local folder
    folder=$(component_folder "$1")
    if [[ ! -d $folder ]]; then
        lock_cache
        [[ -d $folder ]] || build_component "$1" "$folder" # unless another has built it meanwhile
    fi
    printf '%s\n' "$folder"
}

# Written aside and renamed: a folder that is there is a component that is whole.
build_component() { # component, folder
    local aside=$2.unfinished log=$2.log started=$SECONDS
    command -v go >/dev/null || fail "go: not found" "https://go.dev/dl, 1.26.6 or newer"
    say "building $(basename "$2")"
    rm -rf "$aside"
    mkdir -p "$aside"
    if ! (build_programs "$1" "$aside") >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "$1: the build failed; all it said is in $log" \
            "what was compiled is kept, so running it again goes on where this ended"
    fi
    sync "$aside"/*
    mv "$aside" "$2"
    rm "$log"
    say "  took $((SECONDS - started)) s"
}

lock_cache() {
    exec 9>"$CACHE/lock"
    flock --nonblock 9 || {
        say "waiting for another build in $CACHE"
        flock 9
    }
}

main() {
    local component
    mkdir -p "$CACHE"
    export GOWORK=off CGO_ENABLED=0
    for component in "${COMPONENTS[@]}" ${WITH_KWOK:+kwok}; do
        ensure_component "$component"
    done
}

main "$@"
