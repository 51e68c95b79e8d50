"""What an image consists of, read from the outside: all files of all layers over its base."""

import contextlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.engine import Engine

SAVE_SECONDS = 300
BASE_LABEL = "org.opencontainers.image.base.name"


@dataclass(frozen=True)
class Entry:
    """One path of one layer, counted from 0 over the base, and its bytes where it is a file."""

    layer: int
    path: str
    info: tarfile.TarInfo
    content: bytes


def attributes(engine: Engine, name: str) -> dict[str, Any]:
    """What the engine knows of an image."""
    with contextlib.closing(engine.client()) as client:
        found: dict[str, Any] = client.images.get(name).attrs
        return found


def base_of(engine: Engine, name: str) -> dict[str, Any]:
    """What the engine knows of the image that this one was built on."""
    return attributes(engine, attributes(engine, name)["Config"]["Labels"][BASE_LABEL])


def added_layers(engine: Engine, name: str) -> list[str]:
    """The digests of the layers that an image adds to its base, the lowest first."""
    below: list[str] = base_of(engine, name)["RootFS"]["Layers"]
    layers: list[str] = attributes(engine, name)["RootFS"]["Layers"]
    if layers[: len(below)] != below:
        raise ValueError(f"{name}: is not built on what its label says")
    return layers[len(below) :]


def read_layers(engine: Engine, name: str, folder: Path) -> Iterator[Entry]:
    """Everything in the layers that an image adds to its base."""
    archive = folder / "image.tar"
    engine.command("save", "--output", str(archive), name, timeout=SAVE_SECONDS)
    with tarfile.open(archive) as image:
        (manifest,) = json.load(_open(image, "manifest.json"))
        added = manifest["Layers"][-len(added_layers(engine, name)) :]
        for number, layer in enumerate(added):
            with tarfile.open(fileobj=_open(image, layer)) as files:
                for info in files:
                    content = _open(files, info).read() if info.isfile() else b""
                    yield Entry(number, "/" + info.name.removeprefix("./"), info, content)
    archive.unlink()


def _open(archive: tarfile.TarFile, member: str | tarfile.TarInfo) -> Any:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{archive.name!r}: {member!r} is no file in it")
    return file
