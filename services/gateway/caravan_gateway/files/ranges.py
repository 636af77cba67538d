"""Ranges of bytes (RFC 9110, 14)."""

from __future__ import annotations

import re
from typing import Final

from caravan_contracts.errors import InvalidRequest

_ONE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")


class RangeNotSatisfiable(InvalidRequest):
    """The range begins behind the end."""

    status = 416
    code = "range_not_satisfiable"


def wanted(header: str, size: int) -> tuple[int, int] | None:
    """``(start, end)`` of a ``Range``, the end not included; None for the whole: what is no single range of bytes is
    passed over, as the RFC allows. Raises RangeNotSatisfiable."""
    match = _ONE.match(header.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        last = int(match[2])
        start, end = max(0, size - last), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(f"the file has {size} bytes", param="Range")
    return start, end
