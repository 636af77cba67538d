"""Servers of the embedded runtime, as ``caravan up`` starts them: the default."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from caravan.runtime import Infrastructure
from tests.infrastructure.ports import free_port
from tests.infrastructure.protocol import OpenNats, Servers


class Embedded:
    """Programs that came as packages, run as children of the tests."""

    def prepare(self) -> None:
        """They are in the environment already."""

    def servers(self, folder: Path) -> AbstractAsyncContextManager[Servers]:
        return Infrastructure(folder / "data")

    def open_nats(self, folder: Path, jetstream: bool = False) -> OpenNats:
        return EmbeddedNats(folder, jetstream)


class EmbeddedNats:
    def __init__(self, folder: Path, jetstream: bool) -> None:
        self.folder = folder
        self.more = ("-js", "-sd", str(folder / "jetstream")) if jetstream else ()
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        program = shutil.which("nats-server", path=f"{Path(sys.executable).parent}") or "nats-server"
        self.process = await asyncio.create_subprocess_exec(
            program, "-a", "127.0.0.1", "-p", str(self.port), "-l", str(self.folder / "nats.log"), *self.more
        )

    async def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None

    async def close(self) -> None:
        await self.kill()
