"""One service of ours as a child: ``python -m caravan_<name>``, configured by its environment."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from caravan.runtime.process import ChildSpec


@dataclass(frozen=True, slots=True)
class Service:
    """A part beside the servers; several of the same module make a pool."""

    name: str
    """Unique, ``inference-2``."""
    module: str
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    port: int
    """Its ops port: /livez, /readyz, /metrics."""
    front: tuple[str, int] | None = None
    """Where else it must answer /readyz before it counts as ready: the gateway's own address."""
    drain_seconds: float = 30.0
    start_seconds: float = 90.0

    async def spec(self) -> ChildSpec:
        """SIGTERM drains it; if the launcher dies there is no bus left to drain on, so the kernel kills it."""
        return ChildSpec(
            name=self.name,
            command=(sys.executable, "-m", self.module),
            log=self.log,
            environment=self.environment,
            stop_seconds=self.drain_seconds + 10,
        )

    async def ping(self) -> None:
        """GET /readyz; raises OSError unless it answers 200."""
        await get_ok("127.0.0.1", self.port, "/readyz")
        if self.front:
            await get_ok(*self.front, "/readyz")


async def get_ok(host: str, port: int, path: str) -> None:
    """One HTTP GET; raises ConnectionError for any answer but 200."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        if b" 200 " not in line:
            raise ConnectionError(f"GET {path}: {line.decode(errors='replace').strip()}")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
