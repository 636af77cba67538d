"""Replies that fit into one message of the bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from caravan_contracts.vectors import PAGE_BYTES
from pydantic import BaseModel

Row = TypeVar("Row", bound=BaseModel)


def fitting(rows: Sequence[Row]) -> list[Row]:
    """The first of them, as many as there is room for; always one, if there is any."""
    room = PAGE_BYTES
    taken: list[Row] = []
    for row in rows:
        room -= len(row.model_dump_json().encode())
        if room < 0 and taken:
            break
        taken.append(row)
    return taken
