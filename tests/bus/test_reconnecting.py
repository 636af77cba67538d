"""Reconnecting ends when it is told to: also before Python 3.12, whose `asyncio.wait_for` loses a cancellation that
comes together with the result. nats-py connects with it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from caravan_bus.control import broker as brokers
from caravan_bus.control.messages import Counts
from caravan_bus.nats import NatsOptions, NatsTransport, connect
from caravan_contracts.errors import DependencyDown
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from tests.bus.lines import NatsLine


async def in_a_try(server: NatsLine, client: Client, result: Callable[[], Any]) -> asyncio.Task[None]:
    """The task that reconnects, in a try whose `result` is there when it is cancelled."""
    trying = asyncio.Event()

    async def tries(_: Any) -> None:
        trying.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            client.__dict__.pop("_connect_to_server")
            await result()

    client._connect_to_server = tries  # type: ignore[method-assign]
    await server.kill()
    async with asyncio.timeout(30):
        await trying.wait()
    assert client._reconnection_task is not None
    return client._reconnection_task


async def refused() -> None:
    raise ConnectionRefusedError("at the very moment")


async def transport(server: NatsLine) -> NatsTransport:
    made = await server.connect()
    assert isinstance(made, NatsTransport)
    return made


async def test_a_try_that_fails_as_the_line_is_closed_is_the_last(server: NatsLine) -> None:
    line = await transport(server)
    task = await in_a_try(server, line.client, refused)
    await line.close()
    assert task.done() and line.client.is_closed


async def test_a_try_that_succeeds_as_the_line_is_closed_leaves_no_connection(server: NatsLine) -> None:
    line = await transport(server)
    client = line.client

    async def connected() -> None:
        await server.start()
        async with asyncio.timeout(30):
            while True:
                try:
                    return await Client._connect_to_server(client, client._current_server)  # type: ignore[arg-type]
                except OSError:
                    await asyncio.sleep(0.01)

    task = await in_a_try(server, client, connected)
    await line.close()
    assert task.done() and client.is_closed
    await server.kill()  # whoever is still connected would try again
    gc.collect()
    mine = asyncio.current_task()
    assert [task for task in asyncio.all_tasks() if task is not mine and "nats" in repr(task)] == []


async def test_one_cancellation_is_enough(server: NatsLine) -> None:
    """As when an event loop ends, which asks each task once."""
    line = await transport(server)
    task = await in_a_try(server, line.client, refused)
    task.cancel()
    assert await asyncio.wait((task,), timeout=30) == ({task}, set())


async def test_patience_ends(server: NatsLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it does just as a try of the first connection fails."""

    async def fails_when_cancelled(*_: object, **__: object) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionRefusedError("at the very moment") from None

    monkeypatch.setattr(TcpTransport, "connect", fails_when_cancelled)
    connecting = asyncio.create_task(connect(NatsOptions(server.server.url, "tester"), patience=0.05))
    assert await asyncio.wait((connecting,), timeout=30) == ({connecting}, set())
    assert isinstance(connecting.exception(), DependencyDown)


async def test_who_was_cancelled_may_connect_to_clean_up(server: NatsLine) -> None:
    begun = asyncio.Event()

    async def work() -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            line = await transport(server)
            await line.close()
        return line.client.is_closed

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    assert await task


async def test_so_do_brokers(server: NatsLine) -> None:
    broker = brokers.make(NatsOptions(server.server.url, "tester"), Counts())
    await brokers.start(broker)
    assert broker._connection is not None
    task = await in_a_try(server, broker._connection, refused)
    await brokers.stop(broker)
    assert task.done()
