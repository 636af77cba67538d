from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from caravan_bus.admission.place import Place
from caravan_bus.router import Outbound, RoutedStream, RoutingOptions
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_bus.transport import Transport
from caravan_contracts.context import Principal
from caravan_contracts.errors import CaravanError, DeadlineExceeded, NoWorker, Overloaded, TenantLimited
from caravan_contracts.inference import Summary

from tests.bus.party import Caller, Party, request


def of(tenant: str, timeout: float = 30.0, body: bytes = b"{}") -> Outbound:
    made = request(timeout, body)
    made.context = replace(made.context, principal=Principal(tenant))
    return made


async def hang(inbound: Inbound, sender: StreamSender) -> None:
    await asyncio.Event().wait()


async def full(party: Party, options: RoutingOptions | None = None) -> Caller:
    """A caller that has the only slot."""
    caller, _ = await full_worker(party, options)
    return caller


async def full_worker(party: Party, options: RoutingOptions | None = None) -> tuple[Caller, Transport]:
    worker, _ = await party.worker("w1", hang, slots=1)
    caller = await party.caller(options)
    await party.until_seen(caller, 1)
    await caller.router.send(of("holder"))
    return caller, worker


async def waiting(caller: Caller, count: int) -> None:
    async with asyncio.timeout(5):
        while caller.router.waiting("p") != count:
            await asyncio.sleep(0.005)


async def test_a_thousand_of_one_tenant_do_not_keep_another_waiting(party: Party) -> None:
    order: list[bytes] = []
    go = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        await go.wait()
        order.append(inbound.message.data)
        sender.end(Summary(), b"ok")

    await party.worker("w1", serve, slots=1)
    caller = await party.caller(RoutingOptions(tenant_limit=2000, queue_limit=2000))
    await party.until_seen(caller, 1)

    async def ask(tenant: str) -> bytes:
        stream = await caller.router.send(of(tenant, body=tenant.encode()))
        return await stream.read_all(10)

    tasks = [asyncio.create_task(ask("many")) for _ in range(300)]
    await waiting(caller, 299)
    tasks.append(asyncio.create_task(ask("one")))
    await waiting(caller, 300)
    go.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks)
    assert order.index(b"one") <= 3


async def die(caller: Caller, worker: Transport, name: str) -> None:
    """As when the worker's process is killed, and that is known."""
    await worker.close()
    caller.table.gone(name)


async def gather(tasks: list[asyncio.Task[RoutedStream]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_tenant_has_a_bound_of_its_own(party: Party) -> None:
    caller = await full(party, RoutingOptions(tenant_limit=2, queue_limit=3))
    tasks = [asyncio.create_task(caller.router.send(of("a"))) for _ in range(2)]
    await waiting(caller, 2)
    with pytest.raises(TenantLimited) as caught:
        await caller.router.send(of("a"))
    assert caught.value.limit == 2 and caught.value.retry_after and caught.value.status == 429
    await gather(tasks)
    assert caller.router.waiting("p") == 0


async def test_a_line_has_a_bound(party: Party) -> None:
    caller = await full(party, RoutingOptions(queue_limit=3))
    tasks = [asyncio.create_task(caller.router.send(of(tenant))) for tenant in "abc"]
    await waiting(caller, 3)
    for tenant in "ad":
        with pytest.raises(Overloaded) as caught:
            await caller.router.send(of(tenant))
        assert caught.value.limit == 3 and caught.value.retry_after and caught.value.status == 503
    assert not any(task.done() for task in tasks)
    await gather(tasks)
    assert caller.router.waiting("p") == 0


async def test_a_full_line_has_room_for_a_tenant_with_less_of_it(party: Party) -> None:
    caller = await full(party, RoutingOptions(queue_limit=6))
    tasks = [asyncio.create_task(caller.router.send(of("many"))) for _ in range(6)]
    await waiting(caller, 6)
    modest = [asyncio.create_task(caller.router.send(of("modest"))) for _ in range(3)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    async with asyncio.timeout(5):
        while sum(task.done() for task in tasks) < 3:
            await asyncio.sleep(0.005)
    assert [task.done() for task in tasks] == [False] * 3 + [True] * 3, "those that would have been served last"
    for task in tasks[3:]:
        error = task.exception()
        assert isinstance(error, TenantLimited) and error.retry_after and error.limit >= 3
    assert caller.router.waiting("p") == 6
    with pytest.raises(Overloaded):  # each has half
        await caller.router.send(of("modest"))
    await gather(tasks[:3] + modest)
    assert caller.router.waiting("p") == 0


async def test_whoever_has_more_than_its_share_of_a_full_line_is_told_so(party: Party) -> None:
    caller = await full(party, RoutingOptions(queue_limit=6))
    tasks = [asyncio.create_task(caller.router.send(of(tenant))) for tenant in ("a", "a", "a", "a", "b", "c")]
    await waiting(caller, 6)
    with pytest.raises(TenantLimited) as caught:
        await caller.router.send(of("a"))
    assert caught.value.limit == 2
    await gather(tasks)


async def test_large_bodies_have_a_bound_together(party: Party) -> None:
    caller = await full(party, RoutingOptions(queue_bytes=1000))
    tasks = [asyncio.create_task(caller.router.send(replace(of("a"), size=400)))]
    await waiting(caller, 1)
    with pytest.raises(TenantLimited) as half:
        await caller.router.send(replace(of("a"), size=400))
    assert half.value.retry_after and not half.value.limit
    tasks.append(asyncio.create_task(caller.router.send(replace(of("b"), size=400))))
    await waiting(caller, 2)
    with pytest.raises(Overloaded):
        await caller.router.send(replace(of("c"), size=400))
    await gather(tasks)
    tasks = [asyncio.create_task(caller.router.send(replace(of("a"), size=400)))]
    await waiting(caller, 1)
    await gather(tasks)


async def test_who_waits_leaves_when_its_time_is_over(party: Party) -> None:
    caller = await full(party)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await caller.router.send(of("a", timeout=0.3))
    assert time.monotonic() - began < 0.5
    assert caller.router.waiting("p") == 0


async def test_who_waits_and_is_given_up_leaves_at_once(party: Party) -> None:
    caller = await full(party)
    task = asyncio.create_task(caller.router.send(of("a")))
    await waiting(caller, 1)
    task.cancel()
    await asyncio.wait([task])
    assert caller.router.waiting("p") == 0


async def test_who_waits_gets_the_slot_that_another_gives_up(party: Party) -> None:
    await party.worker("w1", hang, slots=1)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    held = await caller.router.send(of("a"))
    task = asyncio.create_task(caller.router.send(of("b")))
    await waiting(caller, 1)
    held.cancel()
    stream = await asyncio.wait_for(task, 2)
    stream.cancel()


async def test_a_slot_that_is_given_to_one_who_leaves_goes_to_the_next(party: Party) -> None:
    await party.worker("w1", hang, slots=1)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    held = await caller.router.send(of("a"))
    tasks = [asyncio.create_task(caller.router.send(of("b"))) for _ in range(2)]
    await waiting(caller, 2)
    held.cancel()
    tasks[0].cancel()  # woken, and gone before it looked
    stream = await asyncio.wait_for(tasks[1], 2)
    assert tasks[0].cancelled()
    stream.cancel()
    assert not any(caller.table.workers("p")[0].own.values())


async def test_a_line_is_served_by_a_worker_that_joins(party: Party) -> None:
    caller = await full(party)
    tasks = [asyncio.create_task(caller.router.send(of("b"))) for _ in range(3)]
    await waiting(caller, 3)
    await party.worker("w2", hang, slots=3)
    streams = await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert {stream.worker for stream in streams} == {"w2"}


async def test_who_waits_for_a_worker_that_leaves_waits_for_the_next(party: Party) -> None:
    """However long it waited before: from the moment nobody is there, it has the time that anybody has."""
    caller, worker = await full_worker(party, RoutingOptions(no_worker_timeout=0.5))
    tasks = [asyncio.create_task(caller.router.send(of("b"))) for _ in range(2)]
    await waiting(caller, 2)
    await asyncio.wait(tasks, timeout=0.6)  # longer than one waits without any worker
    await die(caller, worker, "w1")
    assert not any(task.done() for task in tasks)
    await party.worker("w2", hang, slots=2)
    streams = await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert {stream.worker for stream in streams} == {"w2"}


async def test_who_waits_while_no_worker_comes_is_told(party: Party) -> None:
    caller, worker = await full_worker(party, RoutingOptions(no_worker_timeout=0.2))
    tasks = [asyncio.create_task(caller.router.send(of("b"))) for _ in range(2)]
    await waiting(caller, 2)
    await die(caller, worker, "w1")
    async with asyncio.timeout(5):
        for task in tasks:
            with pytest.raises(NoWorker) as caught:
                await task
            assert caught.value.retry_after
    assert caller.router.waiting("p") == 0


async def test_nobody_is_sent_away_for_the_pace_of_workers_that_are_not_there(party: Party) -> None:
    caller = await party.caller(RoutingOptions(no_worker_timeout=5))
    for _ in range(10):
        caller.router._pace.note("p", "m", 30.0)
    tasks = [asyncio.create_task(caller.router.send(of("a", timeout=60))) for _ in range(5)]
    await waiting(caller, 5)
    await party.worker("w1", hang, slots=5)
    await asyncio.wait_for(asyncio.gather(*tasks), 5)


async def test_a_request_whose_worker_was_lost_does_not_stand_in_line_again(party: Party) -> None:
    worker, _ = await party.worker("w1", hang, slots=1)
    caller = await party.caller(RoutingOptions(queue_limit=2, tenant_limit=2))
    await party.until_seen(caller, 1)
    stream = await caller.router.send(of("a"))
    reading = asyncio.create_task(stream.read())
    tasks = [asyncio.create_task(caller.router.send(of("a"))) for _ in range(2)]
    await waiting(caller, 2)
    await die(caller, worker, "w1")
    await waiting(caller, 3)  # over the bound: it was let in before

    async def answer(inbound: Inbound, sender: StreamSender) -> None:
        sender.end(Summary(), b"ok")

    await party.worker("w2", answer, slots=1)
    assert await asyncio.wait_for(reading, 5) == b"ok"
    await gather(tasks)


async def test_those_who_wait_sleep(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """One free slot rouses one of them, and time alone rouses nobody."""
    looks = 0
    given_up = Place._given_up

    def counted(place: Place) -> CaravanError | None:
        nonlocal looks
        looks += 1
        return given_up(place)

    monkeypatch.setattr(Place, "_given_up", counted)
    await party.worker("w1", hang, slots=2)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    held = [await caller.router.send(of("a")) for _ in range(2)]
    tasks = [asyncio.create_task(caller.router.send(of(f"t{number % 50}"))) for number in range(500)]
    await waiting(caller, 500)
    assert looks == 500
    await asyncio.wait(tasks, timeout=1.5)  # six heartbeats of the worker, and more than a second
    assert looks == 500
    held[0].cancel()
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert looks <= 510
    await gather(tasks)
    assert caller.router.waiting("p") == 0
