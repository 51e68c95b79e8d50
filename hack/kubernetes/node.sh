# shellcheck shell=bash
# A node: network and mounts of its own, and in them containerd, a kubelet and kube-proxy.
# Sourced, never run.
#
# The node is the process node-N, which only holds its namespaces; the daemons enter them.

# Directories that containerd, its shims and a kubelet write to, whatever their flags: one a node.
PRIVATE_FOLDERS=(/opt/containerd /run/containerd /var/lib/cni /var/log/containers)

make_bridge() {
    ip link add "$BRIDGE" type bridge
    ip addr add "$HOST/24" dev "$BRIDGE"
    ip link set "$BRIDGE" up
    # Docker's default for forwarded packets is DROP, and bridged ones count as forwarded.
    iptables -I FORWARD -i "$BRIDGE" -o "$BRIDGE" -j ACCEPT
}

make_node_network() { # node, number of nodes
    local namespace=tac-node-$1 other
    ip netns add "$namespace"
    ip link add "tacn$1" type veth peer name eth0 netns "$namespace"
    ip link set "tacn$1" master "$BRIDGE" up
    ip -n "$namespace" link set lo up
    ip -n "$namespace" addr add "$(node_address "$1")/24" dev eth0
    ip -n "$namespace" link set eth0 up
    ip -n "$namespace" route add default via "$HOST"
    for other in $(seq "$2"); do
        ((other == $1)) ||
            ip -n "$namespace" route add "$(pod_network "$other")" via "$(node_address "$other")"
    done
    ip route add "$(pod_network "$1")" via "$(node_address "$1")"
    # Not `ip netns exec`: it hides /sys/fs/cgroup behind a new /sys.
    nsenter "--net=/run/netns/$namespace" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

# A place that the machine does not have is made, and noted to be removed again.
make_private_folders() {
    local folder
    for folder in "${PRIVATE_FOLDERS[@]}"; do
        [[ -d $folder ]] || { mkdir -p "$folder" && echo "$folder" >>"$STATE/folders"; }
    done
}

# What the machine mounts later is seen in the node; what the node mounts is seen nowhere else.
start_node_process() { # node
    local folder
    start "node-$1" nsenter "--net=/run/netns/tac-node-$1" \
        unshare --mount --propagation slave "$STATE/bin/pause"
    await 10 "node-$1" "node-$1" holds_namespaces "$1"
    in_node "$1" mount --make-rshared /
    for folder in "${PRIVATE_FOLDERS[@]}"; do
        in_node "$1" mount -t tmpfs -o mode=755 tac-node "$folder"
    done
}

holds_namespaces() { # node
    [[ $(readlink "/proc/$(cat "$STATE/node-$1.pid")/exe") == */pause ]]
}

in_node() { # node, command...
    nsenter --target "$(cat "$STATE/node-$1.pid")" --mount --net -- "${@:2}"
}

# A daemon of the node, in its namespaces and in its control group.
start_in_node() { # node, name, command...
    # shellcheck disable=SC2016 # the inner shell's own variables
    start "node-$1-$2" nsenter --target "$(cat "$STATE/node-$1.pid")" --mount --net -- \
        bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$(daemons_cgroup "$1")" "${@:3}"
}

start_containerd() { # node, number of nodes
    local folder=$STATE/node-$1
    mkdir -p "$folder/cni"
    make_cgroups "$1"
    make_node_network "$1" "$2"
    start_node_process "$1"
    write_network_config "$1" >"$folder/cni/10-pods.conflist"
    write_containerd_config "$1" >"$folder/containerd.toml"
    start_in_node "$1" containerd containerd --config "$folder/containerd.toml"
}

start_kubelet() { # node
    local folder=$STATE/node-$1 image
    await 30 "containerd of node-$1" "node-$1-containerd" ctr -a "$folder/containerd.sock" version
    for image in pause coredns; do
        ctr -a "$folder/containerd.sock" -n k8s.io images import "$STATE/$image.tar" >/dev/null
    done
    : >"$folder/resolv.conf" # the cluster's DNS forwards to no other
    write_kubelet_config "$1" >"$folder/kubelet.yaml"
    write_proxy_config "$1" >"$folder/proxy.yaml"
    start_in_node "$1" kubelet kubelet --config="$folder/kubelet.yaml" \
        --kubeconfig="$PKI/node-$1.kubeconfig" --root-dir="$folder/kubelet" \
        --hostname-override="node-$1" --node-ip="$(node_address "$1")" --cert-dir="$folder/pki"
    start_in_node "$1" proxy kube-proxy --config="$folder/proxy.yaml"
}

write_network_config() { # node
    cat <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$STATE/node-$1/ipam",
            "ranges": [[{"subnet": "$(pod_network "$1")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
}

# restrict_oom_score_adj: without CAP_SYS_RESOURCE, as in containers and in CI, nothing may lower
# a process's oom_score_adj, and every pod would fail to start.
write_containerd_config() { # node
    local folder=$STATE/node-$1
    cat <<TOML
version = 3
root = "$folder/containerd"
state = "$folder/run"

[grpc]
  address = "$folder/containerd.sock"

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["$STATE/bin"]
  conf_dir = "$folder/cni"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "docker.io/library/pause:tac"
TOML
}

# failCgroupV1 false: since 1.35 a kubelet refuses version 1 by default.
write_kubelet_config() { # node
    local folder=$STATE/node-$1
    cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$folder/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /tac-node-$1
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
address: 0.0.0.0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $PKI/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $PKI/node-$1.crt
tlsPrivateKeyFile: $PKI/node-$1.key
clusterDNS: [$DNS]
clusterDomain: cluster.local
resolvConf: $folder/resolv.conf
podLogsDir: $folder/logs
volumePluginDir: $folder/volume-plugins
evictionHard: {memory.available: 100Mi}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 4s
YAML
}

# masqueradeAll: what a pod answers to another pod of its node that asked through a service has to
# come back through the node, and without the module br_netfilter a bridge takes the short way.
write_proxy_config() { # node
    cat <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: node-$1
clientConnection: {kubeconfig: $PKI/proxy.kubeconfig}
clusterCIDR: 198.18.0.0/16
iptables: {masqueradeAll: true}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
oomScoreAdj: 0
YAML
}
