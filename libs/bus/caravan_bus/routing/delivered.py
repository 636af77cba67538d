"""What a client has of a stream, read from the bytes it got. Parsed only when the stream broke."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from caravan_contracts.inference import Usage

Key = tuple[int, str]
"""A choice, and which of its texts: ``content``, ``reasoning_content``, ``tool 0 arguments`` …"""

TEXTS: Final = ("content", "reasoning_content", "reasoning", "refusal", "text")
"""The texts of a choice, by the name they have in a chunk."""
WORDS: Final = ("content", "text")
"""The text that is the answer."""
_NO_TEXT: Final = frozenset({"role", "tool_calls", *TEXTS})
_DONE: Final = "[DONE]"


@dataclass(slots=True)
class Delivered:
    """Every text so far, by its choice and field, and what must be the same in all chunks of one stream."""

    id: str = ""
    created: int | None = None
    texts: dict[Key, str] = field(default_factory=dict)
    """In the order in which they began."""
    roles: set[int] = field(default_factory=set)
    calls: set[tuple[int, int]] = field(default_factory=set)
    """Tool calls (choice, index) whose id the client has."""
    finished: dict[int, str] = field(default_factory=dict)
    """Choices that came to their end, and how."""
    tokens: int = 0
    """Of the answer: as the provider counted them when it did, else one for each piece of text."""
    usage: Usage | None = None
    whole: bool = True
    """Whether all of it was understood: nothing can go on from what was not."""

    @staticmethod
    def read(data: bytes) -> Delivered:
        """Of the events in `data`."""
        made = Delivered()
        for chunk in chunks(data):
            if chunk is None:
                made.whole = False
            else:
                made._add(chunk)
        made.whole = made.whole and (not data or data.endswith(b"\n\n"))
        if made.usage is not None:
            made.tokens = max(made.tokens, made.usage.completion_tokens)
        return made

    @property
    def begun(self) -> bool:
        """Whether there is any text."""
        return bool(self.texts)

    def text(self) -> str | None:
        """The answer so far, when that is all there is: one choice, text alone. Else None."""
        if not self.whole or self.finished or any(key not in [(0, name) for name in WORDS] for key in self.texts):
            return None
        return "".join(self.texts.values())

    def _add(self, chunk: dict[str, Any]) -> None:
        self.id = self.id or str(chunk.get("id") or "")
        if self.created is None and isinstance(chunk.get("created"), int):
            self.created = chunk["created"]
        self.usage = Usage.from_openai(chunk.get("usage")) or self.usage
        for choice in choices(chunk):
            index = index_of(choice)
            delta = delta_of(choice)
            if delta.get("role"):
                self.roles.add(index)
            for name, text in texts(delta):
                self.texts[index, name] = self.texts.get((index, name), "") + text
                self.tokens += 1
            for call in calls(delta):
                if call.get("id"):
                    self.calls.add((index, index_of(call)))
            if any(value for name, value in delta.items() if name not in _NO_TEXT and delta is not choice):
                self.whole = False
            if choice.get("finish_reason"):
                self.finished[index] = str(choice["finish_reason"])


def chunks(data: bytes) -> Iterator[dict[str, Any] | None]:
    """The JSON of each event in `data`; None for one that is no JSON object. ``[DONE]`` and comments are left out."""
    for event in data.split(b"\n\n"):
        text = event.strip()
        if not text.startswith(b"data:"):
            if text and not text.startswith(b":"):
                yield None
            continue
        payload = text[5:].strip()
        if payload == _DONE.encode():
            continue
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError:
            chunk = None
        yield chunk if isinstance(chunk, dict) else None


def choices(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """Its choices; none in one that carries usage alone."""
    found = chunk.get("choices")
    return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []


def index_of(part: dict[str, Any]) -> int:
    """The number of a choice or a tool call."""
    index = part.get("index")
    return index if isinstance(index, int) else 0


def delta_of(choice: dict[str, Any]) -> dict[str, Any]:
    """What a choice brings: its `delta`, or itself for a completion that is no chat."""
    delta = choice.get("delta")
    return delta if isinstance(delta, dict) else choice


def calls(delta: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool calls it goes on with."""
    found = delta.get("tool_calls")
    return [call for call in found if isinstance(call, dict)] if isinstance(found, list) else []


def texts(delta: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text in it that is not empty, and its name."""
    for name in TEXTS:
        text = delta.get(name)
        if isinstance(text, str) and text:
            yield name, text
    for call in calls(delta):
        function = call.get("function")
        for name in ("name", "arguments"):
            text = function.get(name) if isinstance(function, dict) else None
            if isinstance(text, str) and text:
                yield call_text(call, name), text


def call_text(call: dict[str, Any], name: str) -> str:
    """The name of a tool call's text."""
    return f"tool {index_of(call)} {name}"
