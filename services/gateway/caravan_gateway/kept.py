"""Answers as they lie in Redis: one line that says where an answer is from, then its bytes."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from caravan_contracts.errors import CaravanError


@dataclass(frozen=True, slots=True)
class Origin:
    """Who gave an answer; see :class:`caravan_gateway.source.Source`."""

    target: str = ""
    attempts: int = 0

    def line(self) -> bytes:
        """What stands before the answer."""
        return orjson.dumps([self.target, self.attempts]) + b"\n"


def split(kept: bytes) -> tuple[Origin, bytes]:
    """Origin and answer. Raises CaravanError for anything else."""
    line, end, answer = kept.partition(b"\n")
    try:
        target, attempts = orjson.loads(line)
        if end and isinstance(target, str) and isinstance(attempts, int):
            return Origin(target, attempts), answer
    except (orjson.JSONDecodeError, ValueError, TypeError) as error:
        raise CaravanError("what is kept of an answer cannot be read") from error
    raise CaravanError("what is kept of an answer cannot be read")
