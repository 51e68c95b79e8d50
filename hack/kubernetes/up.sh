#!/usr/bin/env bash
# Start a real Kubernetes on this machine, with RBAC, TLS, services, DNS and NODES nodes.
#
# It is for tests and CI; docs/cluster.md tells what it does to the machine.
# Needs Linux, root, control groups of version 1 or 2, the packages runc iptables openssl iproute2
# python3, and Go the first time; it says all that is missing, at once.
# Usage: hack/kubernetes/up.sh [NODES]      1 to 9, by default 1; then: export KUBECONFIG=...
# If it is up, it says so and changes nothing. Remains of a restart of the machine are removed first.
# Settings: TAC_KUBERNETES_STATE, its folder, by default /var/lib/tac-kubernetes
#           TAC_KUBERNETES_CACHE, where build.sh keeps the programs
#           NODE_GRACE=20s, until a silent node is NotReady
#           CONTROLLER_QPS=20, the requests a second that the controllers may make
set -Eeuo pipefail

FOLDER=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=hack/kubernetes/names.sh
source "$FOLDER/names.sh"
# shellcheck source=hack/kubernetes/cgroups.sh
source "$FOLDER/cgroups.sh"
# shellcheck source=hack/kubernetes/prerequisites.sh
source "$FOLDER/prerequisites.sh"
# shellcheck source=hack/kubernetes/processes.sh
source "$FOLDER/processes.sh"
# shellcheck source=hack/kubernetes/certificates.sh
source "$FOLDER/certificates.sh"
# shellcheck source=hack/kubernetes/node.sh
source "$FOLDER/node.sh"

check_argument() { # nodes
    [[ $1 =~ ^[1-9]?$ ]] ||
        fail "NODES is $(printf %q "$1"): not a number from 1 to 9" "make cluster NODES=2"
}

# Up, in whole or in part, or down. State from before a restart of the machine does not count.
check_earlier() { # nodes
    local count dead hint="make cluster-down && make cluster${1:+ NODES=$1}"
    [[ -e $STATE ]] || return 0
    [[ -e $STATE/nodes ]] || fail "$STATE: there, and not made by this" \
        "set TAC_KUBERNETES_STATE to another"
    count=$(cat "$STATE/nodes")
    dead=$(list_dead | paste -s -d ' ')
    if [[ -n $dead && -z $(list_own_processes) ]]; then
        say "$STATE: a Kubernetes of which nothing runs, as after a restart of the machine"
        "$HERE/down.sh"
        return
    fi
    [[ -z $dead ]] || fail "$STATE: a Kubernetes that is not whole: $dead ended" "$hint"
    [[ -e $STATE/ready ]] || fail "$STATE: a Kubernetes that did not get ready" "$hint"
    [[ -z $1 || $1 == "$count" ]] || fail "up with NODES=$count, not $1" "$hint"
    "$STATE/bin/kubectl" --kubeconfig "$STATE/kubeconfig" \
        wait --for=condition=Ready nodes --all --timeout=10s >/dev/null ||
        fail "up, but not all nodes are ready" "kubectl describe nodes, or $hint"
    say "up already, with NODES=$count"
    print_environment
    exit 0
}

# A command without error handling of its own has failed; its output is above.
explain_stop() {
    say "hack/kubernetes: stopped at: $BASH_COMMAND"
    say "Hint: $STATE is left as it is, to look at; make cluster-down removes it"
}

make_state() { # nodes
    mkdir -p "$(dirname "$STATE")"
    mkdir "$STATE" 2>/dev/null || fail "$STATE: another start is under way"
    echo "$1" >"$STATE/nodes"
    read_sysctls >"$STATE/sysctls" # for down.sh
}

link_programs() { # folders
    local folder
    mkdir "$STATE/bin"
    while read -r folder; do
        find "$folder" -maxdepth 1 -type f -exec ln -s -t "$STATE/bin" {} +
    done <<<"$1"
    # A copy: who called sudo can use it, but perhaps not see root's cache.
    cp --remove-destination "$(readlink -f "$STATE/bin/kubectl")" "$STATE/bin/kubectl"
}

pack_images() {
    python3 "$HERE/image.py" pause:tac "$STATE/pause.tar" "$STATE/bin/pause"
    python3 "$HERE/image.py" coredns:tac "$STATE/coredns.tar" "$STATE/bin/coredns" \
        -conf /etc/coredns/Corefile
}

start_apiserver() {
    local etcd=http://127.0.0.1:23790 peer=http://127.0.0.1:23800
    start etcd etcd --data-dir "$STATE/etcd" --unsafe-no-fsync \
        --listen-client-urls $etcd --advertise-client-urls $etcd \
        --listen-peer-urls $peer --initial-advertise-peer-urls $peer --initial-cluster default=$peer
    start apiserver kube-apiserver --etcd-servers=$etcd \
        --bind-address=0.0.0.0 --secure-port=6443 --advertise-address="$HOST" \
        --service-cluster-ip-range="$SERVICES" --allow-privileged=true \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --client-ca-file="$PKI/ca.crt" \
        --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
        --kubelet-client-certificate="$PKI/apiserver-kubelet.crt" \
        --kubelet-client-key="$PKI/apiserver-kubelet.key" \
        --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP \
        --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local
}

# Without ports: they are not used, and another cluster may have taken the defaults.
start_controllers() {
    local qps=${CONTROLLER_QPS:-20}
    start controller-manager kube-controller-manager --secure-port=0 --leader-elect=false \
        --kubeconfig="$PKI/controller-manager.kubeconfig" \
        --kube-api-qps="$qps" --kube-api-burst="$((qps * 3 / 2))" \
        --service-account-private-key-file="$PKI/sa.key" --root-ca-file="$PKI/ca.crt" \
        --use-service-account-credentials=true \
        --node-monitor-grace-period="${NODE_GRACE:-20s}" --node-monitor-period=2s
    start scheduler kube-scheduler --secure-port=0 --leader-elect=false \
        --kubeconfig="$PKI/scheduler.kubeconfig"
}

start_kubernetes() { # nodes
    local node
    make_certificates "$1"
    write_user_kubeconfig
    pack_images
    make_bridge
    make_private_folders
    start_apiserver
    for node in $(seq "$1"); do start_containerd "$node" "$1"; done
    await 60 "the API server" apiserver kubectl get --raw /readyz
    start_controllers
    for node in $(seq "$1"); do start_kubelet "$node"; done
    kubectl apply -f "$HERE/coredns.yaml" >/dev/null
}

# Who called sudo may use what came of it.
write_user_kubeconfig() {
    install -m 600 ${SUDO_UID:+-o "$SUDO_UID"} "$PKI/admin.kubeconfig" "$STATE/kubeconfig"
}

await_kubernetes() { # nodes
    local node
    for node in $(seq "$1"); do
        await 60 "node-$node" "node-$node-kubelet" \
            kubectl wait --for=condition=Ready "node/node-$node" --timeout=1s
    done
    await 60 "the default service account" controller-manager kubectl get serviceaccount default
    await 60 CoreDNS node-1-kubelet \
        kubectl -n kube-system rollout status deployment/coredns --timeout=1s
}

print_environment() {
    echo "export KUBECONFIG=$STATE/kubeconfig PATH=$STATE/bin:\$PATH"
}

main() {
    local wanted=${1:-} nodes=${1:-1} folders started
    check_argument "$wanted"
    ((EUID == 0)) || check_prerequisites
    refuse_other_state
    check_earlier "$wanted"
    check_prerequisites
    folders=$("$HERE/build.sh")
    # The machine's proxy, if it has one, is not the way to addresses that exist only on it.
    unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy
    started=$SECONDS
    make_state "$nodes"
    trap explain_stop ERR
    link_programs "$folders"
    export PATH=$STATE/bin:$PATH KUBECONFIG=$STATE/kubeconfig
    say "starting Kubernetes $(component_version kubernetes) with NODES=$nodes," \
        "on control groups of version $(cgroup_version)"
    start_kubernetes "$nodes"
    await_kubernetes "$nodes"
    touch "$STATE/ready"
    say "up after $((SECONDS - started)) s; logs are in $STATE"
    print_environment
}

main "$@"
