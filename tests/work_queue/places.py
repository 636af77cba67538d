"""Two places where a work queue may be: this process, and a NATS server of the test's own."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from caravan_bus.nats import NatsOptions, NatsTransport, connect
from caravan_bus.work.api import JetStream
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_bus.work.memory import MemoryServer
from caravan_bus.work.queue import Job, WorkQueue
from caravan_contracts.work import COMPLETIONS, REASON, Queue

from tests.infrastructure import choice

SPEC = replace(COMPLETIONS, ack_wait=0.6, max_deliver=3, max_bytes=4 * 1024**2, max_parts_bytes=16 * 1024**2)


class Place(ABC):
    """A server one may connect to, kill and start again."""

    spec: Queue = SPEC

    @abstractmethod
    async def connect(self) -> WorkQueue:
        """The queue as one more process sees it."""

    @abstractmethod
    async def kill(self) -> None: ...

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def dead(self) -> list[tuple[str, str]]:
        """``(job id, reason)`` of every dead job."""

    async def close(self) -> None:
        await self.kill()


class MemoryPlace(Place):
    def __init__(self) -> None:
        self.server = MemoryServer(self.spec)

    async def connect(self) -> WorkQueue:
        return self.server.connect()

    async def kill(self) -> None:
        self.server.stop()

    async def start(self) -> None:
        self.server.start()

    async def dead(self) -> list[tuple[str, str]]:
        return [(job.id, reason) for job, reason in self.server.dead]


class NatsPlace(Place):
    def __init__(self, folder: Path) -> None:
        self.server = choice.runtime().open_nats(folder, jetstream=True)
        self.transports: list[NatsTransport] = []

    async def connect(self) -> WorkQueue:
        made = JetStreamQueue(await self.api(), self.spec)
        await eventually(made.declare)
        return made

    async def api(self) -> JetStream:
        number = len(self.transports)
        transport = await connect(NatsOptions(self.server.url, "tester"), patience=10)
        self.transports.append(transport)
        api = JetStream(transport, "tester", f"t{number}")
        await api.start()
        return api

    async def kill(self) -> None:
        await self.server.kill()

    async def start(self) -> None:
        await self.server.start()

    async def dead(self) -> list[tuple[str, str]]:
        js = self.transports[0].client.jetstream()
        info = await js.stream_info(self.spec.dead_stream)
        found = []
        for seq in range(max(1, info.state.first_seq), info.state.last_seq + 1):
            message = await js.get_msg(self.spec.dead_stream, seq)
            assert message.headers is not None
            found.append((message.headers["Nats-Msg-Id"], message.headers[REASON]))
        return found

    async def close(self) -> None:
        for transport in self.transports:
            await transport.close()
        await self.server.close()


async def eventually(call: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `call` returns once it neither raises nor returns False."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            made = call()
            if asyncio.iscoroutine(made):
                made = await made
            if made is not False:
                return made
        except Exception:
            if asyncio.get_running_loop().time() > end:
                raise
        assert asyncio.get_running_loop().time() < end, "not true in time"
        await asyncio.sleep(0.02)


def job(name: str, data: bytes = b"") -> Job:
    return Job(name, data or name.encode(), {"Caravan-Request-Id": f"req_{name}"})
