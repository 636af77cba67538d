"""Errors of the safety service."""

from __future__ import annotations

from caravan_contracts.errors import NotFound, Unavailable


class ShieldBusy(Unavailable):
    """As many texts as it may have wait for this shield already."""

    code = "shield_busy"


class PackageMissing(Unavailable):
    """This kind of shield needs a package that is not installed where the service runs."""

    code = "shield_package_missing"


def no_shield(id: str, known: list[str], param: str = "shield_id") -> NotFound:
    """There is none of that id, or it is another tenant's."""
    there = f"there are {', '.join(known[:20])}" if known else "there is none; POST /v1/shields registers one"
    return NotFound(f"there is no shield {id[:200]!r}: {there}", param=param)
