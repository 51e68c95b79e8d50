# shellcheck shell=bash disable=SC2034 # names are for those who source this
# Names and messages that the scripts of this folder share. Sourced by each, never run.

# Before anything else: other systems' programs know other options.
[[ $(uname -s) == Linux ]] || {
    printf 'hack/kubernetes: Linux: this is %s; use minikube or kind\n' "$(uname -s)" >&2
    exit 1
}

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps ip and iptables, and not on every user's path
COMPONENTS=(kubernetes containerd etcd coredns cni pause)

# What is built once and kept; and what a start creates and `make cluster-down` removes.
CACHE=${TAC_KUBERNETES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tac-kubernetes}
STATE=$(realpath -m "${TAC_KUBERNETES_STATE:-/var/lib/tac-kubernetes}")
PKI=$STATE/pki

# Otherwise ctr warns of control groups of version 1 at each call.
export CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1

# 198.18.0.0/15 is reserved for tests of networks (RFC 2544): no host has it.
BRIDGE=tackube0
HOST=198.18.0.1 # the control plane, seen from nodes and pods
SERVICES=198.19.0.0/16
DNS=198.19.0.10

# A kubelet sets these for the whole machine.
SYSCTLS=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes)

read_sysctls() {
    local name
    for name in "${SYSCTLS[@]}"; do
        printf '/proc/sys/%s %s\n' "$name" "$(cat "/proc/sys/$name")"
    done
}

node_address() { # node
    printf '198.18.0.1%d' "$1"
}

pod_network() { # node
    printf '198.18.1%d.0/24' "$1"
}

say() {
    printf '%s\n' "$*" >&2
}

fail() { # what happened, hint
    say "hack/kubernetes: $1"
    [[ -z ${2:-} ]] || say "Hint: $2"
    exit 1
}

# The folder of a component's programs. Its name changes with all that they are built from.
component_folder() { # component
    local folder=$HERE/components/$1 version digest
    version=$(component_version "$1")
    digest=$(cd "$folder" && cat -- * | sha256sum)
    printf '%s/%s%s-%s' "$CACHE" "$1" "${version:+-$version}" "${digest:0:12}"
}

# The version of the module that a component's programs (`tool` in go.mod) belong to.
component_version() { # component; nothing where it is ours
    awk '
        $1 == "require" && NF > 2 {$1 = ""; $0 = $0}
        $2 ~ /^v[0-9]/ {version[$1] = $2}
        $1 == "tool" && $2 != "(" {program = $2}
        $1 == "tool" && $2 == "(" {getline; program = $1}
        END {for (module in version) if (index(program "/", module "/") == 1) print version[module]}
    ' "$HERE/components/$1/go.mod"
}

is_built() {
    local component
    for component in "${COMPONENTS[@]}"; do
        [[ -d $(component_folder "$component") ]] || return 1
    done
}
