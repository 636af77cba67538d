"""A model that searches before it answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from tests.responses.chat import call, chunk
from tests.upstream.scripted import ScriptedUpstream

QUERY = '{"query":"camels"}'
ANSWER = "Forty 🐪 [camels](https://desert.example/camels), by two routes [2]."


class SearchingUpstream(ScriptedUpstream):
    """Searches before it answers, twice side by side when the model is `search-2`."""

    def _events(self, body: Any, name: str, number: int) -> Iterator[bytes]:
        if name != "search":
            yield from super()._events(body, name, number)
            return
        if body["messages"][-1]["role"] == "tool":
            deltas, finish = [{"content": ANSWER[:20]}, {"content": ANSWER[20:]}], "stop"
        else:
            deltas = [call(at, QUERY, id=f"call_{at}", name="web_search") for at in range(number or 1)]
            finish = "tool_calls"
        for made in (*(chunk(delta) for delta in deltas), chunk({}, finish)):
            yield b"data: " + orjson.dumps(made)
        yield b"data: [DONE]"
