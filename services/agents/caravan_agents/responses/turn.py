"""One answer of the model: the chunks of a chat completion become items and their events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from caravan_contracts import chunks
from caravan_contracts.sse import Splitter, payload

from caravan_agents.responses import logprobs
from caravan_agents.responses.assembly import IncompleteReason, ResponseObject
from caravan_agents.responses.citing import CitingMessage
from caravan_agents.responses.ids import MakeId, item_id, new_id
from caravan_agents.responses.items import Item
from caravan_agents.responses.marks import CitedFiles
from caravan_agents.responses.open_items import (
    Annotate,
    OpenCall,
    OpenCustomCall,
    OpenItem,
    OpenMessage,
    OpenReasoning,
    Place,
    Seal,
)
from caravan_agents.responses.outline import Outline, Sink, field_of, outline_of
from caravan_agents.responses.request import SEALED, TIERS
from caravan_agents.responses.sse import EventLog
from caravan_agents.responses.tools import Offered

_TRIES: Final = 16
"""Outlines that are made without one chunk that fits, until no more are made."""
_REASONS: Final[dict[str, IncompleteReason]] = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the client is not told of: its tool runs on the server, or there is no such tool."""

    id: str
    """The provider's, or a new one when it gave none."""
    name: str
    """As the model called it."""
    arguments: str
    """As the model wrote them; "{}" when it wrote none."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one answer."""

    items: tuple[Item, ...]
    """In the order of their `output_index`; they are in the response's output already."""
    calls: tuple[ToolCall, ...]
    """To be run, or refused, before the next turn."""
    finish_reason: str | None
    """The provider's; None when the answer broke off."""
    usage: dict[str, Any] | None
    """The chat completion's; it is counted already."""
    error: str | None
    """What the provider said in its stream, or what was wrong with that."""

    @property
    def client_calls(self) -> bool:
        """Whether the client has to run something."""
        return any(item["type"] in ("function_call", "custom_tool_call") for item in self.items)

    @property
    def incomplete(self) -> IncompleteReason | None:
        """Why the response ends here although it is not complete."""
        return _REASONS.get(self.finish_reason or "")


class _Call:
    """A call while its pieces come: with an item when the client runs it."""

    __slots__ = ("id", "name", "open", "texts")

    def __init__(self, id: str) -> None:
        self.id = id
        self.name = ""
        self.open: OpenCall | OpenCustomCall | None = None
        self.texts: list[str] = []


@dataclass(frozen=True, slots=True)
class Hooks:
    """What whoever runs a response adds to its items."""

    make: MakeId = new_id
    annotate: Annotate | None = None
    """Finds the citations in a finished text; a provider's own are there without it."""
    seal: Seal | None = None
    """Makes the `encrypted_content` of reasoning, where that is asked for."""
    cited: CitedFiles | None = None
    """Files whose marks are taken out of the text; None where no files are searched."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a turn is written."""

    tools: Mapping[str, Offered]
    """Those that the client runs, by what the model calls them."""
    hooks: Hooks


class TurnWriter:
    """Reads one stream, and writes its events into the log as they come."""

    def __init__(self, log: EventLog, response: ResponseObject, rules: Rules) -> None:
        self._log, self._response, self._rules, self._hooks = log, response, rules, rules.hooks
        self._splitter = Splitter()
        self._open: dict[int, OpenItem] = {}
        self._items: list[int] = []
        self._message: OpenMessage | None = None
        self._reasoning: OpenReasoning | None = None
        self._calls: dict[int | str, _Call] = {}
        self._all_calls: list[_Call] = []
        self._logprobs = response.request.logprobs
        self._outline: Outline | None = None
        self._tries = _TRIES
        self._finish_reason: str | None = None
        self._done = False
        self._usage: dict[str, Any] | None = None
        self._error: str | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes of the stream, cut anywhere. What comes behind an error is not looked at."""
        for event in self._splitter.feed(data):
            if self._outline is not None and self._outline.take(event):
                self._tries = _TRIES
            else:
                self._take(event)

    def end(self, cut: bool = False) -> Turn:
        """Close what is open. `cut` says that no more is wanted, whatever there is."""
        if (rest := self._splitter.end()) and not cut:
            self._take(rest)
        if self._finish_reason is None and self._done and not self._error:
            self._finish_reason = "stop"
        whole = self._finish_reason is not None and self._finish_reason not in _REASONS
        whole = whole and not cut and self._error is None
        for index in sorted(self._open):
            self._close(index, whole)
        if self._usage is not None:
            self._response.add_usage(self._usage)
        return Turn(
            tuple(self._response.output[index] for index in self._items),
            tuple(
                ToolCall(call.id, call.name, "".join(call.texts) or "{}")
                for call in self._all_calls
                if call.open is None
            ),
            self._finish_reason,
            self._usage,
            self._error,
        )

    def _take(self, event: bytes) -> None:
        data = payload(event)
        if not data or self._error is not None:
            return
        self._outline = None
        if data == b"[DONE]":
            self._done = True
            return
        try:
            chunk = chunks.read_chunk(data)
        except chunks.Unreadable as error:
            self._error = str(error)
            return
        self._error = chunks.error_of(chunk)
        if self._error is not None:
            return
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        tier = chunk.get("service_tier")
        if isinstance(tier, str) and tier in TIERS:  # providers have names of their own, which no client knows
            self._response.service_tier = tier
        choice = chunks.first_choice(chunk)
        if choice is not None:
            self._take_choice(event, chunk, choice)

    def _take_choice(self, event: bytes, chunk: dict[str, Any], choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            sink = self._take_delta(delta, choice)
            if sink is not None and self._tries and (field := field_of(chunk, choice)) is not None:
                self._tries -= 1
                self._outline = outline_of(event, *field, sink)
        if choice.get("finish_reason"):
            self._finish_reason = str(choice["finish_reason"])

    def _take_delta(self, delta: dict[str, Any], choice: dict[str, Any]) -> Sink | None:
        """Write what it says; who takes the next text of the same kind."""
        sink: Sink | None = None
        for kind, text in chunks.texts(delta):
            encoded = orjson.dumps(text)
            if kind == "reasoning":
                sink = self._to_reasoning().delta
                sink(encoded, text)
            elif kind == "refusal":
                self._to_message().refusal(encoded, text)
            else:
                message = self._to_message()
                sink = message.delta
                message.delta(encoded, text, logprobs.read(choice) if self._logprobs else None)
        for annotation in chunks.citations(delta):
            self._to_message().annotation(annotation)
        calls = delta.get("tool_calls")
        for part in calls if isinstance(calls, list) else ():
            if isinstance(part, dict):
                sink = self._take_call(part)
        return sink

    def _to_message(self) -> OpenMessage:
        if self._message is None:
            self._close_talk()
            place, hooks = self._next("message"), self._hooks
            if hooks.cited is None:
                self._message = OpenMessage(place, hooks.annotate)
            else:
                self._message = CitingMessage(place, hooks.annotate, hooks.cited)
            self._opened(self._message)
        return self._message

    def _to_reasoning(self) -> OpenReasoning:
        if self._reasoning is None:
            self._close_talk()
            request = self._response.request
            seal = self._hooks.seal if SEALED in request.include else None
            self._reasoning = OpenReasoning(self._next("reasoning"), request.summary, seal)
            self._opened(self._reasoning)
        return self._reasoning

    def _close_talk(self) -> None:
        """Message and reasoning follow each other; calls may be open side by side."""
        for item in (self._message, self._reasoning):
            if item is not None:
                self._close(item.index, whole=True)
        self._message = self._reasoning = None

    def _take_call(self, part: dict[str, Any]) -> Sink | None:
        function = part.get("function")
        if not isinstance(function, dict):
            function = {}
        name = function.get("name")
        if not isinstance(name, str):
            name = ""
        call = self._call(part, bool(name))
        if name and not call.name:
            call.name = name
            self._announce(call)
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if isinstance(arguments, str) and arguments:
            if call.open is None:
                call.texts.append(arguments)
            else:
                call.open.delta(orjson.dumps(arguments), arguments)
        return call.open.delta if call.open is not None else None

    def _call(self, part: dict[str, Any], named: bool) -> _Call:
        """The one that this piece goes on with: by index, or by id, or the last; another id and a name begin anew."""
        given = part.get("id") if isinstance(part.get("id"), str) else None
        key: int | str
        if isinstance(part.get("index"), int):
            key = part["index"]
        elif given:
            key = given
        elif named:
            key = f"#{len(self._all_calls)}"  # whole calls that are told apart by nothing
        else:
            key = next(reversed(self._calls), 0)
        known = self._calls.get(key)
        if known is not None and not (named and given and known.name and given != known.id):
            return known
        call = self._calls[key] = _Call(given or self._hooks.make("call"))
        self._all_calls.append(call)
        return call

    def _announce(self, call: _Call) -> None:
        """Make its item, when the client runs it."""
        tool = self._rules.tools.get(call.name)
        if tool is None:
            return
        self._close_talk()
        if tool.type == "custom":
            call.open = OpenCustomCall(self._next("custom_tool_call"), call.id, tool.named)
        else:
            call.open = OpenCall(self._next("function_call"), call.id, tool.named)
        self._opened(call.open)
        for text in call.texts:
            call.open.delta(orjson.dumps(text), text)

    def _next(self, type: str) -> Place:
        return Place(self._log, item_id(type, self._hooks.make), len(self._response.output))

    def _opened(self, item: OpenItem) -> None:
        self._response.output.append(item.item)
        self._items.append(item.index)
        self._open[item.index] = item

    def _close(self, index: int, whole: bool) -> None:
        item = self._open.pop(index)
        self._response.output[index] = item.close("completed" if whole or item.whole() else "incomplete")
