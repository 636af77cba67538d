"""The state machine of a response's events: what may come when, read from the SDK's own typed events.

`follow` takes the bytes of a whole stream, fails at the first event that is wrong, and gives the typed events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
_TEXTS = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_text": "text",
    "response.reasoning_summary_text": "text",
    "response.function_call_arguments": "arguments",
    "response.mcp_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}
_STEPS = {
    "response.mcp_list_tools": ["in_progress"],
    "response.mcp_call": ["in_progress"],
    "response.web_search_call": ["in_progress", "searching"],
    "response.file_search_call": ["in_progress", "searching"],
}
"""Of items that the server makes: what is said while they are made; behind it completed or failed."""
_MID_CALL = {"response.mcp_call_arguments"}


@dataclass
class Part:
    deltas: list[str] = field(default_factory=list)
    annotations: list[Any] = field(default_factory=list)
    text: str | None = None
    """As its `done` event says."""
    done: bool = False


@dataclass
class ItemState:
    id: str
    type: str
    parts: dict[tuple[str, int], Part] = field(default_factory=dict)
    """By `content` or `summary` and its index; a call has one part of its own."""
    steps: list[str] = field(default_factory=list)
    """Of an item that the server makes: in_progress, then completed or failed."""
    done: dict[str, Any] | None = None


class Machine:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.items: dict[int, ItemState] = {}
        self.id = ""
        self.terminal: dict[str, Any] | None = None

    def take(self, block: bytes) -> None:
        first, second = block.split(b"\n")
        assert first.startswith(b"event: ") and second.startswith(b"data: ")
        data = orjson.loads(second[6:])
        assert first[7:].decode() == data["type"]
        typed = _EVENT.validate_python(data)
        assert typed.type == data["type"], "it is another event by its fields"
        assert list(data)[:2] == ["type", "sequence_number"]
        assert data["sequence_number"] == len(self.events)
        assert self.terminal is None, f"{data['type']} after the terminal event"
        self.events.append(data)
        self._route(data)

    def _route(self, data: dict[str, Any]) -> None:
        kind = data["type"]
        if "response" in data:
            self._lifecycle(kind, data["response"])
        elif kind == "response.output_item.added":
            assert data["output_index"] == len(self.items), "the next index, in the order of their beginning"
            item = data["item"]
            assert item.get("status", "in_progress") in ("in_progress", "completed")
            self.items[data["output_index"]] = ItemState(item["id"], item["type"])
        elif kind == "response.output_item.done":
            self._item_done(data)
        else:
            state = self.items[data["output_index"]]
            assert state.id == data["item_id"] and state.done is None
            self._of_item(kind, state, data)

    def _lifecycle(self, type: str, response: dict[str, Any]) -> None:
        Response.model_validate(response)
        at = len(self.events) - 1
        self.id = self.id or response["id"]
        assert response["id"] == self.id
        if type == "response.created":
            assert at == 0
            assert response["status"] == ("queued" if response["background"] else "in_progress")
        elif type == "response.queued":
            assert at == 1 and response["status"] == "queued"
        elif type == "response.in_progress":
            assert at == (2 if response["background"] else 1) and response["status"] == "in_progress"
        else:
            assert type in TERMINAL
            self._ended(type, response)

    def _ended(self, type: str, response: dict[str, Any]) -> None:
        self.terminal = response
        status = type.removeprefix("response.")
        assert response["status"] == status or (status, response["status"]) == ("incomplete", "cancelled")
        assert (response["error"] is not None) == (status == "failed")
        assert (response["incomplete_details"] is not None) == (response["status"] == "incomplete")
        assert response["output"] == [self.items[index].done for index in sorted(self.items)]

    def _of_item(self, type: str, state: ItemState, data: dict[str, Any]) -> None:
        key = next(((name, data[f"{name}_index"]) for name in ("content", "summary") if f"{name}_index" in data), None)
        if type.endswith("_part.added"):
            assert key is not None and key not in state.parts
            assert not any(not part.done for part in state.parts.values()), "the part before is not done"
            assert key[1] == len(state.parts)
            state.parts[key] = Part()
            return
        if type.endswith("_part.done"):
            assert key is not None
            self._part_done(state.parts[key], data["part"])
            return
        if type == "response.output_text.annotation.added":
            assert key is not None
            part = state.parts[key]
            assert data["annotation_index"] == len(part.annotations) and part.text is None
            part.annotations.append(data["annotation"])
            return
        name, _, what = type.rpartition(".")
        if name in _STEPS:
            assert name == f"response.{state.type}"
            before = _STEPS[name]
            at = len(state.steps)
            assert at <= len(before) and what in (before[at : at + 1] or ("completed", "failed"))
            state.steps.append(what)
        elif name in _TEXTS:
            assert name not in _MID_CALL or state.steps == ["in_progress"], "arguments are told while it is in progress"
            part = state.parts[key] if key else state.parts.setdefault(("call", 0), Part())
            assert part.text is None and not part.done
            if what == "delta":
                assert data["delta"] != ""
                part.deltas.append(data["delta"])
            else:
                assert what == "done"
                part.text = data[_TEXTS[name]]
                assert part.text == "".join(part.deltas)
        else:
            raise AssertionError(f"no event of an item: {type}")

    def _part_done(self, part: Part, given: dict[str, Any]) -> None:
        assert not part.done
        part.done = True
        assert part.text is not None, "its text is done first"
        assert given.get("text", given.get("refusal")) == part.text
        assert given.get("annotations", []) == part.annotations

    def _item_done(self, data: dict[str, Any]) -> None:
        state, item = self.items[data["output_index"]], data["item"]
        assert state.done is None and (item["id"], item["type"]) == (state.id, state.type)
        assert item.get("status") != "in_progress"
        state.done = item
        shown = [part.text for part in state.parts.values()]
        if item["type"] == "message":
            assert all(part.done for part in state.parts.values())
            assert [one.get("text", one.get("refusal")) for one in item["content"]] == shown
        elif item["type"] == "reasoning":
            assert [one["text"] for one in item.get("content") or item["summary"]] == shown
        elif item["type"] == "function_call":
            assert [item["arguments"]] == shown
        elif item["type"] == "custom_tool_call":
            assert [item["input"]] == shown
        elif item["type"] == "mcp_call":
            ends = {"completed": ["completed"], "failed": ["failed"], "incomplete": []}[item["status"]]
            assert state.steps[1:] == ends
            assert not ends or [item["arguments"]] == shown
            assert (item.get("error") is not None) == (item["status"] == "failed")
        elif item["type"] == "mcp_list_tools":
            assert state.steps[:1] == ["in_progress"]
            assert ("failed" in state.steps) == (item.get("error") is not None)
        elif item["type"] in ("web_search_call", "file_search_call"):
            assert state.steps[:2] == ["in_progress", "searching"]
            assert (state.steps[2:] == ["completed"]) == (item["status"] == "completed")


def follow(data: bytes) -> Machine:
    """The machine behind the last event. Raises AssertionError or ValidationError."""
    machine = Machine()
    blocks = data.split(b"\n\n")
    assert blocks.pop() == b"", "the last event is not whole"
    for block in blocks:
        if not block.startswith(b":"):  # a comment: while nothing comes, the gateway says that it is there
            machine.take(block)
    assert [event["type"] for event in machine.events[:1]] == ["response.created"]
    assert machine.terminal is not None, "no terminal event"
    return machine
