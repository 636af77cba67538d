"""``truncation: "auto"``: what is left out of a conversation that a model has no room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from caravan_agents.responses.items import Item

TRIES: Final = 8
"""How often a model is asked again with less: each time about a quarter of the turns is gone."""
_LASTING: Final = frozenset({"system", "developer"})


def shortened(items: Sequence[Item]) -> list[Item] | None:
    """`items` without their oldest turns, about a quarter of them; None when there is one turn alone. A turn begins
    with what a user says, so calls stay with their results; what the system says stays."""
    turns = [at for at, item in enumerate(items) if item["type"] == "message" and item["role"] == "user"]
    if len(turns) < 2:
        return None
    begin = turns[max(1, len(turns) // 4)]
    lasting = [item for item in items[:begin] if item["type"] == "message" and item["role"] in _LASTING]
    return [*lasting, *items[begin:]]
