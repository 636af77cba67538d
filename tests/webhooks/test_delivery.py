"""Events on their way: a real queue, real endpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from caravan_agents.webhooks import events
from caravan_agents.webhooks.endpoints import Endpoint, Endpoints
from caravan_agents.webhooks.pauses import Pauses
from caravan_agents.webhooks.posting import AT_ONCE, Poster
from caravan_agents.webhooks.service import Webhooks
from caravan_bus.work.queue import Depth
from caravan_contracts.errors import CaravanError
from caravan_contracts.work import WEBHOOKS

from tests.waiting import until
from tests.webhooks.receiver import endpoint_at, receiver
from tests.work_queue.places import NatsPlace, eventually

QUICK = Pauses(first=0.05, growth=0.0, longest=0.1, crowded=(0.05, 0.1))


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsPlace]:
    made = NatsPlace(tmp_path)
    made.spec = replace(WEBHOOKS, ack_wait=0.6)
    await made.start()
    yield made
    await made.close()


@asynccontextmanager
async def process(
    nats: NatsPlace, *endpoints: Endpoint, pauses: Pauses = QUICK, seconds: float = 5.0
) -> AsyncIterator[Webhooks]:
    """One agents service's webhooks."""
    known = Endpoints(endpoints)
    made = Webhooks(await nats.connect(), known, Poster(known, pauses, seconds))
    await made.start()
    try:
        yield made
    finally:
        await made.drain(1.0)
        await made.close()


async def empty(nats: NatsPlace) -> None:
    queue = await nats.connect()

    async def nothing() -> bool:
        return await queue.depth() == Depth(0, 0)

    await eventually(nothing)


async def test_an_end_is_told_to_those_who_want_to_hear_of_it(nats: NatsPlace) -> None:
    async with receiver().open() as there:
        every = endpoint_at(f"{there.url}/every")
        failed = endpoint_at(f"{there.url}/failed", events=["response.failed"])
        stranger = endpoint_at(f"{there.url}/stranger", tenant="other")
        async with process(nats, every, failed, stranger) as webhooks:
            await webhooks.notify("acme", "resp_1", "completed", at=1_700_000_000)
            await webhooks.notify("acme", "resp_2", "failed")
            await webhooks.notify("nobody", "resp_3", "failed")
            await until(lambda: len(there.heard) == 3)
        await empty(nats)
    assert sorted(there.events("/every")) == ["resp_1", "resp_2"]
    assert there.events("/failed") == ["resp_2"]
    assert there.events("/stranger") == []
    told = next(heard for heard in there.heard if heard.event["data"]["id"] == "resp_1")
    event = told.verified()
    assert (event.type, event.object, event.created_at) == ("response.completed", "event", 1_700_000_000)
    assert told.headers["webhook-id"] == event.id
    assert told.headers["Content-Type"] == "application/json"


async def test_who_tells_twice_makes_one_job(nats: NatsPlace) -> None:
    async with receiver().open() as there, process(nats, endpoint_at(there.url)) as webhooks:
        for _ in range(3):
            await webhooks.notify("acme", "resp_1", "completed")
        await webhooks.notify("acme", "resp_2", "completed")
        await until(lambda: len(there.heard) == 2)
        await empty(nats)
        assert sorted(there.events()) == ["resp_1", "resp_2"]


async def test_a_failed_try_is_repeated_with_the_same_id_and_a_signature_of_its_own_time(nats: NatsPlace) -> None:
    there = receiver()
    there.status = lambda heard: 200 if len(there.heard) > 3 else (500, 404, 302)[len(there.heard) - 1]
    there.headers = {"Location": "/elsewhere"}
    async with there.open(), process(nats, endpoint_at(there.url)) as webhooks:
        await webhooks.notify("acme", "resp_1", "incomplete")
        await until(lambda: len(there.heard) == 4)
        await empty(nats)
    assert {heard.path for heard in there.heard} == {"/"}, "redirects are not followed"
    assert len({heard.headers["webhook-id"] for heard in there.heard}) == 1
    assert len({heard.body for heard in there.heard}) == 1
    assert all(heard.verified().type == "response.incomplete" for heard in there.heard)


async def test_an_endpoint_that_is_down_is_told_when_it_is_back_and_keeps_nobody_else(nats: NatsPlace) -> None:
    down, up = receiver(), receiver()
    async with down.open():
        pass  # it has a port now, where nobody listens
    async with up.open():
        away, there = endpoint_at(down.url), endpoint_at(up.url)
        async with process(nats, away, there) as webhooks:
            for number in range(100):
                await webhooks.notify("acme", f"resp_{number}", "completed")
            await until(lambda: len(up.heard) == 100, 20)
            async with down.open():
                await until(lambda: len(down.heard) == 100, 20)
                await empty(nats)
    assert len(set(down.events())) == len(set(up.events())) == 100


async def test_any_number_of_events_for_an_endpoint_that_is_away_keeps_nobody_else(nats: NatsPlace) -> None:
    """What was given back still counts as under way at the server, which bounds that."""
    away, up = endpoint_at("http://127.0.0.1:9/", tenant="away"), receiver()
    async with up.open(), process(nats, away, endpoint_at(up.url), pauses=Pauses(first=60.0)) as webhooks:
        await asyncio.gather(*(webhooks.notify("away", f"resp_{number}", "failed") for number in range(1200)))
        await until(lambda: webhooks.consumer.stats.requests >= 1000, 30)
        await webhooks.notify("acme", "resp_1", "completed")
        await until(lambda: up.events() == ["resp_1"])


async def test_an_endpoint_that_hangs_holds_few_slots_and_gets_no_more_at_once(nats: NatsPlace) -> None:
    slow, quick = receiver(), receiver()
    slow.hold.clear()
    async with slow.open(), quick.open(), process(nats, endpoint_at(slow.url), endpoint_at(quick.url)) as webhooks:
        for number in range(200):
            await webhooks.notify("acme", f"resp_{number}", "completed")
        await until(lambda: len(quick.heard) == 200, 20)
        assert slow.most <= AT_ONCE and quick.most <= AT_ONCE
        slow.hold.set()
        await until(lambda: len(set(slow.events())) == 200, 20)
        await empty(nats)
    assert slow.most <= AT_ONCE


async def test_an_endpoint_that_does_not_answer_in_time_is_asked_again(nats: NatsPlace) -> None:
    there = receiver()
    there.hold.clear()
    async with there.open(), process(nats, endpoint_at(there.url), seconds=0.2) as webhooks:
        await webhooks.notify("acme", "resp_1", "completed")
        await until(lambda: len(there.heard) == 2)
        there.hold.set()
        await empty(nats)


async def test_an_answer_without_an_end_counts_by_its_status(nats: NatsPlace) -> None:
    there = receiver()
    there.endless = True
    async with there.open(), process(nats, endpoint_at(there.url), seconds=1.0) as webhooks:
        await webhooks.notify("acme", "resp_1", "completed")
        await empty(nats)
    assert len(there.heard) == 1


async def test_an_endpoint_that_is_gone_is_told_nothing_more(nats: NatsPlace) -> None:
    there = receiver()
    there.status = lambda heard: 410
    async with there.open(), process(nats, endpoint_at(there.url)) as webhooks:
        await webhooks.notify("acme", "resp_1", "completed")
        await empty(nats)
        await webhooks.notify("acme", "resp_2", "completed")
        await empty(nats)
    assert there.events() == ["resp_1"]
    assert await nats.dead() == []


async def test_what_is_not_taken_for_too_long_is_put_aside(nats: NatsPlace) -> None:
    there = receiver()
    there.status = lambda heard: 503
    there.headers = {"Retry-After": "0"}
    pauses = replace(QUICK, give_up=3.0)
    async with there.open(), process(nats, endpoint_at(there.url), pauses=pauses) as webhooks:
        await webhooks.notify("acme", "resp_1", "completed")
        await empty(nats)
    assert len(there.heard) > 1
    ((job, reason),) = await nats.dead()
    assert job.startswith(there.heard[0].event["id"])
    assert "503" in reason and there.url.removeprefix("http://") in reason


async def test_a_wish_of_the_endpoint_is_kept(nats: NatsPlace) -> None:
    there = receiver()
    there.status = lambda heard: 200 if len(there.heard) > 1 else 429
    there.headers = {"Retry-After": "1"}
    pauses = Pauses(first=0.01, growth=0.0, longest=5.0)
    async with there.open(), process(nats, endpoint_at(there.url), pauses=pauses) as webhooks:
        began = time.monotonic()
        await webhooks.notify("acme", "resp_1", "completed")
        await until(lambda: len(there.heard) == 2)
        assert time.monotonic() - began >= 0.9


async def test_a_private_address_is_reached_only_where_the_operator_says_so(nats: NatsPlace) -> None:
    async with receiver().open() as there:
        closed = endpoint_at(f"http://localhost:{there.port}/closed", allow_private=False)
        written = endpoint_at(f"http://127.0.0.1:{there.port}/written", allow_private=False)
        pauses = replace(QUICK, give_up=0.0)
        async with process(nats, closed, written, pauses=pauses) as webhooks:
            await webhooks.notify("acme", "resp_1", "completed")
            await empty(nats)
    assert there.heard == []
    reasons = [reason for _, reason in await nats.dead()]
    assert len(reasons) == 2 and all("may not be connected to" in reason for reason in reasons)


async def test_an_endpoint_that_only_others_know_is_left_to_them(nats: NatsPlace) -> None:
    async with receiver().open() as there:
        endpoint = endpoint_at(there.url)
        async with process(nats) as old:
            sender = await nats.connect()
            await sender.send(events.job(endpoint, events.event("acme", "resp_1", "completed", int(time.time()))))
            await until(lambda: old.consumer.stats.requests > 1)
            assert there.heard == []
            async with process(nats, endpoint):
                await until(lambda: there.events() == ["resp_1"])
                await empty(nats)
        ancient = events.event("acme", "resp_2", "completed", int(time.time()) - 7200)
        async with process(nats):
            await sender.send(events.job(endpoint, ancient))
            await empty(nats)
    assert ["no such endpoint" in reason for _, reason in await nats.dead()] == [True]


async def test_two_processes_tell_each_event_once(nats: NatsPlace) -> None:
    async with receiver().open() as there:
        endpoint = endpoint_at(there.url)
        async with process(nats, endpoint) as one, process(nats, endpoint) as two:
            for number in range(60):
                await (one, two)[number % 2].notify("acme", f"resp_{number}", "completed")
            await until(lambda: len(there.heard) == 60, 20)
            await empty(nats)
        assert len(set(there.events())) == 60


async def test_what_cannot_be_kept_is_raised_and_may_be_told_again(nats: NatsPlace) -> None:
    async with receiver().open() as there, process(nats, endpoint_at(there.url)) as webhooks:
        await nats.kill()
        with pytest.raises(CaravanError):
            await webhooks.notify("acme", "resp_1", "completed")
        await nats.start()

        async def told() -> None:
            await webhooks.notify("acme", "resp_1", "completed")

        await eventually(told, 20)
        await until(lambda: there.events() == ["resp_1"], 20)


async def test_what_was_kept_survives_a_drain(nats: NatsPlace) -> None:
    there = receiver()
    there.hold.clear()
    async with there.open():
        endpoint = endpoint_at(there.url)
        async with process(nats, endpoint) as webhooks:
            await webhooks.notify("acme", "resp_1", "completed")
            await until(lambda: len(there.heard) == 1)
            await webhooks.drain(0.05)
        there.hold.set()
        async with process(nats, endpoint):
            await until(lambda: len(there.heard) == 2)
            await empty(nats)
