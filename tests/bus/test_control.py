"""The connection on which control services hear requests."""

from __future__ import annotations

import asyncio
import gc

import pytest
from caravan_bus.control import broker as brokers
from caravan_bus.control.messages import Counts
from caravan_bus.nats import NatsOptions


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_a_refusal_does_not_make_a_service_deaf_for_ever() -> None:
    """A reload of NATS took its user away, and the next one gave it back."""
    await _refused_in_between()
    gc.collect()  # nats-py leaves a refused connection to the collector: here, and not in somebody else's test


async def _refused_in_between() -> None:
    connections = 0
    back = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        this = connections
        writer.write(b'INFO {"server_id":"x","version":"2.11.0","max_payload":1048576,"headers":true}\r\n')
        while line := await reader.readline():
            if line.startswith(b"PING") and this != 2:
                writer.write(b"PONG\r\n")
            if (line.startswith(b"SUB") and this == 1) or (line.startswith(b"PING") and this == 2):
                writer.write(b"-ERR 'Authorization Violation'\r\n")
                break
            if line.startswith(b"SUB") and this == 3:
                back.set()
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    broker = brokers.make(NatsOptions(f"nats://127.0.0.1:{port}", "registry", name="r"), Counts())

    @broker.subscriber("caravan.v1.registry.snapshot")
    async def on_request(message: bytes) -> bytes:
        return message

    assert await asyncio.wait_for(brokers.start(broker), 30)
    await asyncio.wait_for(back.wait(), 30)
    async with asyncio.timeout(30):
        while not brokers.connected(broker):
            await asyncio.sleep(0.01)
    await brokers.stop(broker)
    server.close()
