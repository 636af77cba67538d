"""The embedded Valkey (Redis protocol)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass

from caravan.runtime import binaries
from caravan.runtime.paths import DataDir, write_private
from caravan.runtime.process import ChildSpec
from caravan.runtime.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Valkey:
    """One valkey-server on loopback with a password and an append-only file."""

    data: DataDir
    secrets: Secrets
    port: int
    name: str = "valkey"
    start_seconds: float = 20.0

    @property
    def url(self) -> str:
        """Holds the password."""
        return f"redis://:{self.secrets.valkey_password}@127.0.0.1:{self.port}/0"

    async def spec(self) -> ChildSpec:
        """The password stands in the 0600 configuration, not on the command line."""
        config = self.data.valkey / "valkey.conf"
        write_private(config, self._config())
        return ChildSpec(
            name=self.name,
            command=(str(binaries.valkey_server()), str(config)),
            log=self.data.log(self.name),
            death_signal=signal.SIGTERM,
        )

    async def ping(self) -> None:
        """AUTH and PING; raises OSError until both succeed (it answers -LOADING while it reads its file)."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"AUTH {self.secrets.valkey_password}\r\nPING\r\n".encode())
            answers = await reader.readline(), await reader.readline()
            if answers != (b"+OK\r\n", b"+PONG\r\n"):
                raise ConnectionError(f"not ready: {answers!r}")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _config(self) -> str:
        folder = str(self.data.valkey).replace("\\", "\\\\").replace('"', '\\"')
        # volatile-lru: what has no TTL stays, caches go first when memory is short.
        return f"""# Written by caravan; changes are lost at the next start.
bind 127.0.0.1
port {self.port}
requirepass {self.secrets.valkey_password}
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
maxmemory 512mb
maxmemory-policy volatile-lru
daemonize no
"""
