"""Quantities of memory and of processors, read and written as Kubernetes does.

Pure. The grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
What Docker's users write for memory is understood too: `2GB` is `2G`, and `64K` is `64k`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Twenty digits are more than Kubernetes takes (2^63 - 1), and no long work for Python.
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}))"
    r"(?:(?P<unit>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[+-]?[0-9]{1,2}))?"
)
_ONE = 10**9
_UNITS: Mapping[str, int] = {
    **{unit: 1000**power for power, unit in enumerate(("n", "u", "m", "", *"kMGTPE"))},
    **{f"{unit}i": _ONE * 1024**power for power, unit in enumerate("KMGTPE", start=1)},
}
_LEAST_MEMORY = 6 << 20  # Docker's engine refuses less ("Minimum memory limit allowed is 6MB")
_TOO_MANY_BYTES = 1 << 50  # no machine has a pebibyte of memory, and no input of ours is as large


def parse_quantity(text: str) -> int | None:
    """Read billionths out of `2Gi`, `1.5`, `500m` or `1e3`; None: it is no quantity."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    whole, _, fraction = found["number"].partition(".")
    billionths: int = int(whole + fraction) * _UNITS[found["unit"] or ""]
    exponent = int(found["exponent"] or 0) - len(fraction)
    power: int = 10 ** abs(exponent)
    # What is less than a billionth is rounded up, as Kubernetes does.
    return billionths * power if exponent >= 0 else -(-billionths // power)


def parse_quantities(texts: Mapping[str, str]) -> dict[str, int]:
    """Read billionths of each quantity; what is none is left out."""
    read = {name: parse_quantity(str(text)) for name, text in texts.items()}
    return {name: billionths for name, billionths in read.items() if billionths is not None}


def parse_bytes(name: str, text: str) -> int:
    """Read bytes out of `512Mi`, `2G` or a bare number of bytes; `name` is what messages call it.

    Raises:
        ConfigError: it is no amount.
    """
    quantity = _memory_quantity(text)
    # No `512m`: to Kubernetes that is half a byte, and to Docker's users 512Mi.
    size = None if quantity[-1:] in set("num") else parse_quantity(quantity)
    if size is None or not 0 <= size < _TOO_MANY_BYTES * _ONE:
        raise ConfigError(f"{name}: {text!r} is not an amount", hint="write it like 512Mi or 2Gi")
    return size // _ONE


def _memory_quantity(text: str) -> str:
    """Spell an amount of memory as Kubernetes does, if it is one."""
    text = text.strip().removesuffix("B")
    if text.endswith("K"):
        return f"{text[:-1]}k"
    return f"{text[:-2]}Ki" if text.endswith("ki") else text


def format_bytes(size: int) -> str:
    """Write a number of bytes in the largest unit of Kubernetes that leaves none over."""
    for unit, bits in (("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if size and size % (1 << bits) == 0:
            return f"{size >> bits}{unit}"
    return str(size)


def parse_memory(text: str) -> int:
    """Read bytes out of `512Mi`, `2G` or a bare number of bytes.

    Raises:
        ConfigError: it is no amount, or too small a one.
    """
    size = parse_bytes("memory", text)
    if size < _LEAST_MEMORY:
        raise ConfigError(
            f"memory: {text!r} is less than a container can have", hint="write it like 512Mi or 2Gi"
        )
    return size


def format_memory(text: str) -> str:
    """Write an amount of memory as Kubernetes takes it.

    Raises:
        ConfigError: as `parse_memory` does.
    """
    parse_memory(text)
    return _memory_quantity(text)


def amount_for(text: str, family: str) -> str:
    """Return what `512Mi,Predict=2Gi` says about a family of tasks; "": nothing."""
    parts = [part.rpartition("=") for part in text.split(",")]
    amounts = {name.strip(): amount.strip() for name, _, amount in parts}
    return amounts.get(family, amounts.get("", ""))


def more_memory(text: str, first: str, most: str) -> str:
    """Return twice an amount, at most what `most_memory` allows.

    Raises:
        ConfigError: as `parse_memory` does.
    """
    limit = most_memory(first, most)
    size = parse_memory(text)
    # Never less: the limit may be set below what the task itself requests.
    return text if limit <= size else f"{min(2 * size, limit) >> 20}Mi"


def most_memory(first: str, most: str) -> int:
    """Return how many bytes are given at most: `most`, or without that four times the first amount.

    Raises:
        ConfigError: as `parse_memory` does.
    """
    return parse_memory(most) if most else 4 * parse_memory(first)


def parse_cpu(text: str) -> int:
    """Read billionths of a processor out of `1.5` or `500m`.

    Raises:
        ConfigError: it is no number of processors.
    """
    billionths = parse_quantity(text.strip())
    if billionths is None or billionths <= 0:
        raise ConfigError(f"cpu: {text!r} is no number of processors", hint="write it like 1.5")
    return billionths


def format_cpu(text: str) -> str:
    """Write a number of processors as Kubernetes takes it.

    Raises:
        ConfigError: as `parse_cpu` does.
    """
    parse_cpu(text)
    return text.strip()
