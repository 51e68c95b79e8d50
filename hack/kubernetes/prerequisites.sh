# shellcheck shell=bash
# What a machine needs: all that is missing is said at once, each with its remedy.
# Sourced, never run.

PROGRAMS="runc:runc iptables:iptables openssl:openssl ip:iproute2 ss:iproute2 nsenter:util-linux \
unshare:util-linux setsid:util-linux flock:util-linux python3:python3"

check_prerequisites() {
    local found
    found=$(list_problems)
    [[ -n $found ]] || return 0
    say "hack/kubernetes: this machine cannot run it:"
    say "  ${found//$'\n'/$'\n'  }"
    exit 1
}

list_problems() {
    ((${#STATE} <= 60)) ||
        echo "TAC_KUBERNETES_STATE: longer than 60 letters, and sockets in it must have short names"
    list_missing_programs
    list_control_group_problems
    if ((EUID == 0)); then
        list_kernel_problems
        list_address_problems
    else
        echo "root: this is $(id -un); run it as root, with Go on root's PATH"
    fi
}

list_missing_programs() {
    local pair
    for pair in $PROGRAMS; do
        command -v "${pair%:*}" >/dev/null ||
            echo "${pair%:*}: not found; apt-get install ${pair#*:}"
    done
    is_built || command -v go >/dev/null ||
        echo "go: not found, and $CACHE holds no finished build; https://go.dev/dl, 1.26.6 or newer"
}

list_control_group_problems() {
    local version controller present
    if [[ ! -d /sys/fs/cgroup ]] || [[ -z $(processes_hierarchy) ]]; then
        echo "control groups: none with pids at /sys/fs/cgroup; mount them, or boot with systemd"
        return
    fi
    version=$(cgroup_version)
    present=$(list_controllers)
    for controller in "${CONTROLLERS[@]}"; do
        grep -qx "$controller" <<<"$present" ||
            echo "control groups, version $version: no controller $controller;" \
                "boot without cgroup_disable=$controller, or delegate it to this container"
    done
    ((EUID != 0)) || [[ -w $(processes_hierarchy) ]] ||
        echo "control groups, version $version: not writable; in a container, run it privileged"
}

# Tried, not looked up: a feature may be built in, a module, or forbidden.
# Nothing of it remains, because it happens in namespaces that end with the command.
list_kernel_problems() {
    if ! unshare --net --mount true 2>/dev/null; then
        echo "namespaces: unshare --net --mount is refused; in a container, run it privileged"
        return
    fi
    try_links || echo "kernel: no bridge or veth; modprobe -a bridge veth"
    try_rules || echo "kernel or iptables: what kube-proxy needs is missing;" \
        "modprobe -a iptable_nat xt_addrtype xt_comment xt_conntrack xt_mark xt_MASQUERADE" \
        xt_statistic
    try_overlay || echo "kernel: no overlay file system on the disk of $(dirname "$STATE");" \
        "modprobe overlay, or set TAC_KUBERNETES_STATE to a folder on ext4 or xfs"
}

try_links() {
    unshare --net sh -e -c '
        ip link add try0 type bridge
        ip link add try1 type veth peer name try2' 2>/dev/null
}

try_rules() {
    ! command -v iptables >/dev/null || unshare --net sh -e -c '
        iptables -t nat -A POSTROUTING -m comment --comment try -m conntrack --ctstate NEW \
            -m statistic --mode random --probability 0.5 -m addrtype --dst-type LOCAL \
            -m mark ! --mark 1 -j MASQUERADE
        iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP' >/dev/null 2>&1
}

try_overlay() {
    local folder status=0
    folder=$(mktemp -d -p "$(existing_parent "$STATE")") || return
    mkdir "$folder"/{lower,upper,work,all}
    unshare --mount mount -t overlay overlay "$folder/all" \
        -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" 2>/dev/null ||
        status=$?
    rm -rf "$folder"
    return $status
}

existing_parent() { # path
    local path
    path=$(dirname "$1")
    while [[ ! -d $path ]]; do path=$(dirname "$path"); done
    printf '%s' "$path"
}

list_address_problems() {
    local port used
    for port in 6443 23790 23800; do
        used=$(ss -H -ltn "sport = :$port" 2>/dev/null | awk 'NR == 1 {print $4}')
        [[ -z $used ]] ||
            echo "port $port: in use at $used; stop the other (another Kubernetes?), see: ss -ltnp"
    done
    used=$(ip -o addr show to 198.18.0.0/15 2>/dev/null | awk 'NR == 1 {print $2 " " $4}')
    [[ -z $used ]] ||
        echo "addresses: 198.18.0.0/15 is in use by $used; make cluster-down," \
            "or end the VPN or proxy that uses it"
}
