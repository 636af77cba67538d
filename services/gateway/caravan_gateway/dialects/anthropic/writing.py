"""A chat completion becomes a message: its events while it streams, or the whole of it."""

from __future__ import annotations

from typing import Any

import orjson
from caravan_bus import tracing
from caravan_contracts import chunks
from caravan_contracts.errors import UpstreamFailed
from caravan_contracts.sse import Splitter, payload

from caravan_gateway.dialects.anthropic.blocks import Blocks, event, signature
from caravan_gateway.dialects.anthropic.ending import Ending
from caravan_gateway.dialects.anthropic.reading import Asked

_DONE = b"[DONE]"


class MessageWriter:
    """See :class:`caravan_gateway.dialects.base.Writer`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._splitter = Splitter()
        self._blocks = Blocks(asked.thinking)
        self._ending = Ending(asked.stop_sequences)
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """See :meth:`Writer.feed`. Raises UpstreamFailed for what is no chunk."""
        return b"".join(self._take(payload(one)) for one in self._splitter.feed(data))

    def end(self) -> bytes:
        """See :meth:`Writer.end`."""
        made = self._take(payload(self._splitter.end())) + self._begin({}) + self._blocks.close()
        delta = self._ending.reason(self._blocks.called)
        told = {"type": "message_delta", "delta": delta, "usage": self._ending.usage()}
        return made + event(told) + event({"type": "message_stop"})

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Writer.whole`."""
        body = _read(answer)
        choice = chunks.first_choice(body)
        message = choice.get("message") if choice is not None else None
        if choice is None or not isinstance(message, dict):
            raise UpstreamFailed("the provider answered something that is no chat completion")
        self._ending.take(choice)
        self._ending.count(body.get("usage"))
        content = self._content(message)
        called = any(block["type"] == "tool_use" for block in content)
        head = {**self._head(body), "content": content, **self._ending.reason(called)}
        return orjson.dumps({**head, "usage": self._ending.usage()})

    def _take(self, data: bytes) -> bytes:
        if not data or data == _DONE:
            return b""
        chunk = _read(data)
        self._ending.count(chunk.get("usage"))
        choice = chunks.first_choice(chunk)
        if choice is None:
            return b""
        self._ending.take(choice)
        made = [self._begin(chunk)]
        delta = choice.get("delta")
        if isinstance(delta, dict):
            for kind, text in chunks.texts(delta):
                self._ending.refused = self._ending.refused or kind == "refusal"
                made.append(self._blocks.talk("thinking" if kind == "reasoning" else "text", text))
            made += [self._blocks.call(piece) for piece in _calls(delta)]
        return b"".join(made)

    def _begin(self, chunk: dict[str, Any]) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        empty: dict[str, Any] = {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._ending.usage(),
        }
        return event({"type": "message_start", "message": {**self._head(chunk), **empty}})

    def _head(self, body: dict[str, Any]) -> dict[str, Any]:
        given, model = body.get("id"), body.get("model")
        tail = given.removeprefix("chatcmpl-") if isinstance(given, str) and given else tracing.new_id()
        shown = model if isinstance(model, str) and model else self._asked.chat["model"]
        return {"id": f"msg_{tail}", "type": "message", "role": "assistant", "model": shown}

    def _content(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        for kind, text in chunks.texts(message):
            if kind != "reasoning":
                self._ending.refused = self._ending.refused or kind == "refusal"
                made.append({"type": "text", "text": text})
            elif self._asked.thinking != "none":
                shown = text if self._asked.thinking == "shown" else ""
                made.append({"type": "thinking", "thinking": shown, "signature": signature(text)})
        return made + [_tool_use(call) for call in _calls(message)]


def _read(data: bytes) -> dict[str, Any]:
    try:
        return chunks.read_chunk(data)
    except chunks.Unreadable as error:
        raise UpstreamFailed(str(error)) from error


def _calls(delta: dict[str, Any]) -> list[dict[str, Any]]:
    given = delta.get("tool_calls")
    return [call for call in given if isinstance(call, dict)] if isinstance(given, list) else []


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    given = call.get("function")
    function: dict[str, Any] = given if isinstance(given, dict) else {}
    name, arguments = str(function.get("name") or ""), function.get("arguments") or "{}"
    try:
        read = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        read = None
    if not isinstance(read, dict):
        raise UpstreamFailed(
            f"the model called {name!r} with arguments that are no JSON object", code="invalid_tool_arguments"
        )
    return {"type": "tool_use", "id": call.get("id") or f"toolu_{tracing.new_id()}", "name": name, "input": read}
