"""Where the texts of a model's answer stand: every string in a choice that is not known to be something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from caravan_contracts.errors import UpstreamBroke
from caravan_contracts.safety import Stage

_NO_TEXT: Final = frozenset(
    {
        "role",
        "id",
        "type",
        "object",
        "finish_reason",
        "native_finish_reason",
        "stop_reason",
        "model",
        "logprobs",
        "content_filter_results",
        "content_filter_result",
    }
)
_CALLS: Final = frozenset({"tool_calls", "function_call"})
_DEEPEST: Final = 16

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Piece:
    """A text in an event."""

    path: Path
    """From the choice. Things that have an `index` are called by it: it is the same in every event."""
    holder: Any
    key: str | int
    text: str

    @property
    def stage(self) -> Stage:
        """Whose rules look at it."""
        return Stage.OUTPUT if _CALLS.isdisjoint(self.path) else Stage.TOOL_ARGUMENTS

    @property
    def source(self) -> bool:
        """Whether it is JSON itself."""
        return self.path[-1] == "arguments"

    def put(self, text: str) -> None:
        """Have it say something else."""
        self.holder[self.key] = text


def pieces(choice: dict[str, Any]) -> Iterator[Piece]:
    """Every text in it that is not empty. Raises UpstreamBroke for what no answer looks like."""
    yield from _within(choice, ())


def _within(node: Any, path: Path) -> Iterator[Piece]:
    if len(path) > _DEEPEST:
        raise UpstreamBroke("a model's answer is nested too deeply for a guardrail to read")
    for key in list(node if isinstance(node, dict) else range(len(node))):
        if key in _NO_TEXT:
            continue
        if key == "arguments" and isinstance(node[key], dict | list):
            node[key] = orjson.dumps(node[key]).decode()
        value = node[key]
        if isinstance(value, str):
            if value:
                yield Piece((*path, key), node, key, value)
        elif isinstance(value, dict | list):
            yield from _within(value, (*path, _name(key, value)))


def _name(key: str | int, value: Any) -> str | int:
    index = value.get("index") if isinstance(key, int) and isinstance(value, dict) else None
    return index if isinstance(index, int) else key


def rest_of(choice: dict[str, Any], piece: Piece, text: str) -> dict[str, Any] | None:
    """A choice that has nothing but `text`, in the place of `piece`; None where that cannot be."""
    made = _copy(choice, piece, text)
    return made if isinstance(made, dict) else None


def _copy(node: Any, piece: Piece, text: str) -> Any:
    """What of `node` leads to the piece; None when nothing does."""
    if isinstance(node, list):
        made = [_copy(value, piece, text) for value in node if isinstance(value, dict | list)]
        return [value for value in made if value is not None] or None
    kept = {"index": node["index"]} if "index" in node else {}
    if node is piece.holder:
        return {**kept, piece.key: text}
    for key, value in node.items():
        if isinstance(value, dict | list) and (found := _copy(value, piece, text)) is not None:
            return {**kept, key: found}
    return None
