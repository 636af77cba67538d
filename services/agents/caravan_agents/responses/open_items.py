"""The items of a turn while they are under way: each writes its own events, in OpenAI's order.

Everything that is the same for all deltas of an item is made when it begins; a delta then is a few bytes put together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from caravan_agents.responses.items import Item
from caravan_agents.responses.logprobs import Logprob, in_events
from caravan_agents.responses.sse import DeltaTemplate, EventLog
from caravan_agents.responses.string_argument import StringArgument

Ended = Literal["completed", "incomplete"]
Annotate = Callable[[str], Sequence[dict[str, Any]]]
"""The whole text of a part becomes the annotations that belong to it."""

Seal = Callable[[str], str]
"""Reasoning becomes what only we can read."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands."""

    log: EventLog
    id: str
    index: int
    """Its `output_index`."""


class OpenItem(ABC):
    """An item that is announced and not done."""

    __slots__ = ("_log", "id", "index", "item")

    def __init__(self, place: Place, item: Item) -> None:
        self._log, self.id, self.index = place.log, place.id, place.index
        self.item = item
        """As it was announced; as it is, when it is closed."""
        self._log.event("response.output_item.added", {"output_index": self.index, "item": item})

    @abstractmethod
    def delta(self, encoded: bytes, text: str) -> None:
        """More of its text: as JSON, and as it is."""

    @abstractmethod
    def close(self, status: Ended) -> Item:
        """The last of its events; the item."""

    def whole(self) -> bool:
        """Whether it is complete although what came after it was cut off."""
        return False

    def _done(self, item: Item) -> Item:
        self.item = item
        self._log.event("response.output_item.done", {"output_index": self.index, "item": item})
        return item

    def _place(self, **more: Any) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": self.index, **more}


class OpenMessage(OpenItem):
    """A message of the assistant: parts of text and of refusal."""

    __slots__ = ("_annotate", "_annotations", "_content", "_kind", "_logprobs", "_part", "_template", "_texts")

    def __init__(self, place: Place, annotate: Annotate | None = None) -> None:
        start = {"id": place.id, "type": "message", "status": "in_progress", "content": [], "role": "assistant"}
        super().__init__(place, start)
        self._annotate = annotate
        self._content: list[dict[str, Any]] = []
        self._kind = ""

    def delta(self, encoded: bytes, text: str, logprobs: list[Logprob] | None = None) -> None:
        """More text."""
        if self._kind != "output_text":
            self._begin("output_text")
        self._texts.append(text)
        if not logprobs:
            self._log.delta(self._template, encoded)
            return
        self._logprobs += logprobs
        self._log.delta(self._template, encoded, b',"logprobs":' + orjson.dumps(in_events(logprobs)))

    def refusal(self, encoded: bytes, text: str) -> None:
        """More of a refusal."""
        if self._kind != "refusal":
            self._begin("refusal")
        self._texts.append(text)
        self._log.delta(self._template, encoded)

    def annotation(self, annotation: dict[str, Any]) -> None:
        """An annotation to the text so far."""
        if self._kind != "output_text":
            self._begin("output_text")
        place = self._part | {"annotation_index": len(self._annotations), "annotation": annotation}
        self._annotations.append(annotation)
        self._log.event("response.output_text.annotation.added", place)

    def close(self, status: Ended) -> Item:
        self._end()
        return self._done(
            {"id": self.id, "type": "message", "status": status, "content": self._content, "role": "assistant"}
        )

    def _begin(self, kind: str) -> None:
        self._end()
        self._kind = kind
        self._texts: list[str] = []
        self._annotations: list[dict[str, Any]] = []
        self._logprobs: list[Logprob] = []
        self._part = self._place(content_index=len(self._content))
        text = kind == "output_text"
        if text:
            self._template = DeltaTemplate("response.output_text.delta", self._part, b',"logprobs":[]')
        else:
            self._template = DeltaTemplate("response.refusal.delta", self._part)
        empty = _text_part("", [], []) if text else {"type": "refusal", "refusal": ""}
        self._log.event("response.content_part.added", {**self._part, "part": empty})

    def _end(self) -> None:
        if not self._kind:
            return
        whole = "".join(self._texts)
        if self._kind == "refusal":
            part: dict[str, Any] = {"type": "refusal", "refusal": whole}
            self._log.event("response.refusal.done", {**self._part, "refusal": whole})
        else:
            for annotation in self._annotate(whole) if self._annotate else ():
                self.annotation(annotation)
            part = _text_part(whole, self._annotations, self._logprobs)
            self._log.event(
                "response.output_text.done", {**self._part, "text": whole, "logprobs": in_events(self._logprobs)}
            )
        self._log.event("response.content_part.done", {**self._part, "part": part})
        self._content.append(part)
        self._kind = ""


def _text_part(text: str, annotations: list[Any], logprobs: list[Any]) -> dict[str, Any]:
    return {"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text}


class OpenReasoning(OpenItem):
    """What the model thinks: shown as it is, or as its summary."""

    __slots__ = ("_part", "_seal", "_summary", "_template", "_texts")

    def __init__(self, place: Place, summary: bool, seal: Seal | None = None) -> None:
        start: Item = {"id": place.id, "type": "reasoning", "summary": []}
        if not summary:
            start["content"] = []
        super().__init__(place, {**start, "status": "in_progress"})
        self._summary, self._seal = summary, seal
        self._texts: list[str] = []
        if summary:
            self._part = self._place(summary_index=0)
            self._template = DeltaTemplate("response.reasoning_summary_text.delta", self._part)
            self._log.event("response.reasoning_summary_part.added", {**self._part, "part": self._shown("")})
        else:
            self._part = self._place(content_index=0)
            self._template = DeltaTemplate("response.reasoning_text.delta", self._part)
            self._log.event("response.content_part.added", {**self._part, "part": self._shown("")})

    def delta(self, encoded: bytes, text: str) -> None:
        self._texts.append(text)
        self._log.delta(self._template, encoded)

    def close(self, status: Ended) -> Item:
        whole = "".join(self._texts)
        part = self._shown(whole)
        text = "reasoning_summary_text" if self._summary else "reasoning_text"
        shown = "reasoning_summary_part" if self._summary else "content_part"
        self._log.event(f"response.{text}.done", {**self._part, "text": whole})
        self._log.event(f"response.{shown}.done", {**self._part, "part": part})
        item: Item = {"id": self.id, "type": "reasoning", "summary": [part] if self._summary else []}
        if not self._summary:
            item["content"] = [part]
        if self._seal:
            item["encrypted_content"] = self._seal(whole)
        return self._done({**item, "status": status})

    def _shown(self, text: str) -> dict[str, Any]:
        return {"type": "summary_text" if self._summary else "reasoning_text", "text": text}


class OpenCall(OpenItem):
    """A call of a function that the client runs."""

    __slots__ = ("_call_id", "_named", "_template", "_texts")

    def __init__(self, place: Place, call_id: str, named: Mapping[str, str]) -> None:
        self._call_id, self._named = call_id, named
        self._texts: list[str] = []
        super().__init__(place, self._item(place.id, "in_progress", ""))
        self._template = DeltaTemplate("response.function_call_arguments.delta", self._place())

    def delta(self, encoded: bytes, text: str) -> None:
        self._texts.append(text)
        self._log.delta(self._template, encoded)

    def close(self, status: Ended) -> Item:
        if not self._texts and status == "completed":
            self.delta(b'"{}"', "{}")  # whoever reads it expects an object
        arguments = "".join(self._texts)
        self._log.event("response.function_call_arguments.done", self._place(arguments=arguments))
        return self._done(self._item(self.id, status, arguments))

    def whole(self) -> bool:
        try:
            orjson.loads("".join(self._texts))
        except orjson.JSONDecodeError:
            return False
        return True

    def _item(self, id: str, status: str, arguments: str) -> Item:
        return {
            "id": id,
            "type": "function_call",
            "status": status,
            "arguments": arguments,
            "call_id": self._call_id,
            **self._named,
        }


class OpenCustomCall(OpenItem):
    """A call of a custom tool: its input is the one argument of the function that the model called."""

    __slots__ = ("_argument", "_call_id", "_named", "_template")

    def __init__(self, place: Place, call_id: str, named: Mapping[str, str]) -> None:
        self._call_id, self._named = call_id, named
        self._argument = StringArgument()
        super().__init__(place, self._item(place.id, "in_progress", ""))
        self._template = DeltaTemplate("response.custom_tool_call_input.delta", self._place())

    def delta(self, encoded: bytes, text: str) -> None:
        self._write(self._argument.feed(text))

    def close(self, status: Ended) -> Item:
        self._write(self._argument.end())
        whole = self._argument.text
        self._log.event("response.custom_tool_call_input.done", self._place(input=whole))
        return self._done(self._item(self.id, status, whole))

    def whole(self) -> bool:
        return self._argument.whole

    def _write(self, text: str) -> None:
        if text:
            self._log.delta(self._template, orjson.dumps(text))

    def _item(self, id: str, status: str, whole: str) -> Item:
        return {
            "id": id,
            "type": "custom_tool_call",
            "status": status,
            "call_id": self._call_id,
            "input": whole,
            **self._named,
        }
