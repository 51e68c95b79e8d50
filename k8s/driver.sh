# shellcheck shell=bash
# The driver in the cluster: a Job that is made, followed, read and ended. Sourced by deploy.sh.

START_SECONDS=300
DRIVERS=app.kubernetes.io/component=driver
STEPS=app.kubernetes.io/managed-by=tac

# What a terminal obeys and does not show: sequences that set colours or titles, controls, characters
# that turn the order of reading round or have no width. In bytes, so sed's locale is C.
UNSEEN=$'s/\x1b\\[[0-?]*[ -\/]*[@-~]//g; s/\x1b\\][^\x1b\x07]*\x07//g'
UNSEEN+=$';s/\x1b\\][^\x1b\x07]*\x1b\\\\//g'
UNSEEN+=$';s/[\x01-\x08\x0b-\x1f\x7f]//g; s/\xc2[\x80-\x9f]//g; s/\xef\xbb\xbf//g'
UNSEEN+=$';s/\xe2\x80[\x8b\x8e\x8f\xa8-\xae]//g; s/\xe2\x81[\xa0-\xaf]//g'

# The Job is named after its arguments: the same command again attaches to the one that runs.
run_driver() { # arguments of `tac run`...
    local job pod state ask="${KUBECTL[*]} get jobs"
    refuse_secrets "$@"
    check_there cronjob/daily
    job=$(job_name "$@")
    # Not to know is not the same as that there is none.
    state=$(state_of "$job") || fail 75 "job/$job: whether it runs could not be asked" "$ask"
    case $state in
        none) create_driver "$job" "$@" ;;
        runs) say "job/$job: runs already, coming back to it" ;;
        over)
            show_and_run "${KUBECTL[@]}" delete job "$job" --cascade=foreground >&2
            create_driver "$job" "$@"
            ;;
    esac
    trap 'say "job/$job: goes on; \`logs $job\` shows it, \`cancel $job\` ends it"; exit 130' INT
    pod=$(wait_started "$job")
    follow_driver "$job" "$pod"
}

# The arguments become a Job's name and its command. tac/redaction.py checks more closely, inside.
refuse_secrets() { # arguments...
    local word user='://([^/[:space:]]*|[^/@[:space:]]*:[^0-9/][^[:space:]]*)@'
    local key='[?&;]([a-z0-9_.-]*(signature|token|secret|passw|credential|key)[a-z0-9_.-]*|sig)='
    for word in "$@"; do
        word=$(tr '[:upper:]' '[:lower:]' <<<"$word")
        if [[ $word =~ $user || $word == *://* && $word =~ $key ]]; then
            fail 2 'run: an address has a password or a key in it, and whoever may read Jobs reads it' \
                'docs/kubernetes.md, "A source that wants a password", says where to put it'
        fi
    done
}

# A Job is over when its driver is: the Job itself says so up to three seconds later.
state_of() { # job; prints none, runs, or over
    local found conditions='{.status.conditions[?(@.status=="True")].type}' driver=
    found=$("${KUBECTL[@]}" get job "$1" --ignore-not-found \
        --output "jsonpath={.metadata.name} $conditions") || return
    if [[ -n $found ]]; then
        driver=$("${KUBECTL[@]}" get pods --selector "batch.kubernetes.io/job-name=$1" \
            --output 'jsonpath={.items[*].status.containerStatuses[0].state.terminated.reason}') ||
            return
    fi
    case $found in
        '') echo none ;;
        *' Complete'* | *' Failed'*) echo over ;;
        *) if [[ -n $driver ]]; then echo over; else echo runs; fi ;;
    esac
}

job_name() { # arguments...
    local words=$* slug
    # Lower case first: BSD's tr knows no classes between two sets.
    slug=$(tr '[:upper:]' '[:lower:]' <<<"$words" | tr -c 'a-z0-9\n' '-' | tr -s '-' | cut -c 1-40)
    slug=${slug#-}
    printf 'run-%s-%s' "${slug%-}" "$(printf '%s\0' "$@" | cksum | cut -d ' ' -f 1)"
}

# Without a second attempt, unlike the CronJob's: a person watches this one.
# Without its owner, which would delete it when other Jobs of the CronJob have ended.
create_driver() { # job, arguments...
    local job=$1 patch
    shift
    patch='[{"op": "remove", "path": "/metadata/ownerReferences"}'
    patch+=', {"op": "replace", "path": "/spec/backoffLimit", "value": 0}'
    if (($#)); then
        # A module of one's own has tasks of its own, and its name may stand before the task's.
        [[ $1 != --* || " $* " == *' --module'[=\ ]* ]] || set -- Report "$@"
        patch+=', {"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": '
        patch+="$(json_list "$@")}"
    fi
    patch+=']'
    say "+ kubectl create job $job --from=cronjob/daily, with the arguments: $*"
    "${KUBECTL[@]}" create job "$job" --from=cronjob/daily --dry-run=client --output json |
        "${KUBECTL[@]}" patch --local -f - --type json --patch "$patch" --output json |
        "${KUBECTL[@]}" create -f - >&2
}

json_list() { # arguments...
    local word list=
    for word in "$@"; do
        [[ $word != *[[:cntrl:]]* ]] || fail 2 'run: an argument holds a line break or a tab'
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
        [[ -n ${name:-} ]] || waits=$(why_no_pod "$1")
        [[ $waits == "$told" ]] || say "job/$1: its pod waits: $waits"
        told=$waits
        sleep 0.5
    done
    fail 75 "job/$1: has not begun after $START_SECONDS s${told:+: $told}" \
        "${KUBECTL[*]} describe job,pod --selector batch.kubernetes.io/job-name=$1"
}

why_no_pod() { # job; prints the last warning about it
    local uid
    uid=$("${KUBECTL[@]}" get job "$1" --output 'jsonpath={.metadata.uid}')
    "${KUBECTL[@]}" get events --field-selector "type=Warning,involvedObject.uid=$uid" \
        --sort-by=.metadata.creationTimestamp \
        --output 'jsonpath={range .items[*]}{.message}{"\n"}{end}' | tail -n 1 | cut -c 1-300
}

newest_pod() { # job; prints name, phase, what it or its container waits for
    local fields='{.metadata.name} {.status.phase}'
    fields+=' {.status.containerStatuses[0].state.waiting.reason}'
    fields+='{.status.conditions[?(@.type=="PodScheduled")].message}'
    "${KUBECTL[@]}" get pods --selector "batch.kubernetes.io/job-name=$1" \
        --sort-by=.metadata.creationTimestamp \
        --output "jsonpath={range .items[*]}$fields{\"\\n\"}{end}" | tail -n 1
}

# A step's output is not trusted: on a terminal it is shown without control characters, and
# everywhere else byte for byte.
print_log() { # arguments of kubectl...
    if [[ -t 1 ]]; then
        "${KUBECTL[@]}" logs "$@" | LC_ALL=C sed "$UNSEEN"
    else
        "${KUBECTL[@]}" logs "$@"
    fi
}

follow_driver() { # job, pod; ends with the driver's exit code
    local code
    show "${KUBECTL[@]}" logs --follow "pod/$2"
    print_log --follow "pod/$2" || true
    while code=$(exit_code "$2") && [[ $code == running ]]; do
        say "job/$1: the log was cut, the last five seconds come again"
        print_log --follow --since=5s "pod/$2" || sleep 1
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
            sleep 1 # the API server cannot be reached: the pod may run all the same
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

show_logs() { # [name], kubectl's options...
    local name=
    if (($#)) && [[ $1 != -* ]]; then
        name=$1
        shift
    fi
    case $name in
        luigid | s3) name=statefulset/$name ;;
        *)
            [[ -n $name ]] || name=$(newest_driver)
            [[ -n $name ]] || fail 2 'logs: no driver has run yet' 'run --date 2023-03-01'
            # Of a driver that was started again kubectl would show the first attempt.
            name=pod/$(newest_pod "${name##*/}" | cut -d ' ' -f 1)
            [[ $name != pod/ ]] || fail 2 'logs: there is no pod of it' status
            ;;
    esac
    show "${KUBECTL[@]}" logs "$name" "$@"
    print_log "$name" "$@"
}

# Its steps outlive a driver: the same command again adopts them.
cancel() { # [name]
    local job=${1:-}
    (($# < 2)) || refuse_arguments cancel "$2"
    job=${job##*/}
    if [[ -n $job ]]; then
        check_there "job/$job" 'status lists what is there'
    else
        job=$(running_driver) ||
            fail 75 'cancel: which driver runs could not be asked' "${KUBECTL[*]} get jobs"
    fi
    if [[ -n $job ]]; then
        show_and_run "${KUBECTL[@]}" delete job "$job" --ignore-not-found --cascade=foreground
    else
        say 'no driver runs here'
    fi
    show_and_run "${KUBECTL[@]}" delete jobs --selector $STEPS
}

running_driver() { # prints the newest that runs
    local jobs job state found=
    jobs=$("${KUBECTL[@]}" get jobs --selector $DRIVERS --output name \
        --sort-by=.metadata.creationTimestamp) || return
    for job in $jobs; do
        state=$(state_of "${job##*/}") || return
        [[ $state != runs ]] || found=${job##*/}
    done
    printf '%s\n' "$found"
}

newest_driver() {
    "${KUBECTL[@]}" get jobs --selector $DRIVERS --output name \
        --sort-by=.metadata.creationTimestamp | tail -n 1
}
