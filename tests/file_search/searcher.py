"""A model that searches files before it answers, and cites by the marks of what it was told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from tests.responses.chat import call, chunk
from tests.upstream.scripted import ScriptedUpstream

_MARK = re.compile("【[0-9]{6}】")
_WORDS = 30


class Searcher(ScriptedUpstream):
    """`search` calls the tool once and `search-2` twice side by side; `work` takes a tenth of a second for each piece
    of a long answer. A model without results says what it was told instead of them."""

    def _events(self, body: Any, name: str, number: int) -> Iterator[bytes]:
        if name not in ("search", "work"):
            yield from super()._events(body, name, number)
            return
        last = body["messages"][-1]
        deltas: list[dict[str, Any]]
        if last["role"] == "tool" or not body.get("tools"):
            deltas, finish = [{"content": piece} for piece in answer(last["content"], name == "work")], "stop"
        else:
            arguments = orjson.dumps({"queries": ["how many camels"]}).decode()
            deltas = [call(at, arguments, id=f"call_{at}", name="file_search") for at in range(number or 1)]
            finish = "tool_calls"
        for made in (*(chunk(delta) for delta in deltas), chunk({}, finish)):
            yield b"data: " + orjson.dumps(made)
        yield b"data: [DONE]"


def answer(told: str, long: bool) -> list[str]:
    """In pieces that cut its marks."""
    marks = list(dict.fromkeys(_MARK.findall(told)))
    if not marks:
        return ["I know nothing: ", told[-200:]]
    words = [f"w{n} " for n in range(_WORDS)] if long else []
    pieces = ["Forty 🐪", *words]
    for mark in marks[:2]:
        pieces += [mark[:2], mark[2:5], mark[5:] + " and"]
    return [*pieces, " so on."]
