# shellcheck shell=bash
# The control groups of the nodes, on version 1 (many hierarchies) and on version 2 (one).
# Sourced, never run. Every group of ours is called tac-node-N and lies at the top of its hierarchy.

CONTROLLERS=(cpu cpuset memory pids) # a kubelet does not start without them

cgroup_version() {
    if [[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]]; then echo 2; else echo 1; fi
}

# The folders where hierarchies are mounted: one with version 2.
list_hierarchies() {
    local type=cgroup
    [[ $(cgroup_version) == 1 ]] || type=cgroup2
    awk -v type=$type '$3 == type {print $2}' /proc/self/mounts
}

list_controllers() {
    if [[ $(cgroup_version) == 2 ]]; then
        tr ' ' '\n' </sys/fs/cgroup/cgroup.controllers
    else
        awk '$3 == "cgroup" {print $4}' /proc/self/mounts | tr ',' '\n'
    fi
}

# The hierarchy that knows every process of a node, its containers and its daemons.
processes_hierarchy() {
    if [[ $(cgroup_version) == 2 ]]; then
        echo /sys/fs/cgroup
    else
        awk '$3 == "cgroup" && $4 ~ /(^|,)pids(,|$)/ {print $2; exit}' /proc/self/mounts
    fi
}

make_cgroups() { # node
    local hierarchy file
    while read -r hierarchy; do
        mkdir -p "$hierarchy/tac-node-$1"
        for file in cpuset.cpus cpuset.mems; do
            # Version 1: a new cpuset is empty, and an empty one takes no process.
            if [[ $(cgroup_version) == 1 && -e $hierarchy/$file ]]; then
                cat "$hierarchy/$file" >"$hierarchy/tac-node-$1/$file"
            fi
        done
    done < <(list_hierarchies)
    if [[ $(cgroup_version) == 2 ]]; then
        enable_controllers /sys/fs/cgroup
        enable_controllers "/sys/fs/cgroup/tac-node-$1"
    fi
    mkdir -p "$(daemons_cgroup "$1")"
}

# Version 2 delegates only the controllers of cgroup.subtree_control.
enable_controllers() { # folder
    local controller
    for controller in "${CONTROLLERS[@]}" io hugetlb; do
        if grep -qw "$controller" "$1/cgroup.controllers"; then
            echo "+$controller" >"$1/cgroup.subtree_control"
        fi
    done
}

# containerd and kubelet are kept apart from the pods, and so are the shims that containerd starts.
daemons_cgroup() { # node
    printf '%s/tac-node-%d/daemons' "$(processes_hierarchy)" "$1"
}

list_cgroups() {
    local hierarchy
    while read -r hierarchy; do
        find "$hierarchy" -mindepth 1 -maxdepth 1 -type d -name 'tac-node-*'
    done < <(awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/self/mounts)
}

# Every process that lives in a group of ours, or that one of these started.
list_cgroup_processes() {
    local folder
    while read -r folder; do
        find "$folder" -name cgroup.procs -exec cat {} + 2>/dev/null || true
    done < <(list_cgroups) | sort -un
}

remove_cgroups() {
    local folder
    while read -r folder; do
        find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done < <(list_cgroups)
}
