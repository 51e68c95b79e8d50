#!/usr/bin/env bash
# Find the Pythons on this machine that tac runs on and that start: one of each version, the oldest first.
#
# A name on the PATH proves nothing: where pyenv manages Pythons, `python3.13` there starts one only in
# projects that asked for it. So each is run, those too that pyenv has beside the PATH.
# Usage: hack/pythons.sh      prints lines such as `3.12.1 /usr/bin/python3.12`
set -euo pipefail

# The versions that make supports, and venv must work (Debian has that in python3-venv).
PROBE='
import ensurepip, sys, venv
version = sys.version_info[:3]
if (3, 11, 1) <= version < (3, 14):
    print(version[1], "%d.%d.%d" % version, sys.executable)
'

list_candidates() {
    local name root
    for name in python3.11 python3.12 python3.13 python3; do
        type -aP "$name" || true
    done
    root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || printf '%s/.pyenv' "${HOME:-}")}
    for name in python3.11 python3.12 python3.13; do
        compgen -G "$root/versions/*/bin/$name" || true
    done
}

run_each() { # reads candidates; minor version, version and program of each that starts
    local candidate
    while read -r candidate; do
        "$candidate" -c "$PROBE" 2>/dev/null </dev/null || true
    done
}

main() {
    # The first of each minor version, as the PATH has them.
    list_candidates | run_each | sort -s -u -k 1,1n | cut -d ' ' -f 2-
}

main "$@"
