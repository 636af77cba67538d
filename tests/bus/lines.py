"""Two kinds of line to test everything on: the in-memory hub, and a real NATS server of the test's own."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
from abc import ABC, abstractmethod
from pathlib import Path

from caravan_bus.memory import MemoryHub
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.transport import Transport


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
        self.folder = folder
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        self.made: list[Transport] = []

    async def connect(self) -> Transport:
        transport = await connect(NatsOptions(f"nats://127.0.0.1:{self.port}", "tester"), patience=10)
        self.made.append(transport)
        return transport

    async def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()
            self.process = None

    async def start(self) -> None:
        program = shutil.which("nats-server", path=f"{Path(sys.executable).parent}") or "nats-server"
        self.process = await asyncio.create_subprocess_exec(
            program, "-a", "127.0.0.1", "-p", str(self.port), "-l", str(self.folder / "nats.log")
        )

    async def close(self) -> None:
        for transport in self.made:
            await transport.close()
        await self.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
