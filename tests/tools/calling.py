"""A model that calls what it is told to, and then says what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.upstream.scripted import USAGE, ScriptedUpstream


def calls(*wanted: tuple[str, dict[str, Any]]) -> str:
    """What a user says to have these functions called, by the model `calling`."""
    return json.dumps([{"name": name, "arguments": json.dumps(arguments)} for name, arguments in wanted])


class CallingUpstream(ScriptedUpstream):
    """`calling`: the last message of a user is a list of calls; the results of tools are said again."""

    def _events(self, body: Any, name: str, number: int) -> Iterator[bytes]:
        if name != "calling":
            yield from super()._events(body, name, number)
            return

        def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "calling"}
            return b"data: " + json.dumps({**chunk, "choices": [choice], "usage": USAGE if finish else None}).encode()

        results = [str(message["content"]) for message in body["messages"] if message["role"] == "tool"]
        if body["messages"][-1]["role"] == "tool":
            yield event({"role": "assistant", "content": "\n".join(results)})
            yield event({}, "stop")
        else:
            wanted = [
                {"index": at, "id": f"call_{at}", "type": "function", "function": call}
                for at, call in enumerate(json.loads(body["messages"][-1]["content"]))
            ]
            yield event({"role": "assistant", "tool_calls": wanted})
            yield event({}, "tool_calls")
        yield b"data: [DONE]"
