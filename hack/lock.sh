#!/usr/bin/env bash
# Compile requirements.txt, requirements-dev.txt and tests/luigi/requirements.txt from setup.py's ranges and the .in files.
#
# Needs uv on the path or in UV. Usage: hack/lock.sh [--upgrade]
# Versions that are locked already stay, unless --upgrade asks for the newest.
set -euo pipefail

print_header() { # what the file holds
    printf '# %s\n' "$1"
    cat <<'EOF'
# Exact versions with the hashes of their files, for Python 3.11 to 3.13 on every platform: what was tested
# is what is installed, by `make` and in the image, today and in a year. The ranges are in setup.py.
# Written by `make lock`; do not edit.
EOF
}

compile_lock() { # file, what it holds, inputs and options...
    local file=$1 title=$2 body
    shift 2
    "$UV" pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header \
        --no-emit-index-url --no-emit-find-links --annotation-style split --output-file "$file" "$@"
    body=$(grep -v '^#' "$file")
    { print_header "$title" && printf '%s\n' "$body"; } >"$file"
    printf '%s: %d packages\n' "$file" "$(grep -c '^[^ ]*==' "$file")"
}

main() {
    cd "$(dirname "${BASH_SOURCE[0]}")/.."
    UV=${UV:-uv}
    compile_lock requirements.txt "What tac runs on." setup.py requirements.in "$@"
    compile_lock requirements-dev.txt "What tac runs on, and what its tests and checks need." \
        setup.py requirements.in requirements-dev.in --constraint requirements.txt "$@"
    compile_lock tests/luigi/requirements.txt "What Luigi's own tests need, and of tac what stands in its place." \
        tests/luigi/requirements.in --constraint requirements-dev.txt "$@"
}

main "$@"
