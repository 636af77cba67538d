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
        try:
            made = orjson.loads(self.arguments or "{}")
        except orjson.JSONDecodeError:
            made = None
        if not isinstance(made, dict):
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

    def take(self) -> list[Call]:
        """Every call that was made since, in order."""
        made = [self._made[place] for place in sorted(self._made)]
        self._made = {}
        return made

    def _place(self, piece: dict[str, Any], function: dict[str, Any]) -> int:
        place = piece.get("index")
        if isinstance(place, int):
            return place
        last = max(self._made, default=-1)
        return last + 1 if function.get("name") or last < 0 else last
