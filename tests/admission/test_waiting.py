from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from caravan_bus.admission.waiting import TenantOverloaded
from caravan_bus.router import Outbound, RoutingOptions
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts.context import Principal
from caravan_contracts.errors import DeadlineExceeded, Overloaded
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
    await party.worker("w1", hang, slots=1)
    caller = await party.caller(options)
    await party.until_seen(caller, 1)
    await caller.router.send(of("holder"))
    return caller


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


async def test_a_tenant_has_a_bound_of_its_own(party: Party) -> None:
    caller = await full(party, RoutingOptions(tenant_limit=2, queue_limit=3))
    tasks = [asyncio.create_task(caller.router.send(of("a"))) for _ in range(2)]
    await waiting(caller, 2)
    with pytest.raises(TenantOverloaded) as caught:
        await caller.router.send(of("a"))
    assert caught.value.limit == 2 and caught.value.retry_after
    tasks.append(asyncio.create_task(caller.router.send(of("b"))))
    await waiting(caller, 3)
    with pytest.raises(Overloaded) as overall:
        await caller.router.send(of("c"))
    assert not isinstance(overall.value, TenantOverloaded) and overall.value.retry_after
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert caller.router.waiting("p") == 0


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
