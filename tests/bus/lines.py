"""Two kinds of line to test everything on: the in-memory hub, and a real NATS server of the test's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from caravan_bus.memory import MemoryHub
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.transport import Transport

from tests.infrastructure import choice


class Line(ABC):
    """A server one may connect to, kill and start again."""

    @abstractmethod
    async def connect(self) -> Transport: ...

    @abstractmethod
    async def kill(self) -> None: ...

    @abstractmethod
    async def start(self) -> None: ...

    async def close(self) -> None:
        await self.kill()


class MemoryLine(Line):
    def __init__(self) -> None:
        self.hub = MemoryHub()

    async def connect(self) -> Transport:
        return self.hub.connect()

    async def kill(self) -> None:
        self.hub.stop()

    async def start(self) -> None:
        self.hub.start()


class NatsLine(Line):
    def __init__(self, folder: Path) -> None:
        self.server = choice.runtime().open_nats(folder)
        self.made: list[Transport] = []

    async def connect(self) -> Transport:
        transport = await connect(NatsOptions(self.server.url, "tester"), patience=10)
        self.made.append(transport)
        return transport

    async def kill(self) -> None:
        await self.server.kill()

    async def start(self) -> None:
        await self.server.start()

    async def close(self) -> None:
        for transport in self.made:
            await transport.close()
        await self.server.close()
