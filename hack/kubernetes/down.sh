#!/usr/bin/env bash
# Stop the Kubernetes that up.sh started, and leave nothing of it.
#
# It ends the processes that carry up.sh's mark in their environment, and those of the pods, in the
# nodes' control groups; none by its name. Then it checks, and lists what it could not remove.
# What was built stays in its cache.
# Needs root. Usage: hack/kubernetes/down.sh
# Settings: TAC_KUBERNETES_STATE, as for up.sh.
set -euo pipefail

FOLDER=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=hack/kubernetes/names.sh
source "$FOLDER/names.sh"
# shellcheck source=hack/kubernetes/cgroups.sh
source "$FOLDER/cgroups.sh"
# shellcheck source=hack/kubernetes/processes.sh
source "$FOLDER/processes.sh"

# A process may start another while it is being ended: again, until none is left.
stop_processes() {
    local deadline=$((SECONDS + 10))
    while [[ -n $(list_processes) ]] && ((SECONDS < deadline)); do
        list_processes | xargs -r kill -KILL 2>/dev/null || true
        sleep 0.05
    done
}

list_processes() {
    { list_own_processes && list_cgroup_processes; } | sort -un
}

remove_networks() {
    local namespace
    while read -r namespace; do
        ip netns delete "$namespace" || true
    done < <(list_network_namespaces)
    remove_link "$BRIDGE"
    # A node's link goes with its namespace, unless something else still holds that.
    local link
    while read -r link; do remove_link "$link"; done < <(list_links)
    while iptables -D FORWARD -i "$BRIDGE" -o "$BRIDGE" -j ACCEPT 2>/dev/null; do :; done
}

remove_link() { # name
    ! ip link show "$1" >/dev/null 2>&1 || ip link delete "$1" || true
}

list_network_namespaces() {
    find /run/netns -maxdepth 1 -name 'tac-node-*' -printf '%f\n' 2>/dev/null || true
}

list_links() {
    find /sys/class/net -maxdepth 1 \( -name 'tacn[1-9]' -o -name "$BRIDGE" \) -printf '%f\n'
}

list_mounts() {
    awk -v state="$STATE/" 'index($2, state) == 1 {print $2}' /proc/self/mounts | sort -r
}

# The nodes' mounts end with their processes; a mount here is not of these scripts.
remove_mounts() {
    local folder
    while read -r folder; do umount "$folder" || true; done < <(list_mounts)
}

restore_sysctls() {
    local file value
    [[ -e $STATE/sysctls ]] || return 0
    while read -r file value; do
        [[ $(cat "$file") == "$value" ]] || echo "$value" >"$file"
    done <"$STATE/sysctls"
}

remove_folders() {
    local folder
    if [[ -e $STATE/folders ]]; then
        while read -r folder; do rmdir "$folder" 2>/dev/null || true; done <"$STATE/folders"
    fi
    [[ -n $(list_mounts) ]] || rm -rf "$STATE"
}

list_remains() {
    list_processes | sed 's/^/process /'
    list_network_namespaces | sed 's/^/network namespace /'
    list_links | sed 's/^/network link /'
    list_cgroups | sed 's/^/control group /'
    list_mounts | sed 's/^/mount /'
    iptables-save 2>/dev/null | grep -w -e "$BRIDGE" | sed 's/^/iptables rule /' || true
    [[ ! -e $STATE ]] || echo "folder $STATE"
}

main() {
    local remains recorded=yes
    ((EUID == 0)) || fail "root: this is $(id -un)" "run it as root: up.sh did"
    refuse_other_state
    remains=$(list_remains)
    if [[ -z $remains ]]; then
        say "nothing is up"
        exit 0
    fi
    [[ ! -e $STATE || -e $STATE/nodes || -n $(list_own_processes) ]] ||
        fail "$STATE: not made by up.sh, so it is left alone" \
            "set TAC_KUBERNETES_STATE to what up.sh was given"
    [[ -e $STATE/sysctls ]] || recorded=
    stop_processes
    remove_networks
    remove_mounts
    remove_cgroups
    restore_sysctls
    remove_folders
    remains=$(list_remains)
    [[ -z $remains ]] || fail "what could not be removed: $(paste -s -d ',' <<<"$remains")" \
        "the same again; a restart of the machine ends what is left, but for the folder"
    [[ -n $recorded ]] ||
        fail "down, but $STATE was gone, and with it what kubelets have changed: ${SYSCTLS[*]}" \
            "set them with sysctl, or restart the machine"
    say "down, and nothing is left of it"
}

main "$@"
