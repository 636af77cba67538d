"""Runs the writer over streams, as an engine does."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import orjson
from caravan_agents.responses.assembly import ResponseObject
from caravan_agents.responses.events import EventWriter, Terminal
from caravan_agents.responses.request import read_request
from caravan_agents.responses.turn import Hooks, Turn

FUNCTIONS = [{"type": "function", "name": name, "parameters": {}} for name in ("weather", "clock")]
CUSTOM = {"type": "custom", "name": "shout"}


def counting() -> Any:
    """Ids that are the same each time."""
    numbers = itertools.count()
    return lambda prefix: f"{prefix}_{next(numbers):048x}"


def writer(**body: Any) -> EventWriter:
    """A writer for a request of these fields."""
    request = read_request(orjson.dumps({"model": "m", "input": "Hello", **body}), counting())
    return EventWriter(ResponseObject("resp_" + "0" * 48, 1700000000, request), Hooks(make=counting()))


def written(
    *streams: bytes, end: Terminal = "completed", pieces: Iterable[bytes] | None = None, **body: Any
) -> tuple[bytes, list[Turn]]:
    """All bytes of a response whose turns are `streams`."""
    return write_with(writer(**body), *streams, end=end, pieces=pieces)


def write_with(
    made: EventWriter, *streams: bytes, end: Terminal = "completed", pieces: Iterable[bytes] | None = None
) -> tuple[bytes, list[Turn]]:
    out = [made.start(), made.begin()]
    turns: list[Turn] = []
    for stream in streams:
        for piece in pieces or [stream]:
            out.append(made.feed(piece))
        turn, closing = made.end_turn()
        turns.append(turn)
        out.append(closing)
    reason = turns[-1].incomplete if turns else None
    if reason:
        out.append(made.finish("incomplete", reason=reason))
    elif end == "failed":
        out.append(made.finish("failed", error={"code": "server_error", "message": "it broke"}))
    else:
        out.append(made.finish(end, at=1700000009))
    return b"".join(out), turns
