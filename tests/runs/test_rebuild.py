"""A turn that was cut anywhere goes on as if nothing had happened: the same bytes."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from caravan_agents.responses.assembly import ResponseObject
from caravan_agents.responses.events import EventWriter
from caravan_agents.responses.request import read_request
from caravan_agents.responses.turn import Hooks
from caravan_agents.runs.rebuild import CannotRebuild, go_on_in_turn, is_terminal, namer, read_events, writer_at
from caravan_agents.runs.state import State
from caravan_bus.routing.delivered import Delivered
from caravan_bus.routing.splice import Splice
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.responses.chat import call, stream
from tests.responses.machine import follow
from tests.responses.writing import CUSTOM, FUNCTIONS

CRM = {
    "type": "namespace",
    "name": "crm",
    "description": "Customers.",
    "tools": [{"type": "function", "name": "find"}, {"type": "custom", "name": "note"}],
}
text = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), min_size=1, max_size=8)
said = st.fixed_dictionaries({"content": text})
thought = st.fixed_dictionaries({"reasoning_content": text})
refused = st.fixed_dictionaries({"refusal": text})


@st.composite
def turns(draw: st.DrawFn) -> bytes:
    """An answer: it thinks, then speaks, then calls."""
    deltas: list[dict[str, Any]] = [*draw(st.lists(thought, max_size=3)), *draw(st.lists(said, max_size=5))]
    deltas += draw(st.lists(refused, max_size=2))
    for index in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(["weather", "shout", "crm__find", "crm__note"]))
        given = draw(text)
        custom = name in ("shout", "crm__note")
        arguments = orjson.dumps({"input": given}).decode() if custom else json.dumps({"city": given})
        deltas.append(call(index, "", id=f"call_{index}", name=name))
        deltas += [call(index, arguments[at : at + 5]) for at in range(0, len(arguments), 5)]
    return stream(*deltas, finish="tool_calls" if "tool_calls" in str(deltas) else "stop")


def writer(padded: bool) -> tuple[EventWriter, ResponseObject, Hooks]:
    options = {"stream": True, "stream_options": {"include_obfuscation": True}} if padded else {}
    body = {"model": "m", "input": "Hello", "tools": [*FUNCTIONS, CUSTOM, CRM], **options}
    response = ResponseObject("resp_" + "0" * 48, 1_700_000_000, read_request(orjson.dumps(body)))
    hooks = Hooks(make=namer(response))
    return writer_at(response, State([]), hooks), response, hooks


@settings(deadline=None, max_examples=200)
@given(st.data(), turns(), st.booleans())
def test_a_turn_goes_on_behind_any_event(data: st.DataObject, chat: bytes, padded: bool) -> None:
    first, _, _ = writer(padded)
    life = first.start() + first.begin()
    entries = [first.feed(event + b"\n\n") for event in chat.split(b"\n\n") if event]
    whole = life + b"".join(entries) + first.end_turn()[1] + first.finish("completed", at=1)
    before = b"".join(entries[: data.draw(st.integers(0, len(entries)))])

    again, response, hooks = writer(padded)
    again = writer_at(response, State([], sequence=2), hooks)
    delivered = Delivered.read(go_on_in_turn(again, list(read_events(before))))
    rest = again.feed(Splice(delivered, replay=True).feed(chat))
    rest += again.end_turn()[1] + again.finish("completed", at=1)
    assert life + before + rest == whole
    assert follow(whole).terminal is not None
    assert is_terminal(whole) and not is_terminal(life + before)


def test_events_that_no_chunk_makes_are_not_gone_on_with() -> None:
    first, _, _ = writer(False)
    first.start()
    first.begin()
    events = list(read_events(first.feed(stream({"content": "Hello"}))))
    changed = [type(event)(event.data, event.raw.replace(b"msg_", b"xyz_")) for event in events]
    _, response, hooks = writer(False)
    with pytest.raises(CannotRebuild):
        go_on_in_turn(writer_at(response, State([], sequence=2), hooks), changed)
