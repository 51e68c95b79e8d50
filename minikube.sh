#!/usr/bin/env bash
# The pipeline on a minikube of its own: one pod a step, results in the S3 beside them.
#
# Only what is special to minikube is here; the rest is k8s/deploy.sh, for any Kubernetes.
# Each command is printed before it runs, and every verb can be repeated.
# Needs minikube 1.32 or newer and kubectl 1.31 or newer; the image is built inside, without Docker.
# One node: minikube makes volumes that only root can write on all nodes but the first
# (https://github.com/kubernetes/minikube/issues/12360).
#
# Usage: ./minikube.sh VERB ...
#   up [OPTION...]            start minikube, build the image in it, deploy; options are those of
#                             `minikube start`, such as --cpus 4 --memory 8g
#   image                     build this checkout's image in minikube, as up does
#   deploy                    S3, luigid, who may do what, and the daily driver, as up does
#   run [TASK] [ARGUMENT...]  the pipeline: run --date 2023-03-01
#   status                    what is there, and what went wrong last
#   logs [NAME] [OPTION...]   of the last run, or of luigid, s3 or a Job
#   dashboard [PORT]          Luigi's pages on this machine, until Ctrl-C
#   s3 [PORT]                 the cluster's S3 on this machine, until Ctrl-C
#   cancel [NAME]             end the last run, or that Job, and all steps; what is done stays
#   down [--with-data]        stop it; the next up finds everything again, unless --with-data
# Settings: MINIKUBE_PROFILE, the name of the minikube, by default tac.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROFILE=${MINIKUBE_PROFILE:-tac}
# In full, because that is what Kubernetes makes of `tac:latest`.
IMAGE=docker.io/library/tac:latest
BUILT=/var/lib/minikube/tac-image.json # in minikube; buildctl writes it when it has succeeded
NO_PROFILE=85 # what `minikube status` ends with (pkg/minikube/reason/exitcodes.go, ExGuestNotFound)

fail() { # what happened, hint
    printf 'minikube.sh: %s\n' "$1" >&2
    [[ -z ${2:-} ]] || printf 'Hint: %s\n' "$2" >&2
    exit 2
}

show_and_run() { # command...
    {
        printf '+'
        printf ' %q' "$@"
        printf '\n'
    } >&2
    "$@"
}

usage() {
    sed -n '/^# Usage:/,/^# Settings:/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

check_prerequisites() {
    local missing='' minor start=https://minikube.sigs.k8s.io/docs/start
    command -v minikube >/dev/null || missing+=$'\n'"  minikube: not found; $start"
    minor=$(minikube version --short 2>/dev/null | sed -n 's/^v1\.\([0-9]*\)\..*/\1/p') || true
    [[ -z $minor || $minor -ge 32 ]] ||
        missing+=$'\n'"  minikube: is 1.$minor, not 1.32 or newer; $start"
    command -v kubectl >/dev/null ||
        missing+=$'\n  kubectl: not found; https://kubernetes.io/docs/tasks/tools'
    [[ -z $missing ]] || fail "this machine cannot run it:$missing"
}

check_running() {
    minikube status --profile "$PROFILE" >/dev/null 2>&1 ||
        fail "minikube $PROFILE: does not run" './minikube.sh up'
}

# containerd, because its image builder is BuildKit, which the Dockerfile needs; with Docker inside
# it depends on what is installed there (https://github.com/kubernetes/minikube/issues/12431).
start_minikube() { # options of minikube start...
    show_and_run minikube start --profile "$PROFILE" --container-runtime containerd "$@"
}

build_image() {
    local version revision
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$HERE/tac/__init__.py")
    revision=$(git -C "$HERE" describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null ||
        echo unknown)
    show_and_run minikube ssh --profile "$PROFILE" -- sudo rm -f $BUILT
    # --build-opt has options of `buildctl build`, which is what runs inside. --file, or the Dockerfile
    # is sent only if .dockerignore lets it (minikube packs the folder itself).
    show_and_run minikube image build --profile "$PROFILE" --tag $IMAGE --file Dockerfile \
        --build-opt "opt=build-arg:VERSION=$version" \
        --build-opt "opt=build-arg:REVISION=$revision" \
        --build-opt metadata-file=$BUILT "$HERE"
    # It ends with 0 whatever happened (https://github.com/kubernetes/minikube/issues/12556).
    minikube ssh --profile "$PROFILE" -- sudo test -e $BUILT ||
        fail "image $IMAGE: was not built" \
            'what stands above says why; ./minikube.sh image tries it again'
}

deploy() { # verb, arguments...
    "$HERE/k8s/deploy.sh" --context "$PROFILE" --overlay "$HERE/k8s/overlays/minikube" "$@"
}

refuse_arguments() { # verb, arguments that it does not take...
    (($# == 1)) || fail "$1: there is no option '$2'" './minikube.sh --help'
}

stop_minikube() { # [--with-data]
    local status=0
    [[ ${1:-} == --with-data ]] || refuse_arguments down "$@"
    (($# < 2)) || refuse_arguments down "$2"
    minikube status --profile "$PROFILE" >/dev/null 2>&1 || status=$?
    if ((status == NO_PROFILE)); then
        printf 'minikube %s: there is none\n' "$PROFILE" >&2
    elif [[ ${1:-} == --with-data ]]; then
        show_and_run minikube delete --profile "$PROFILE"
    else
        show_and_run minikube stop --profile "$PROFILE"
    fi
}

main() {
    local verb=${1:-}
    shift || true
    case $verb in
        -h | --help | help | '') usage && exit ;;
        up | image | deploy | run | status | logs | dashboard | s3 | cancel | down)
            check_prerequisites
            ;;
        *) fail "there is no verb '$verb'" './minikube.sh --help lists them' ;;
    esac
    [[ $verb == up || $verb == down ]] || check_running
    case $verb in
        up)
            start_minikube "$@"
            build_image
            deploy apply
            ;;
        image | deploy)
            refuse_arguments "$verb" "$@"
            if [[ $verb == image ]]; then build_image; else deploy apply; fi
            ;;
        down) stop_minikube "$@" ;;
        *) deploy "$verb" "$@" ;;
    esac
}

main "$@"
