"""A fitted model as a file, and a description beside it: its digest, versions and inputs.

The file is joblib's, on which scikit-learn depends anyway: no further library for one option.
Loading such a file runs code in it, so only a file with the digest and the versions of its
description is loaded; that does not protect from a file whose author you do not trust.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import platform
from typing import TYPE_CHECKING, Any

from tac import __version__
from tac.errors import ConfigError, DataError, StorageError
from tac.flights.table import write_table
from tac.step import read_bytes
from tac.store import store_of

if TYPE_CHECKING:
    from tac.flights.models import Model
    from tac.flights.table import Table

SUFFIX = ".joblib"
_LIBRARIES = ("joblib", "numpy", "pyarrow", "scikit-learn", "scipy")


def check_address(address: str) -> None:
    """Refuse an address that a model cannot be saved at, before any work.

    Raises:
        ConfigError: it does not end in .joblib.
    """
    if not address.endswith(SUFFIX):
        raise ConfigError(
            f"--save-model {address}: does not end in {SUFFIX}",
            hint=f"--save-model model{SUFFIX} also writes model{SUFFIX}.json",
        )


def save(address: str, name: str, model: Model, features: Table) -> None:
    """Publish a fitted model, and then its description at the same address with `.json`.

    Raises:
        StorageError: another model exists there.
    """
    import joblib

    body = io.BytesIO()
    joblib.dump(model, body)
    description = _describe(name, model, features, body.getvalue())
    text = json.dumps(description, indent=1).encode() + b"\n"
    # The description last: once it exists, so does the model.
    for part, content in ((address, body.getvalue()), (f"{address}.json", text)):
        with store_of(part).create(part) as draft:
            draft.file.write(content)
        if not draft.published and read_bytes(part) != content:
            raise StorageError(
                f"{part}: another model is there, and nothing is overwritten",
                hint="give --save-model an address of its own",
            )


def load(address: str) -> Model:
    """Return the model saved at `address`; only from a place you trust.

    Raises:
        DataError: it is not the file, or not with the versions, of its description.
        InputMissing: the model, or its description, does not exist.
    """
    import joblib

    description = _read_description(f"{address}.json")
    body = read_bytes(address)
    if (digest := _digest(body)) != description["sha256"]:
        raise DataError(
            f"{address}: is not the model of its description: sha256 {digest[:12]}…,"
            f" not {description['sha256'][:12]}…"
        )
    ours = _versions()
    for library, version in description["versions"].items():
        if ours.get(library) != version:
            raise DataError(
                f"{address}: was made with {library} {version}, and here is {ours.get(library)}",
                hint=f"pip install '{library}=={version}', or fit the model again",
            )
    model: Model = joblib.load(io.BytesIO(body))
    return model


def _read_description(address: str) -> dict[str, Any]:
    """Return the digest and the versions of a description.

    Raises:
        DataError: it is no such description.
    """
    try:
        found = json.loads(read_bytes(address))
        if isinstance(found["sha256"], str) and isinstance(found["versions"], dict):
            return {"sha256": found["sha256"], "versions": found["versions"]}
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise DataError(
        f"{address}: is no description of a model", hint="--save-model writes one beside a model"
    )


def _describe(name: str, model: Model, features: Table, body: bytes) -> dict[str, Any]:
    table = io.BytesIO()
    write_table(table, ".parquet", features)  # one digest, whichever format the table came in
    dates = features.column("date").to_pylist()
    return {
        "model": name,
        "sha256": _digest(body),
        "bytes": len(body),
        "parameters": dict(model.parameters),
        "features": {
            "sha256": _digest(table.getvalue()),
            "rows": features.num_rows,
            "first": str(min(dates)),
            "last": str(max(dates)),
            "columns": features.column_names,
        },
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"tac": __version__, "python": platform.python_version(), **libraries}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
