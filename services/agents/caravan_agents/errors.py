"""Errors of the agents service."""

from __future__ import annotations

from caravan_contracts.errors import NotFound


def no_completion(id: str, param: str = "completion_id") -> NotFound:
    """There is none of that id, or it is another tenant's."""
    return NotFound(f"there is no stored chat completion {id[:200]!r}", param=param)
