"""From the events that were said back to a writer that goes on behind them.

Where the model was in the middle of a turn, its events are turned back into the chunks they were made of, and those
are written once more: what comes out must be, byte for byte, what was said. Then the writer stands where the other
process left it, and the text so far is known as the model gave it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from caravan_contracts.sse import payload

from caravan_agents.responses.assembly import ResponseObject, Usage
from caravan_agents.responses.events import EventWriter
from caravan_agents.responses.ids import MakeId, new_id, of_output
from caravan_agents.responses.items import Item
from caravan_agents.responses.marks import OPEN, mark_of, may_go_on
from caravan_agents.responses.sse import EventLog
from caravan_agents.responses.tools import CUSTOM_ARGUMENT, called_name
from caravan_agents.responses.turn import Hooks
from caravan_agents.runs.state import State

_LIFE: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_TEXTS: Final = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning_content",
    "response.reasoning_summary_text.delta": "reasoning_content",
}
_TERMINAL: Final = (b"event: response.completed\n", b"event: response.incomplete\n", b"event: response.failed\n")


class CannotRebuild(Exception):
    """What was said is not what these events would be made again as."""


@dataclass(frozen=True, slots=True)
class Event:
    """One of a log."""

    data: dict[str, Any]
    raw: bytes

    @property
    def type(self) -> str:
        """OpenAI's name."""
        return str(self.data["type"])

    @property
    def number(self) -> int:
        """Its `sequence_number`."""
        return int(self.data["sequence_number"])


def read_events(data: bytes) -> Iterator[Event]:
    """Every event in `data`, which has whole ones alone."""
    for raw in data.split(b"\n\n"):
        if raw:
            yield Event(orjson.loads(payload(b"data:" + raw.partition(b"data:")[2])), raw + b"\n\n")


def retold(response: bytes) -> bytes:
    """The events of a stored response whose own are not kept: that it began, and how it ended."""
    made = orjson.loads(response)
    began = {**made, "status": "in_progress", "output": [], "usage": None, "completed_at": None, "error": None}
    ended = made["status"] if made["status"] in ("completed", "failed") else "incomplete"
    log = EventLog()
    log.event("response.created", {"response": {**began, "incomplete_details": None}})
    log.event(f"response.{ended}", {"response": made})
    return log.take()


def last_number(data: bytes) -> int:
    """The `sequence_number` of the last event in `data`."""
    at = data.rfind(b"\n\n", 0, -2)
    return next(read_events(data[at + 2 if at >= 0 else 0 :])).number


def is_terminal(data: bytes) -> bool:
    """Whether the last event in `data` ends a response."""
    at = data.rfind(b"\n\n", 0, -2)
    return data.startswith(_TERMINAL, at + 2 if at >= 0 else 0)


def namer(response: ResponseObject) -> MakeId:
    """Ids for the items of a response: the same whenever the item at that place is made again."""

    def make(prefix: str) -> str:
        if prefix == "call":
            return new_id(prefix)
        return of_output(response.id, len(response.output), prefix)

    return make


def writer_at(response: ResponseObject, state: State, hooks: Hooks) -> EventWriter:
    """A writer that goes on behind `state`."""
    response.output = copy.copy(state.output)
    response.usage = Usage(**state.usage) if state.usage is not None else None
    response.service_tier = state.tier
    return EventWriter(response, hooks, state.sequence)


def skip_life(events: list[Event]) -> list[Event]:
    """Without those that say that a response began."""
    at = 0
    while at < len(events) and events[at].type in _LIFE:
        at += 1
    return events[at:]


def chat_of(events: list[Event], cites: bool = False) -> bytes:
    """The chunks of a chat completion that such events are made of; with `cites` marks were taken out of its texts."""
    cited = _cited(events) if cites else {}
    made: list[bytes] = []
    calls: dict[str, int] = {}
    custom: set[str] = set()
    open_custom: str | None = None
    for event in events:
        data = event.data
        if event.type in _TEXTS or event.number in cited:
            name = _TEXTS.get(event.type, "content")
            choice: dict[str, Any] = {"index": 0, "delta": {name: cited.get(event.number, data.get("delta"))}}
            if data.get("logprobs"):
                choice["logprobs"] = {"content": data["logprobs"]}
            made.append(_chunk(choice))
        elif event.type == "response.output_item.added" and data["item"]["type"] in (
            "function_call",
            "custom_tool_call",
        ):
            item = data["item"]
            if open_custom is not None:
                # what comes after it says that it is whole
                made.append(_chunk({"index": 0, "delta": {"tool_calls": [_argument(calls[open_custom], '"}')]}}))
            index = calls[item["id"]] = len(calls)
            open_custom = item["id"] if item["type"] == "custom_tool_call" else None
            function = {"name": called_name(item), "arguments": ""}
            if item["type"] == "custom_tool_call":
                custom.add(item["id"])
                function["arguments"] = '{"' + CUSTOM_ARGUMENT + '":"'
            call = {"index": index, "id": item["call_id"], "type": "function", "function": function}
            made.append(_chunk({"index": 0, "delta": {"tool_calls": [call]}}))
        elif event.type in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            text = data["delta"]
            if data["item_id"] in custom:
                text = orjson.dumps(text).decode()[1:-1]
            call = _argument(calls[data["item_id"]], text)
            made.append(_chunk({"index": 0, "delta": {"tool_calls": [call]}}))
    return b"".join(made)


def _cited(events: list[Event]) -> dict[int, str]:
    """What the model wrote where a text with citations was told, by the numbers of the events.

    A text that ends like the beginning of a mark was told because there is more, which begins as a mark does.
    """
    made: dict[int, str] = {}
    lent = False
    for place, event in enumerate(events):
        text = _written(event)
        if text is None:
            continue
        behind = events[place + 1] if place + 1 < len(events) else None
        written = text.removeprefix(OPEN) if lent else text
        lent = may_go_on(text) and (behind is None or bool(_written(behind)))
        if event.type == "response.content_part.added":
            lent = behind is None
        made[event.number] = written + OPEN if lent else written
    return made


def _written(event: Event) -> str | None:
    """The text of an event as the model wrote it; None for another one."""
    data = event.data
    if event.type == "response.output_text.delta":
        return str(data["delta"])
    if event.type == "response.output_text.annotation.added" and data["annotation"]["type"] == "file_citation":
        return mark_of(data["annotation"]["file_id"])
    if event.type == "response.content_part.added" and data["part"]["type"] == "output_text":
        return ""
    return None


def _argument(index: int, text: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": text}}


def _chunk(choice: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


def go_on_in_turn(writer: EventWriter, events: list[Event]) -> bytes:
    """Bring `writer`, which stands at the beginning of a turn, behind `events`; the chunks they are made of. Raises
    CannotRebuild when it would say anything else."""
    chat = chat_of(events, writer.cites)
    again = writer.feed(chat) if chat else b""
    if again != b"".join([event.raw for event in events]):
        raise CannotRebuild
    return chat


def apply(output: list[Item], events: list[Event]) -> None:
    """What events of items make of a response's output."""
    for event in events:
        index = event.data.get("output_index")
        if event.type == "response.output_item.added":
            output.append(event.data["item"])
        elif event.type == "response.output_item.done" and isinstance(index, int):
            output[index] = event.data["item"]
