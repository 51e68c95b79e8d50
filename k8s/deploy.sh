#!/usr/bin/env bash
# Put an overlay of this folder on a Kubernetes, and use what is there.
#
# Each command that changes something is printed before it runs. Every verb can be repeated.
# ./minikube.sh is this and a minikube.
# Needs kubectl 1.31 or newer, and a context in which you may do it.
#
# Usage: k8s/deploy.sh [--context C] [--namespace N] [--overlay FOLDER] VERB ...
#   apply                     apply it, make S3's keys where there are none, wait until all is ready
#   run [TASK] [ARGUMENT...]  a driver in the cluster: `tac run` with these arguments, by default
#                             those of the CronJob; follows its log, ends with its exit code
#   status                    what is there, and what went wrong last
#   logs [NAME] [OPTION...]   of the last driver, or of luigid, s3 or a Job; options are kubectl's
#   dashboard [PORT]          luigid's pages on this machine, until Ctrl-C; by default at 8082
#   s3 [PORT]                 the cluster's S3 on this machine, until Ctrl-C; by default at 8333
#   cancel [NAME]             end the last driver, or that Job, and all steps; what is done stays
#   remove --with-data        delete all of it, with the namespace and everything in its volumes
# By default the kubeconfig's current context, the namespace tac, and the overlay minikube.
# With another namespace, an overlay of your own has to name it too.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=k8s/driver.sh
source "$HERE/driver.sh"
READY_SECONDS=300 # an image of 500 MB comes over a slow line
PARTS=app.kubernetes.io/part-of=tac
SPACE=app.kubernetes.io/component=namespace

say() {
    printf '%s\n' "$*" >&2
}

fail() { # exit code, what happened, hint
    say "k8s/deploy.sh: $2"
    [[ -z ${3:-} ]] || say "Hint: $3"
    exit "$1"
}

show() { # command...: as it can be typed
    {
        printf '+'
        printf ' %q' "$@"
        printf '\n'
    } >&2
}

show_and_run() { # command...
    show "$@"
    "$@"
}

usage() {
    sed -n '/^# Usage:/,/^# With another/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

check_prerequisites() {
    local minor install=https://kubernetes.io/docs/tasks/tools
    command -v kubectl >/dev/null || fail 2 'kubectl: not found' "$install"
    minor=$(kubectl version --client --output yaml 2>/dev/null |
        sed -n 's/^  minor: "\([0-9]*\).*/\1/p') || true
    [[ -z $minor || $minor -ge 31 ]] || fail 2 "kubectl: is 1.$minor, not 1.31 or newer" "$install"
}

refuse_arguments() { # verb, arguments that it does not take...
    (($# == 1)) || fail 2 "$1: what is $(printf '%q' "$2")?" \
        "options stand before the verb: k8s/deploy.sh --context C $1"
}

check_port() { # verb, [port]
    [[ ${2:-1} =~ ^[0-9]+$ ]] || refuse_arguments "$@"
    ((10#${2:-1} > 0 && 10#${2:-1} < 65536)) || fail 2 "$1: there is no port $2"
    (($# < 3)) || refuse_arguments "$1" "$3"
}

# What belongs to no namespace, above all the namespace itself, is the overlay's: --namespace
# changes nothing about it.
check_namespace() {
    local manifests named
    manifests=$(kubectl kustomize "$OVERLAY")
    named=$(awk '/^---$/ {found = 0} /^kind: Namespace$/ {found = 1}
        found && /^  name: / {print $2}' <<<"$manifests")
    [[ -n $named ]] || fail 2 "$OVERLAY: has no Namespace" 'k8s/base/namespace.yaml is one'
    [[ $named == "$NAMESPACE" ]] ||
        fail 2 "$OVERLAY: is of namespace $named, not $NAMESPACE" \
            "--namespace $named, or \`namespace: $NAMESPACE\` in an overlay of your own"
}

check_there() { # kind/name, [hint]
    local found
    found=$("${KUBECTL[@]}" get "$1" --ignore-not-found --output name)
    [[ -n $found ]] || fail 2 "namespace $NAMESPACE: has no $1" \
        "${2:-apply deploys it}; --namespace and --context choose another place"
}

apply_overlay() {
    refuse_arguments apply "$@"
    check_namespace
    # The namespace first: S3 does not start without its keys, and they live in it.
    show_and_run "${KUBECTL[@]}" apply -k "$OVERLAY" --selector $SPACE
    ensure_keys
    show_and_run "${KUBECTL[@]}" apply -k "$OVERLAY"
    wait_ready
    say "dashboard: ${KUBECTL[*]} port-forward service/luigid 8082, then http://localhost:8082"
}

# The keys of an S3 of our own are created once, from random bytes.
# They go through stdin, because everybody on this machine can read a command line.
ensure_keys() {
    local manifests found
    manifests=$(kubectl kustomize "$OVERLAY")
    grep -q 'secretKeyRef:' <<<"$manifests" || return 0
    found=$("${KUBECTL[@]}" get secret tac-s3 --ignore-not-found --output name)
    [[ -z $found ]] || return 0
    say "+ ${KUBECTL[*]} create -f -   # secret/tac-s3, with new keys"
    "${KUBECTL[@]}" create -f - <<YAML
apiVersion: v1
kind: Secret
metadata:
  name: tac-s3
  labels: {app.kubernetes.io/part-of: tac}
stringData:
  AWS_ACCESS_KEY_ID: tac-$(random_hex 6)
  AWS_SECRET_ACCESS_KEY: $(random_hex 20)
YAML
    # An existing S3 was started with the keys before these.
    found=$("${KUBECTL[@]}" get statefulset s3 --ignore-not-found --output name)
    [[ -z $found ]] || show_and_run "${KUBECTL[@]}" rollout restart statefulset/s3
}

random_hex() { # bytes
    od -An -v -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

wait_ready() {
    local workload
    for workload in $("${KUBECTL[@]}" get statefulsets --selector $PARTS --output name); do
        show_and_run "${KUBECTL[@]}" rollout status "$workload" --timeout="${READY_SECONDS}s" || {
            explain
            fail 1 "$workload: is not ready after $READY_SECONDS s" "${KUBECTL[*]} describe pods"
        }
    done
}

explain() {
    "${KUBECTL[@]}" get pods --selector $PARTS >&2
    list_warnings >&2
}

list_warnings() {
    local columns=SINCE:.metadata.creationTimestamp,WHO:.involvedObject.name,WHAT:.message
    "${KUBECTL[@]}" get events --field-selector type=Warning \
        --sort-by=.metadata.creationTimestamp --output "custom-columns=$columns" |
        tail -n 5 | cut -c 1-200
}

show_status() {
    refuse_arguments status "$@"
    show_and_run "${KUBECTL[@]}" get statefulsets,persistentvolumeclaims,cronjobs,jobs,pods
    say 'the last warnings:'
    list_warnings
}

open_dashboard() { # [port]
    check_port dashboard "$@"
    check_there service/luigid
    say "http://localhost:${1:-8082}"
    forward service/luigid "${1:-8082}:8082"
}

# On one address only: where another program has that one, kubectl would go on with ::1 alone.
forward() { # what, ports
    show "${KUBECTL[@]}" port-forward --address 127.0.0.1 "$@"
    exec "${KUBECTL[@]}" port-forward --address 127.0.0.1 "$@"
}

open_s3() { # [port]
    local port=${1:-8333} key=(get secret tac-s3 --output) name
    check_port s3 "$@"
    check_there service/s3
    say 'In another terminal:'
    say 'unset AWS_SESSION_TOKEN AWS_PROFILE'
    say "export AWS_ENDPOINT_URL_S3=http://localhost:$port AWS_REGION=us-east-1"
    for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do
        say "export $name=\$(${KUBECTL[*]} ${key[*]} 'jsonpath={.data.$name}' | base64 --decode)"
    done
    forward service/s3 "$port:8333"
}

remove_overlay() {
    local context=${CONTEXT:-$(kubectl config current-context)}
    [[ ${1:-} == --with-data ]] || fail 2 \
        "remove: deletes namespace $NAMESPACE of context $context, and the results in its S3" \
        'remove --with-data'
    shift
    refuse_arguments remove "$@"
    check_namespace
    show_and_run "${KUBECTL[@]}" delete -k "$OVERLAY" --ignore-not-found
}

main() {
    local verb
    CONTEXT='' NAMESPACE=tac OVERLAY=$HERE/overlays/minikube
    while (($# > 1)); do
        case $1 in
            --context) CONTEXT=$2 ;;
            --namespace) NAMESPACE=$2 ;;
            --overlay) OVERLAY=$2 ;;
            *) break ;;
        esac
        shift 2
    done
    KUBECTL=(kubectl ${CONTEXT:+--context "$CONTEXT"} --namespace "$NAMESPACE")
    verb=${1:-}
    shift || true
    case $verb in
        -h | --help | help | '') usage && exit ;;
        apply | run | status | logs | dashboard | s3 | cancel | remove) check_prerequisites ;;
        *) fail 2 "there is no verb '$verb'" 'k8s/deploy.sh --help lists them' ;;
    esac
    case $verb in
        apply) apply_overlay "$@" ;;
        run) run_driver "$@" ;;
        status) show_status "$@" ;;
        logs) show_logs "$@" ;;
        dashboard) open_dashboard "$@" ;;
        s3) open_s3 "$@" ;;
        cancel) cancel "$@" ;;
        remove) remove_overlay "$@" ;;
    esac
}

main "$@"
