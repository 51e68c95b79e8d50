#!/usr/bin/env bash
# Prove that the Kubernetes of this folder works, and that nothing of it stays.
#
# Needs what up.sh needs, and that none is up. Takes 40 seconds, once it is built.
# Where it fails, what is up stays up, to look at; down.sh removes it.
# Usage: hack/kubernetes/check.sh [NODES]      by default 2
set -euo pipefail

FOLDER=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=hack/kubernetes/names.sh
source "$FOLDER/names.sh"
# shellcheck source=hack/kubernetes/processes.sh
source "$FOLDER/processes.sh"

# What a Kubernetes may leave behind, as far as it cannot be another program's, such as Docker's.
# Not processes, which come and go: down.sh looks for them.
list_things() {
    ip -o link show | awk -F ': ' '$2 ~ /^(tackube|tacn[1-9]|cni|kube)/ {print "link", $2}'
    ip route show | awk '/198\.1[89]\./ {print "route", $0}'
    iptables-save | awk '/^-A/ && /tackube|198\.1[89]|KUBE|CNI/ {print "rule", $0}'
    awk -v state="$STATE" '$1 == "tac-node" || index($2, state) == 1 || $2 ~ "^/run/netns/" {
        print "mount", $2, $3}' /proc/self/mounts
    find /sys/fs/cgroup -maxdepth 2 -type d -name 'tac-node-*' -printf 'control group %p\n'
    find /opt /run /run/netns /usr/libexec /var/lib /var/log -maxdepth 1 \
        -printf 'file %p\n' 2>/dev/null
    read_sysctls
}

# It asks the API server by its name: a pod, its token, the service, DNS and the log, all at once.
run_job() { # node
    kubectl apply -f - >/dev/null <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: check-$1}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {kubernetes.io/hostname: node-$1}
      containers:
        - name: check
          image: docker.io/library/kubectl:check
          imagePullPolicy: Never
          args: [get, --raw, /readyz]
          env: [{name: KUBERNETES_SERVICE_HOST, value: kubernetes.default.svc.cluster.local}]
YAML
    kubectl wait --for=condition=Complete "job/check-$1" --timeout=60s >/dev/null || {
        kubectl describe "job/check-$1" >&2
        kubectl logs "job/check-$1" >&2 || true
        fail "job/check-$1: did not succeed"
    }
    expect ok kubectl logs "job/check-$1"
    kubectl get pods -l "batch.kubernetes.io/job-name=check-$1" --no-headers -o wide |
        awk '{print $1, $3, $7}' >&2
}

run_exec() { # node
    kubectl run "exec-$1" --restart=Never \
        --image=docker.io/library/kubectl:check --image-pull-policy=Never \
        --overrides='{"spec": {"nodeName": "node-'"$1"'"}}' -- proxy >/dev/null
    kubectl wait --for=condition=Ready "pod/exec-$1" --timeout=60s >/dev/null
    expect "Client Version: $(component_version kubernetes)" \
        bash -c "kubectl exec exec-$1 -- /kubectl version --client | head -n 1"
}

expect() { # output, command...
    local said
    said=$("${@:2}")
    [[ $said == "$1" ]] || fail "$(printf '%q ' "${@:2}"): said $said, not $1"
}

main() {
    local nodes=${1:-2} node started=$SECONDS work remains
    refuse_other_state
    [[ -z $(list_own_processes) ]] ||
        fail "a Kubernetes is up in $STATE, and this would end it" "make cluster-down"
    work=$(mktemp -d)
    list_things | sort -u >"$work/before"
    "$HERE/up.sh" "$nodes"
    list_own_processes | xargs kill -KILL
    "$HERE/up.sh" "$nodes" # removes what is left, as after a restart of the machine
    "$HERE/up.sh" "$nodes" # is up, says so
    export KUBECONFIG=$STATE/kubeconfig PATH=$STATE/bin:$PATH
    kubectl get nodes -o wide >&2
    python3 "$HERE/image.py" kubectl:check "$work/image.tar" "$STATE/bin/kubectl"
    "$HERE/load-image.sh" "$work/image.tar"
    for node in $(seq "$nodes"); do
        run_job "$node"
        run_exec "$node"
    done
    "$HERE/down.sh"
    "$HERE/down.sh" # nothing is up, says so
    list_things | sort -u >"$work/after"
    remains=$(comm -13 "$work/before" "$work/after")
    [[ -z $remains ]] || fail "this was not there before:"$'\n'"$remains"
    rm -r "$work"
    say "checked in $((SECONDS - started)) s: up, up again after all was killed, Jobs, logs, exec, down, and nothing left"
}

main "$@"
