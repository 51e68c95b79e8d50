#!/usr/bin/env bash
# Put an overlay of this folder on a Kubernetes, and use what is there.
#
# Each command that changes something is printed before it runs. Every verb can be repeated.
# ./minikube.sh is this and a minikube.
# Needs kubectl 1.31 or newer, and a context in which you may do it.
#
# Usage: k8s/deploy.sh [--context C] [--namespace N] [--overlay FOLDER] VERB ...
#   apply                     apply it, make S3's keys where there are none, wait until all is ready
#   run [TASK] [ARGUMENT...]  a driver in the cluster: `tac run` with these words, by default
#                             those of the CronJob; follows its log, ends with its exit code
#   status                    what is there, and what went wrong last
#   logs [NAME] [OPTION...]   of the last driver, or of luigid, s3 or a Job; options are kubectl's
#   dashboard [PORT]          luigid's pages on this machine, until Ctrl-C; by default at 8082
#   s3 [PORT]                 the cluster's S3 on this machine, until Ctrl-C; by default at 8333
#   remove --with-data        delete all of it, with the namespace and everything in its volumes
# By default the kubeconfig's current context, the namespace tac, and the overlay minikube.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
READY_SECONDS=300 # an image of 500 MB comes over a slow line
START_SECONDS=300
PARTS=app.kubernetes.io/part-of=tac
SPACE=app.kubernetes.io/component=namespace
DRIVERS=app.kubernetes.io/component=driver

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
    sed -n '/^# Usage:/,/^# By default/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

check_prerequisites() {
    command -v kubectl >/dev/null ||
        fail 2 'kubectl: not found' 'https://kubernetes.io/docs/tasks/tools'
}

apply_overlay() {
    # The namespace first: S3 does not start without its keys, and they live in it.
    show_and_run "${KUBECTL[@]}" apply -k "$OVERLAY" --selector $SPACE
    ensure_keys
    show_and_run "${KUBECTL[@]}" apply -k "$OVERLAY"
    wait_ready
    say "dashboard: ${KUBECTL[*]} port-forward service/luigid 8082, then http://localhost:8082"
}

# The keys of an S3 of our own are made once, of random bytes, and known to nobody else.
# They go through stdin, because everybody on this machine can read a command line.
ensure_keys() {
    local manifests found
    manifests=$(kubectl kustomize "$OVERLAY")
    grep -q 'secretKeyRef:' <<<"$manifests" || return 0
    found=$("${KUBECTL[@]}" get secret tac-s3 --ignore-not-found --output name)
    [[ -z $found ]] || return 0
    show "${KUBECTL[@]}" create -f - '# secret/tac-s3: new keys'
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

# The Job has the name of its words: who asks for the same again comes back to the one that runs.
run_driver() { # words of `tac run`...
    local job pod
    job=$(job_name "$@")
    case $(state_of "$job") in
        none) create_driver "$job" "$@" ;;
        runs) say "job/$job: runs already, coming back to it" ;;
        over)
            show_and_run "${KUBECTL[@]}" delete job "$job" --cascade=foreground >&2
            create_driver "$job" "$@"
            ;;
    esac
    trap 'say "job/$job: goes on; \`logs $job\` shows it"; exit 130' INT
    pod=$(wait_started "$job")
    follow_driver "$job" "$pod"
}

# A Job is over when its driver is: the Job itself says so up to three seconds later.
state_of() { # job; prints none, runs, or over
    local found conditions='{.status.conditions[?(@.status=="True")].type}' driver=
    found=$("${KUBECTL[@]}" get job "$1" --ignore-not-found \
        --output "jsonpath={.metadata.name} $conditions")
    [[ -z $found ]] || driver=$("${KUBECTL[@]}" get pods \
        --selector "batch.kubernetes.io/job-name=$1" \
        --output 'jsonpath={.items[*].status.containerStatuses[0].state.terminated.reason}')
    case $found in
        '') echo none ;;
        *' Complete'* | *' Failed'*) echo over ;;
        *) if [[ -n $driver ]]; then echo over; else echo runs; fi ;;
    esac
}

job_name() { # words...
    local words=$* slug
    # Lower case first: BSD's tr knows no classes between two sets.
    slug=$(tr '[:upper:]' '[:lower:]' <<<"$words" | tr -c 'a-z0-9\n' '-' | tr -s '-' | cut -c 1-40)
    slug=${slug#-}
    printf 'run-%s-%s' "${slug%-}" "$(printf '%s\0' "$@" | cksum | cut -d ' ' -f 1)"
}

# Without a second attempt, unlike the CronJob's: here somebody looks on.
# Without its owner, which would delete it when other Jobs of the CronJob have ended.
create_driver() { # job, words...
    local job=$1 patch
    shift
    patch='[{"op": "remove", "path": "/metadata/ownerReferences"}'
    patch+=', {"op": "replace", "path": "/spec/backoffLimit", "value": 0}'
    if (($#)); then
        [[ $1 != --* ]] || set -- Report "$@"
        patch+=', {"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": '
        patch+="$(json_list "$@")}"
    fi
    patch+=']'
    say "+ kubectl create job $job --from=cronjob/daily, with the words: $*"
    "${KUBECTL[@]}" create job "$job" --from=cronjob/daily --dry-run=client --output json |
        "${KUBECTL[@]}" patch --local -f - --type json --patch "$patch" --output json |
        "${KUBECTL[@]}" create -f - >&2
}

json_list() { # words...
    local word list=
    for word in "$@"; do
        [[ $word != *[[:cntrl:]]* ]] || fail 2 'run: a word holds a line break or a tab'
        word=${word//\\/\\\\}
        list+="${list:+, }\"${word//\"/\\\"}\""
    done
    printf '[%s]' "$list"
}

# Prints the pod, once it has begun; meanwhile says what it waits for, each time that changes.
wait_started() { # job
    local deadline=$((SECONDS + START_SECONDS)) name phase waits told=
    while ((SECONDS < deadline)); do
        read -r name phase waits < <(newest_pod "$1") || true
        case ${phase:-} in
            Running | Succeeded | Failed)
                printf '%s\n' "$name"
                return
                ;;
        esac
        [[ ${waits:-} == "$told" ]] || say "job/$1: its pod waits: $waits"
        told=${waits:-}
        sleep 0.5
    done
    explain
    fail 75 "job/$1: has not begun after $START_SECONDS s${told:+: $told}" \
        "${KUBECTL[*]} describe job,pod --selector batch.kubernetes.io/job-name=$1"
}

newest_pod() { # job; prints name, phase, what its container waits for
    local fields='{.metadata.name} {.status.phase}'
    fields+=' {.status.containerStatuses[0].state.waiting.reason}'
    "${KUBECTL[@]}" get pods --selector "batch.kubernetes.io/job-name=$1" \
        --sort-by=.metadata.creationTimestamp \
        --output "jsonpath={range .items[*]}$fields{\"\\n\"}{end}" | tail -n 1
}

follow_driver() { # job, pod; ends with the driver's exit code
    local code
    show_and_run "${KUBECTL[@]}" logs --follow "pod/$2" || true
    while code=$(exit_code "$2") && [[ $code == running ]]; do
        say "job/$1: the log was cut, the last five seconds come again"
        "${KUBECTL[@]}" logs --follow --since=5s "pod/$2" || sleep 1
    done
    [[ $code != gone ]] || fail 75 "job/$1: its pod is gone, deleted or with its node" \
        'the same command again comes back to what it has started'
    ((code == 0)) || say "job/$1: ended with exit code $code"
    exit "$code"
}

# The log ends a moment before the pod says so.
exit_code() { # pod; prints a number, running, or gone
    local deadline=$((SECONDS + 10)) found fields='{.status.phase}'
    fields+=' {.status.containerStatuses[0].state.terminated.exitCode}'
    while ((SECONDS < deadline)); do
        found=$("${KUBECTL[@]}" get pod "$1" --ignore-not-found --output "jsonpath=$fields") || {
            sleep 1 # the API server is away, which says nothing of the pod
            continue
        }
        case $found in
            '' | 'Failed ') # evicted: it failed, and no container tells how
                echo gone
                return
                ;;
            *' '[0-9]*)
                echo "${found#* }"
                return
                ;;
        esac
        sleep 0.5
    done
    echo running
}

show_status() {
    show_and_run "${KUBECTL[@]}" get statefulsets,persistentvolumeclaims,cronjobs,jobs,pods
    say 'the last warnings:'
    list_warnings
}

show_logs() { # [name], kubectl's options...
    local name=
    if (($#)) && [[ $1 != -* ]]; then
        name=$1
        shift
    fi
    case $name in
        '') name=$(newest_driver) ;;
        luigid | s3) name=statefulset/$name ;;
        *) name=job/$name ;;
    esac
    [[ -n $name ]] || fail 2 'logs: no driver has run yet' 'run --date 2023-03-01'
    show_and_run "${KUBECTL[@]}" logs "$name" "$@"
}

newest_driver() {
    "${KUBECTL[@]}" get jobs --selector $DRIVERS --output name \
        --sort-by=.metadata.creationTimestamp | tail -n 1
}

open_dashboard() { # [port]
    say "http://localhost:${1:-8082}"
    show "${KUBECTL[@]}" port-forward service/luigid "${1:-8082}:8082"
    exec "${KUBECTL[@]}" port-forward service/luigid "${1:-8082}:8082"
}

open_s3() { # [port]
    local port=${1:-8333} key=(get secret tac-s3 --output) name
    say 'In another terminal:'
    say "export AWS_ENDPOINT_URL_S3=http://localhost:$port AWS_REGION=us-east-1"
    for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do
        say "export $name=\$(${KUBECTL[*]} ${key[*]} 'jsonpath={.data.$name}' | base64 --decode)"
    done
    show "${KUBECTL[@]}" port-forward service/s3 "$port:8333"
    exec "${KUBECTL[@]}" port-forward service/s3 "$port:8333"
}

remove_overlay() {
    [[ ${1:-} == --with-data ]] ||
        fail 2 "remove: deletes namespace $NAMESPACE and the results in its S3" \
            'remove --with-data'
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
        apply | run | status | logs | dashboard | s3 | remove) check_prerequisites ;;
        *) fail 2 "there is no verb '$verb'" 'k8s/deploy.sh --help lists them' ;;
    esac
    case $verb in
        apply) apply_overlay ;;
        run) run_driver "$@" ;;
        status) show_status ;;
        logs) show_logs "$@" ;;
        dashboard) open_dashboard "$@" ;;
        s3) open_s3 "$@" ;;
        remove) remove_overlay "$@" ;;
    esac
}

main "$@"
