"""Responses that are not to be stored, for the time of one connection: the next ones may go on from them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import orjson

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_KEPT: Final = 16
"""Of one connection; the oldest is forgotten first. Each has all that was said before it, so the last is enough."""

Items = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Kept:
    base: str | None
    """A stored response that stands before the items."""
    items: Items
    size: int


class Chains:
    """One per connection."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def joined(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The body `asked`, with what was said before put into its input where only this connection knows it."""
        kept = self._kept.get(asked.get("previous_response_id") or "")
        if kept is None:
            return asked
        self._kept.move_to_end(asked["previous_response_id"])
        return {**asked, "previous_response_id": kept.base, "input": [*kept.items, *_items(asked.get("input"))]}

    def keep(self, id: str, sent: dict[str, Any], output: Items) -> None:
        """Remember the response `id` that came of the body `sent`; what is too large is forgotten at once."""
        items = [*_items(sent.get("input")), *output]
        size = len(orjson.dumps(items))
        self._kept[id] = _Kept(sent.get("previous_response_id"), items, size)
        self._bytes += size
        while self._bytes > MAX_BYTES or len(self._kept) > MAX_KEPT:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.size

    def __contains__(self, id: object) -> bool:
        return id in self._kept

    def __len__(self) -> int:
        return len(self._kept)


def _items(given: Any) -> Items:
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return given if isinstance(given, list) else []
