"""Tool calls for APIs that know them only whole: name, and arguments as an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from caravan_contracts.errors import UpstreamFailed


@dataclass(slots=True)
class Call:
    """One call, as far as it was said."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    def given(self) -> dict[str, Any]:
        """Its arguments. Raises UpstreamFailed when the model wrote no object."""
        made = arguments_of(self.arguments)
        if made is None:
            raise UpstreamFailed(
                f"the model called the tool {self.name[:100]!r} with arguments that are no JSON object"
            )
        return made


class Calls:
    """Those of one answer, put together from the pieces of its stream."""

    def __init__(self) -> None:
        self._made: dict[int, Call] = {}

    def add(self, pieces: list[dict[str, Any]] | None) -> None:
        """Pieces of a delta, or the calls of a whole message."""
        for piece in pieces or ():
            function = piece.get("function") or {}
            call = self._made.setdefault(self._place(piece, function), Call())
            call.id = piece.get("id") or call.id
            call.name = function.get("name") or call.name
            call.arguments += function.get("arguments") or ""

    def take(self, finish_reason: str = "") -> list[Call]:
        """Every call that was made since, in order; without what is left of one that the limit of tokens cut off."""
        made = [self._made[place] for place in sorted(self._made)]
        self._made = {}
        if finish_reason != "length":
            return made
        return [call for call in made if arguments_of(call.arguments) is not None]

    def _place(self, piece: dict[str, Any], function: dict[str, Any]) -> int:
        place = piece.get("index")
        if isinstance(place, int):
            return place
        last = max(self._made, default=-1)
        return last + 1 if function.get("name") or last < 0 else last


def arguments_of(written: str) -> dict[str, Any] | None:
    """The arguments of a call, of which a model may write none; None when they are no object."""
    try:
        made = orjson.loads(written or "{}")
    except orjson.JSONDecodeError:
        return None
    return made if isinstance(made, dict) else None


class Matching:
    """Which result belongs to which call, for APIs that may tell them apart by their tools or their order alone."""

    def __init__(self) -> None:
        self._made = 0
        self._open: list[tuple[str, str]] = []

    def call(self, tool: str, said: str | None) -> str:
        """The id of a call; `said` is what the client wrote."""
        made = said or f"call_{self._made}"
        self._made += 1
        self._open.append((made, tool))
        return made

    def result(self, tool: str | None, said: str | None) -> str:
        """The id of the call whose result comes now: the one that it names, or the first of its tool, or the first."""
        if not self._open:
            return said or "call_unknown"
        fitting = [call for call in self._open if said == call[0] or (not said and tool in (None, call[1]))]
        found = (fitting or self._open)[0]
        self._open.remove(found)
        return said or found[0]
