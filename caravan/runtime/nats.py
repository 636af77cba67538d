"""The embedded NATS server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from caravan_contracts.users import OPERATOR

from caravan.runtime import binaries, bus_users, keys
from caravan.runtime.nats_config import NatsOptions, render
from caravan.runtime.paths import DataDir, write_private
from caravan.runtime.process import ChildSpec, plain_environment
from caravan.runtime.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Nats:
    """One nats-server on loopback: NKEY users only, JetStream in the data folder."""

    data: DataDir
    secrets: Secrets
    port: int
    monitor_port: int
    name: str = "nats"
    start_seconds: float = 20.0

    @property
    def url(self) -> str:
        """For clients; they need a seed beside it."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor_url(self) -> str:
        """The server's own HTTP monitor."""
        return f"http://127.0.0.1:{self.monitor_port}"

    def write_config(self) -> None:
        """Render the configuration with the users of this moment."""
        options = NatsOptions(
            listen=f"127.0.0.1:{self.port}",
            monitor=f"127.0.0.1:{self.monitor_port}",
            store_dir=str(self.data.nats / "jetstream"),
        )
        write_private(
            self.data.nats_config, render(options, bus_users.everybody(self.data.bus, self.secrets.public_keys()))
        )

    async def spec(self) -> ChildSpec:
        """SIGTERM lets it close its JetStream files; also when the launcher dies."""
        self.write_config()
        return ChildSpec(
            name=self.name,
            command=(str(binaries.nats_server()), "-c", str(self.data.nats_config)),
            log=self.data.log(self.name),
            environment={**plain_environment(), **go_settings(os.environ, os.cpu_count() or 1)},
            death_signal=signal.SIGTERM,
        )

    async def ping(self) -> None:
        """A PING as the operator."""
        await ping(self.port, self.secrets.seeds[OPERATOR])


def go_settings(environment: Mapping[str, str], cores: int) -> dict[str, str]:
    """How the server's Go runtime is to run beside its clients on one machine, unless the user said it.

    Half of the cores: it never needs more, and each more makes its scheduler wake threads to no end (a third of its CPU
    on two cores). Four times as much garbage as by default before it is collected, for a quarter of its CPU and some
    15 MB; from half a GiB on it is collected early (docs/performance.md).
    """
    defaults = {"GOMAXPROCS": str(max(1, cores // 2)), "GOGC": "400", "GOMEMLIMIT": "512MiB"}
    return {name: environment.get(name) or value for name, value in defaults.items()}


async def ping(port: int, seed: str) -> None:
    """Log in with a seed and wait for PONG; raises PermissionError when the server refuses, OSError otherwise.

    By hand (docs.nats.io, client protocol), since importing a client takes longer than the server's start.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        line = await reader.readline()
        if not line.startswith(b"INFO "):
            raise ConnectionError(f"not a NATS server: {line[:40]!r}")
        nonce = json.loads(line[5:]).get("nonce", "")
        hello = {
            "verbose": False,
            "pedantic": False,
            "lang": "python",
            "version": "1",
            "protocol": 1,
            "nkey": keys.public_key(seed),
            "sig": keys.sign(seed, nonce),
        }
        writer.write(b"CONNECT " + json.dumps(hello).encode() + b"\r\nPING\r\n")
        while (line := await reader.readline()) != b"PONG\r\n":
            if line.startswith(b"-ERR"):
                raise PermissionError(line.decode(errors="replace").strip())
            if not line:
                raise ConnectionError("the server closed the connection")
    except ValueError as error:
        raise ConnectionError(f"not a NATS server: {error}") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
