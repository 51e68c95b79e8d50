"""Amounts of memory and of processors, read and written as Kubernetes does.

Pure. The grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
What Docker's users write beside it is understood too: `2GB` is `2G`, and `64K` is `64k`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

# So many digits are more than any machine has of anything, and still a number to Python.
_NUMBER = r"(?P<number>[0-9]{1,18}(?:\.[0-9]{1,18})?)"
_MEMORY = re.compile(_NUMBER + r"(?P<unit>[kKMGT]i?)?B?")
_CPU = re.compile(_NUMBER + r"(?P<unit>m?)")
_LEAST_MEMORY = 6 << 20  # Docker's engine refuses less ("Minimum memory limit allowed is 6MB")


def parse_bytes(name: str, text: str) -> int:
    """Read bytes out of `512Mi`, `2G` or a bare number of bytes; `name` is what messages call it.

    Raises:
        ConfigError: it is no amount.
    """
    number, unit = _amount(name, text)
    base = 1024 if unit.endswith("i") else 1000
    return int(float(number) * base ** " kMGT".index(unit[:1].replace("K", "k") or " "))


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
    number, unit = _amount("memory", text)
    return number + {"K": "k", "ki": "Ki"}.get(unit, unit)


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
    # Never less: somebody may have set the limit below what the task itself asks for.
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
    found = _CPU.fullmatch(text.strip())
    count = 0.0 if found is None else float(found["number"]) / (1000 if found["unit"] else 1)
    if count <= 0:
        raise ConfigError(f"cpu: {text!r} is no number of processors", hint="write it like 1.5")
    return int(count * 1_000_000_000)


def format_cpu(text: str) -> str:
    """Write a number of processors as Kubernetes takes it.

    Raises:
        ConfigError: as `parse_cpu` does.
    """
    parse_cpu(text)
    return text.strip()


def _amount(name: str, text: str) -> tuple[str, str]:
    found = _MEMORY.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{name}: {text!r} is not an amount", hint="write it like 512Mi or 2Gi")
    return found["number"], found["unit"] or ""


_QUANTITY = re.compile(r"(?P<number>[0-9]{1,20}(?:\.[0-9]{1,20})?)(?P<unit>m|[kMGTPE]i?|Ki)?")


def amounts_of(texts: Mapping[str, str]) -> dict[str, int]:
    """Read thousandths of each amount, such as `500m` or `2Gi`; what is none is left out."""
    found = {name: _QUANTITY.fullmatch(str(text)) for name, text in texts.items()}
    return {name: _thousandths(amount) for name, amount in found.items() if amount is not None}


def _thousandths(found: re.Match[str]) -> int:
    number, unit = float(found["number"]), found["unit"] or ""
    if unit == "m":
        return round(number)
    base = 1024 if unit.endswith("i") else 1000
    return round(1000 * number * float(base ** " kMGTPE".index(unit[:1].replace("K", "k") or " ")))
