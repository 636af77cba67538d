"""Responses over the bus: the same as over HTTP, of one's own tenant alone, and ended by whoever leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai import AsyncOpenAI

from caravan.client import (
    APIConnectionError,
    BadRequestError,
    Caravan,
    ConflictError,
    NotFoundError,
    Response,
)
from tests.upstream.scripted import ScriptedUpstream
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
OWN = ("id", "created_at", "completed_at")
"""What differs from one response to the next."""


def words(count: int) -> str:
    return "".join(f"w{i} " for i in range(count))


def alike(value: Any) -> Any:
    """Without ids and times."""
    if isinstance(value, dict):
        return {name: alike(inner) for name, inner in value.items() if name not in OWN and not name.endswith("item_id")}
    return [alike(inner) for inner in value] if isinstance(value, list) else value


async def done(client: Caravan, id: str) -> Response:
    """A response in the background, once it is over."""
    async with asyncio.timeout(30):
        while (found := await client.responses.retrieve(id)).status in ("queued", "in_progress"):
            await asyncio.sleep(0.05)
    return found


ASKED: list[dict[str, Any]] = [
    {"input": "hello"},
    {"input": [{"role": "user", "content": "hello"}], "instructions": "Be brief.", "temperature": 0},
    {"model": "up/tools", "input": "hello", "tools": [{"type": "function", "name": "weather", "parameters": {}}]},
]


@pytest.mark.parametrize("fields", ASKED, ids=["text", "items", "tools"])
async def test_a_response_is_the_same_over_both(bus: Caravan, http: AsyncOpenAI, fields: dict[str, Any]) -> None:
    asked = {"model": "up/plain", **fields}
    ours, theirs = await bus.responses.create(**asked), await http.responses.create(**asked)
    assert alike(ours.to_dict()) == alike(theirs.to_dict())
    assert (ours.output_text, ours.status) == (theirs.output_text, theirs.status)
    assert [item.type for item in ours.output] == [item.type for item in theirs.output]
    assert ours.usage is not None and theirs.usage is not None
    assert ours.usage.total_tokens == theirs.usage.total_tokens
    assert (await bus.responses.retrieve(theirs.id)).output_text == theirs.output_text, "one store for both"


@pytest.mark.parametrize("fields", ASKED, ids=["text", "items", "tools"])
async def test_a_stream_is_the_same_over_both(bus: Caravan, http: AsyncOpenAI, fields: dict[str, Any]) -> None:
    asked = {"model": "up/plain", **fields}
    ours = [event async for event in await bus.responses.create(stream=True, **asked)]
    theirs = [event async for event in await http.responses.create(stream=True, **asked)]
    assert [alike(event.to_dict()) for event in ours] == [alike(event.to_dict()) for event in theirs]
    assert [event.sequence_number for event in ours] == list(range(len(ours)))
    assert ours[-1].type == "response.completed"
    assert ours[-1].response is not None and ours[-1].response.status == "completed"


async def test_what_was_said_is_gone_on_with(bus: Caravan, upstream: ScriptedUpstream) -> None:
    first = await bus.responses.create(model="up/plain", input="hello")
    await bus.responses.create(model="up/plain", input="and now?", previous_response_id=first.id)
    said = [message["content"] for message in upstream.requests[-1].body["messages"]]
    assert said == ["hello", first.output_text, "and now?"]
    await bus.responses.create(model="up/plain", input=[*first.output, {"role": "user", "content": "again"}])
    said = [message["content"] for message in upstream.requests[-1].body["messages"]]
    assert said == [first.output_text, "again"], "items of an answer go back as they are"


async def test_one_in_the_background_is_read_while_it_is_made_and_after(bus: Caravan) -> None:
    queued = await bus.responses.create(model="up/slow-20", input="x", max_output_tokens=40, background=True)
    assert queued.status in ("queued", "in_progress")
    events = [event async for event in await bus.responses.retrieve(queued.id, stream=True)]
    assert "".join(event.delta or "" for event in events if event.type == "response.output_text.delta") == words(40)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (await done(bus, queued.id)).output_text == words(40)
    rest = [event async for event in await bus.responses.retrieve(queued.id, stream=True, starting_after=9)]
    assert rest == events[10:]


async def test_one_in_the_background_outlives_its_reader_and_can_be_ended(
    bus: Caravan, upstream: ScriptedUpstream
) -> None:
    asked = {"model": "up/slow-100", "input": "x", "max_output_tokens": 400, "background": True}
    events = await bus.responses.create(stream=True, **asked)
    first = await anext(events)
    assert first.response is not None
    await events.close()
    await until(lambda: upstream.open == 1, 10)
    assert (await bus.responses.retrieve(first.response.id)).status == "in_progress"
    with pytest.raises(ConflictError):
        await bus.responses.delete(first.response.id)
    assert (await bus.responses.cancel(first.response.id)).status == "cancelled"
    await until(lambda: upstream.open == 0, 5)
    await bus.responses.delete(first.response.id)
    with pytest.raises(NotFoundError):
        await bus.responses.retrieve(first.response.id)


async def test_what_went_into_one_and_which_there_are_come_page_by_page(bus: Caravan) -> None:
    given: list[Any] = [{"role": "user", "content": f"{number}"} for number in range(5)]
    made = await bus.responses.create(model="up/plain", input=given)
    page = await bus.responses.input_items.list(made.id, limit=2, order="asc")
    assert [item.content[0].text for item in page.data if item.content] == ["0", "1"] and page.has_more
    items = [item async for item in bus.responses.input_items.list(made.id, limit=2)]
    assert [item.content[0].text for item in items if item.content] == ["4", "3", "2", "1", "0"]
    assert (await bus.responses.list(limit=1)).data[0].id == made.id
    assert made.id in [one.id async for one in bus.responses.list(limit=5, model="up/plain")]


async def test_errors_have_their_names(bus: Caravan) -> None:
    with pytest.raises(NotFoundError) as unknown:
        await bus.responses.create(model="up", input="x")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(BadRequestError):
        await bus.responses.create(model="up/plain", input="x", temperature="warm")
    for nobody in ("resp_" + "0" * 48, "no id"):
        with pytest.raises(NotFoundError):
            await bus.responses.retrieve(nobody)
        with pytest.raises(NotFoundError):
            await bus.responses.retrieve(nobody, stream=True)
    made = await bus.responses.create(model="up/plain", input="x")
    for stream in (False, True):
        with pytest.raises(BadRequestError):
            await bus.responses.retrieve(made.id, stream=stream, include=["everything"])
    with pytest.raises(BadRequestError):
        await bus.responses.cancel(made.id)


async def test_nobody_reads_or_touches_what_another_tenant_has(bus: Caravan, stranger: Caravan) -> None:
    made = await bus.responses.create(model="up/slow-50", input="x", max_output_tokens=100, background=True)
    theirs = stranger.responses
    for ask in (
        theirs.retrieve(made.id),
        theirs.retrieve(made.id, stream=True),
        theirs.cancel(made.id),
        theirs.delete(made.id),
        theirs.input_items.list(made.id)._ask({}),
    ):
        with pytest.raises(NotFoundError):
            await ask
    assert made.id not in [one.id async for one in theirs.list()]
    assert (await bus.responses.retrieve(made.id)).status in ("queued", "in_progress")
    assert (await bus.responses.cancel(made.id)).status == "cancelled"


async def leave_by_break(client: Caravan, asked: dict[str, Any]) -> Any:
    events = await client.responses.create(stream=True, **asked)
    async for event in events:
        if event.type == "response.output_text.delta":
            break
    return events


async def leave_by_close(client: Caravan, asked: dict[str, Any]) -> Any:
    async with await client.responses.create(stream=True, **asked) as events:
        await anext(events)
    return events


async def leave_by_timeout(client: Caravan, asked: dict[str, Any]) -> None:
    made = await asyncio.gather(client.responses.create(timeout=1, **asked), return_exceptions=True)
    if isinstance(made[0], APIConnectionError):
        assert "timed out" in str(made[0])
    else:  # its worker keeps the same time, and may say so first
        assert made[0].status == "failed"


async def leave_by_cancel(client: Caravan, asked: dict[str, Any]) -> None:
    task = asyncio.create_task(client.responses.create(**asked))
    await asyncio.wait({task}, timeout=1)
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_close, leave_by_timeout, leave_by_cancel])
async def test_whoever_leaves_ends_it(bus: Caravan, upstream: ScriptedUpstream, leave: Any) -> None:
    before = upstream.closed_early
    held = await leave(bus, {"model": "up/slow-100", "input": "x", "max_output_tokens": 300})
    await until(lambda: upstream.open == 0 and upstream.closed_early > before, 3)
    assert bus.open_streams == 0
    del held


async def test_a_body_may_be_larger_than_a_message(bus: Caravan, upstream: ScriptedUpstream) -> None:
    text = "long " * 400_000
    made = await bus.responses.create(model="up/plain", input=text)
    assert made.status == "completed"
    assert upstream.requests[-1].body["messages"][0]["content"] == text


async def test_more_than_are_made_at_once_wait_in_line(bus: Caravan) -> None:
    """24 at each of two workers."""
    patient = bus.with_options(timeout=300)  # or they are told that an answer would come too late
    asked = [patient.responses.create(model="up/slow-5", input="x", max_output_tokens=16) for _ in range(100)]
    assert {made.output_text for made in await asyncio.gather(*asked)} == {words(16)}
