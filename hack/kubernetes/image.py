#!/usr/bin/env python3
"""Pack a static program into a docker archive, which `docker load` and `ctr images import` read.

It needs no Docker engine and no base image; the program is all that is in it.
The same program gives the same bytes.

Usage: image.py NAME:TAG OUT.tar FILE [ARGUMENT...]
FILE becomes /FILE and the entry point, with the arguments.
"""

import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path

# The architectures of `uname -m` by their names in images.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def add_file(archive: tarfile.TarFile, name: str, body: bytes, mode: int = 0o644) -> None:
    """Put `body` into the archive as `name`."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(body), mode
    archive.addfile(member, io.BytesIO(body))


def build_layer(program: Path) -> bytes:
    """Make the image's one layer: the program, at the root."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        add_file(archive, program.name, program.read_bytes(), 0o755)
    return layer.getvalue()


def main(name: str, out: str, program: str, *arguments: str) -> None:
    """Write the archive `out`."""
    layer = build_layer(Path(program))
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{Path(program).name}", *arguments]},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
        },
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(out, "w") as archive:
        add_file(archive, "layer.tar", layer)
        add_file(archive, "config.json", json.dumps(config).encode())
        add_file(archive, "manifest.json", json.dumps(manifest).encode())


if __name__ == "__main__":
    if len(sys.argv) < 4:  # noqa: PLR2004  # the program and the three it cannot do without
        sys.exit(__doc__)
    main(*sys.argv[1:])
