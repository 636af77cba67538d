"""Agents workers die while responses are under way: a program with the client reads on, every event once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from caravan.client import APIError, Caravan
from tests.client.plain import Plain, text
from tests.client.plain import read as read_events
from tests.client.test_responses import done, words
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def whole(mesh: RunningMesh, upstream: ScriptedUpstream) -> None:
    """Each test begins with a mesh in which everything runs, and leaves nothing under way."""
    mesh.until(mesh.all_ready)
    mesh.until(lambda: upstream.open == 0, 30)


def relays(mesh: RunningMesh) -> dict[str, float]:
    """Requests of foreign users, by the agents worker that relays them."""
    names = [child["name"] for child in mesh.state["children"] if child["name"].startswith("agents")]
    return {name: mesh.metric(name, "caravan_requests_open") for name in names}


def busiest(counts: dict[str, float]) -> str:
    return max(counts, key=lambda name: counts[name])


async def read(client: Caravan, asked: dict[str, Any]) -> str:
    """The text of a stream of which no event is missing and none came twice."""
    numbers, text, last = [], "", ""
    async for event in await client.responses.create(stream=True, **asked):
        numbers.append(event.sequence_number)
        text += event.delta or "" if event.type == "response.output_text.delta" else ""
        last = event.type
    assert numbers == list(range(len(numbers)))
    assert last == "response.completed"
    return text


Victim = Callable[[RunningMesh], str]
VICTIMS: dict[str, Victim] = {
    "relay": lambda mesh: busiest(relays(mesh)),
    "maker": lambda mesh: mesh.busiest("agents"),
}


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
@pytest.mark.parametrize("victim", VICTIMS)
async def test_streams_go_on_when_a_worker_dies(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream, victim: str, background: bool
) -> None:
    asked = {"model": "up/slow-50", "input": "x", "max_output_tokens": 80, "background": background}
    streams = [asyncio.create_task(read(bus, asked)) for _ in range(8)]
    await until(lambda: upstream.open == 8, 15)
    await asyncio.sleep(0.7)  # all have said something
    mesh.kill9(VICTIMS[victim](mesh))
    async with asyncio.timeout(60):
        assert await asyncio.gather(*streams) == [words(80)] * 8
    assert bus.open_streams == 0


async def test_streams_go_on_when_a_worker_is_stopped(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    """Its drain time is shorter than they are."""
    asked = {"model": "up/slow-100", "input": "x", "max_output_tokens": 100}
    streams = [asyncio.create_task(read(bus, asked)) for _ in range(8)]
    await until(lambda: upstream.open == 8, 15)
    os.kill(mesh.pid(busiest(relays(mesh))), signal.SIGTERM)
    async with asyncio.timeout(60):
        assert await asyncio.gather(*streams) == [words(100)] * 8


async def test_whole_answers_are_made_when_a_worker_dies(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    asked = {"model": "up/slow-50", "input": "x", "max_output_tokens": 40}
    made = [asyncio.create_task(bus.responses.create(**asked)) for _ in range(8)]
    await until(lambda: upstream.open == 8, 15)
    mesh.kill9(busiest(relays(mesh)))
    async with asyncio.timeout(60):
        assert [one.output_text for one in await asyncio.gather(*made)] == [words(40)] * 8


async def test_a_reader_of_one_in_the_background_reads_on_at_another(bus: Caravan, mesh: RunningMesh) -> None:
    queued = await bus.responses.create(model="up/slow-50", input="x", max_output_tokens=100, background=True)
    events = []
    async for event in await bus.responses.retrieve(queued.id, stream=True, starting_after=1):
        events.append(event)
        if len(events) == 10:
            mesh.kill9(busiest(relays(mesh)))
    assert [event.sequence_number for event in events] == list(range(2, len(events) + 2))
    assert (await done(bus, queued.id)).output_text == words(100)


async def test_a_program_without_our_client_asks_from_the_next_number_on(
    mesh: RunningMesh, plain_users: dict[str, Plain]
) -> None:
    """The recipe of docs/bus.md: a worker that dies is silent in plain mode."""
    user = Plain(plain_users["plain"].client, "plain", "default", patience=4.0)
    asked = {"model": "up/slow-50", "input": "x", "max_output_tokens": 100, "background": True}
    queued = await user.whole("respond", asked)
    said, first, silences, killed = "", 0, 0, 0
    for _ in range(5):
        try:
            async for piece in user.ask("follow", {"id": queued["id"], "first": first}):
                events = read_events(piece)
                assert events[0]["sequence_number"] == first
                first = events[-1]["sequence_number"] + 1
                said += text(events)
                if len(said) > 40 and not killed:
                    killed = mesh.kill9(busiest(relays(mesh)))
        except TimeoutError:
            silences += 1
            continue
        break
    assert said == words(100)
    assert silences, "two when the same worker made it: six seconds pass until another takes it up"


async def test_what_is_not_stored_ends_with_an_error(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    asked = {"model": "up/slow-50", "input": "x", "max_output_tokens": 100, "store": False}
    events = await bus.responses.create(stream=True, **asked)
    for _ in range(8):
        await anext(events)
    mesh.kill9(busiest(relays(mesh)))
    with pytest.raises(APIError) as told:
        async for _ in events:
            pass
    assert told.value.code in ("cannot_continue", "stream_interrupted")


async def test_events_arrive_once_over_a_killed_nats(bus: Caravan, mesh: RunningMesh) -> None:
    asked = {"model": "up/slow-50", "input": "x", "max_output_tokens": 80}
    streams = [asyncio.create_task(read(bus, asked)) for _ in range(4)]
    await asyncio.sleep(1.5)
    mesh.kill9("nats")
    assert await asyncio.gather(*streams) == [words(80)] * 4
