#!/usr/bin/env bash
# An image to build on where python:3.13-slim cannot be pulled: Debian with its Python, by debootstrap.
#
# Needs root, debootstrap, a running Docker engine (DOCKER_HOST) and Debian's package archive.
# The certificates that this machine trusts go in, for networks that have a certificate of their own.
# Usage: hack/docker/base-image.sh [NAME]    then docker build --build-arg BASE=NAME .
# An image of that name that was made by this script, from the same certificates, stays.
set -euo pipefail

# Of docker the one that came with the engine: see engine.sh.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
SUITE=trixie # its Python is 3.13, as that of the image that cannot be pulled
PACKAGES=ca-certificates,python3,python3-venv
MIRROR=http://deb.debian.org/debian
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
LABEL=tac.made-from

fail() { # message, hint
    printf '%s\nHint: %s\n' "$1" "$2" >&2
    exit 2
}

check_prerequisites() {
    [ "$(id -u)" -eq 0 ] || fail 'debootstrap: only root can run it' 'sudo hack/docker/base-image.sh'
    command -v debootstrap >/dev/null ||
        fail 'debootstrap: not installed' 'apt-get install debootstrap'
}

checksum() { # what the image is made from
    cat base-image.sh "$CERTIFICATES" | sha256sum | cut -c -16
}

make_image() { # name, checksum
    local root
    root=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$root'" EXIT
    debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$root" "$MIRROR" >"$root.log" ||
        fail "debootstrap: failed: $(tail -n 3 "$root.log")" "$root.log has all it said"
    rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    cp "$CERTIFICATES" "$root$CERTIFICATES"
    ln -s python3 "$root/usr/bin/python"
    tar --directory "$root" --create . |
        docker import --change "LABEL $LABEL=$2" --change 'CMD ["python3"]' - "$1" >/dev/null
}

main() {
    cd "$(dirname "${BASH_SOURCE[0]}")"
    local name=${1:-tac-base:$SUITE} wanted found
    wanted=$(checksum)
    found=$(docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$name" 2>/dev/null || :)
    if [ "$found" != "$wanted" ]; then
        check_prerequisites
        make_image "$name" "$wanted"
    fi
    printf '%s\n' "$name"
}

main "$@"
