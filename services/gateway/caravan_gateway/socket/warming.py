"""``"generate": false``: a client tells beforehand what the next responses of its chain begin with.

Nothing is asked of a model, and nothing is kept but in the memory of the connection: what comes next has to name the
response, and is made from all of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any, Final

import orjson

_TOLD: Final[dict[str, Any]] = {
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}
"""What a response says of its request, and what it says where that says nothing."""


def warmed(asked: dict[str, Any]) -> dict[str, Any]:
    """The response, which is complete and has no output."""
    now = int(time.time())
    return {
        "id": "resp_" + secrets.token_hex(24),
        "object": "response",
        "created_at": now,
        "completed_at": now,
        "status": "completed",
        "background": False,
        "conversation": None,
        "error": None,
        "incomplete_details": None,
        "model": asked.get("model"),
        "output": [],
        "usage": None,
        **{name: asked[name] if asked.get(name) is not None else value for name, value in _TOLD.items()},
    }


def events(response: dict[str, Any]) -> Iterator[str]:
    """Its events."""
    begun = {**response, "status": "in_progress", "completed_at": None}
    for number, (kind, told) in enumerate((("created", begun), ("in_progress", begun), ("completed", response))):
        yield orjson.dumps({"type": f"response.{kind}", "sequence_number": number, "response": told}).decode()
