"""The content blocks of a message, one after another, and the events that tell of them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final, Literal

import orjson
from caravan_bus import tracing
from caravan_contracts.errors import UpstreamFailed

from caravan_gateway.dialects.anthropic.reading import Thinking

Talk = Literal["text", "thinking"]
_DELTA: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":%b}}\n\n'
)
_FIELDS: Final[dict[Talk, tuple[bytes, bytes]]] = {
    "text": (b"text_delta", b"text"),
    "thinking": (b"thinking_delta", b"thinking"),
}
_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'


def event(data: dict[str, Any]) -> bytes:
    """An event, named by its type."""
    return b"event: %b\ndata: %b\n\n" % (data["type"].encode(), orjson.dumps(data))


def signature(thoughts: str) -> str:
    """What stands under them. Clients send it back and take nothing without; nobody reads it: it is a digest."""
    return base64.b64encode(hashlib.sha256(thoughts.encode("utf-8", "replace")).digest()).decode()


class Blocks:
    """Writes events while the pieces come. One block is open at a time, as with Anthropic."""

    def __init__(self, thinking: Thinking) -> None:
        self.called = False
        """Whether a tool was."""
        self._thinking = thinking
        self._index = -1
        self._open: Talk | Literal["tool", ""] = ""
        self._thoughts: list[str] = []
        self._calls: dict[int | str, tuple[str, int]] = {}
        """The id, and the number of the block, by what the provider tells calls apart."""

    def talk(self, kind: Talk, text: str) -> bytes:
        """A piece of the text, or of what the model thinks."""
        if kind == "thinking":
            if self._thinking == "none":
                return b""
            self._thoughts.append(text)
        opened = b"" if self._open == kind else self._begin(kind, {"type": kind, kind: ""} | _more(kind))
        if kind == "thinking" and self._thinking == "sealed":
            return opened
        return opened + _DELTA % (self._index, *_FIELDS[kind], orjson.dumps(text))

    def call(self, piece: dict[str, Any]) -> bytes:
        """A piece of a tool call. Raises UpstreamFailed for one of a call that another has followed."""
        given = piece.get("function")
        function: dict[str, Any] = given if isinstance(given, dict) else {}
        made, number = self._called(piece, function.get("name"))
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if not isinstance(arguments, str) or not arguments:
            return made
        if number != self._index:
            raise UpstreamFailed("the provider mixed the pieces of several tool calls", code="mixed_tool_calls")
        return made + _DELTA % (number, b"input_json_delta", b"partial_json", orjson.dumps(arguments))

    def close(self) -> bytes:
        """End the block that is open, if one is."""
        kind, self._open = self._open, ""
        if not kind:
            return b""
        made = b""
        if kind == "thinking":
            sealed = orjson.dumps(signature("".join(self._thoughts)))
            made = _DELTA % (self._index, b"signature_delta", b"signature", sealed)
            self._thoughts.clear()
        return made + event({"type": "content_block_stop", "index": self._index})

    def _called(self, piece: dict[str, Any], name: object) -> tuple[bytes, int]:
        """The block of the call that this is a piece of; it is opened when it is a new one."""
        given, index = piece.get("id"), piece.get("index")
        key: int | str
        if isinstance(index, int):
            key = index
        elif isinstance(given, str) and given:
            key = given
        else:
            key = f"#{len(self._calls)}" if name else next(reversed(self._calls), 0)
        known = self._calls.get(key)
        if known is not None and not (given and name and given != known[0]):
            return b"", known[1]
        call = given if isinstance(given, str) and given else f"toolu_{tracing.new_id()}"
        self.called = True
        made = self._begin("tool", {"type": "tool_use", "id": call, "name": name or "", "input": {}})
        self._calls[key] = (call, self._index)
        return made, self._index

    def _begin(self, kind: Talk | Literal["tool"], block: dict[str, Any]) -> bytes:
        closed = self.close()
        self._index += 1
        self._open = kind
        begun = event({"type": "content_block_start", "index": self._index, "content_block": block})
        return closed + begun + (_PING if self._index == 0 else b"")


def _more(kind: Talk) -> dict[str, Any]:
    return {"signature": ""} if kind == "thinking" else {}
