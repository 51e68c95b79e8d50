"""Amounts as the API server writes them: of memory, processors, and whatever else is counted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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
