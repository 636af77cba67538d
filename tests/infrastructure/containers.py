"""The servers of docker-compose.yml in containers of their own, through testcontainers.

Docker must run on this machine: configuration is mounted from a folder here, and ports are published on loopback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Self
from urllib.parse import quote

import asyncpg
import redis.asyncio as redis
from caravan_contracts.users import OPERATOR

from caravan.runtime.nats import ping
from tests.infrastructure import compose, engine
from tests.infrastructure.container import Container
from tests.infrastructure.protocol import OpenNats, Servers


class Containers:
    """What is deployed, instead of what is embedded."""

    def prepare(self) -> None:
        engine.require({spec.image for spec in compose.specs(Path("/")).values()})

    def servers(self, folder: Path) -> AbstractAsyncContextManager[Servers]:
        return ContainerServers(folder)

    def open_nats(self, folder: Path, jetstream: bool = False) -> OpenNats:
        return ContainerNats(jetstream)


class ContainerServers:
    """NATS, PostgreSQL and Valkey with the users and passwords that compose would make."""

    def __init__(self, folder: Path) -> None:
        self._secrets = folder / "secrets"
        self._containers: dict[str, Container] = {}
        self._checks: dict[str, Callable[[], Awaitable[None]]] = {
            "nats": self._nats_answers,
            "postgres": self._postgres_answers,
            "valkey": self._valkey_answers,
        }
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await asyncio.to_thread(compose.make_secrets, self._secrets)
            for spec in compose.specs(self._secrets).values():
                container = self._containers[spec.name] = Container(spec)
                stack.push_async_callback(container.remove)
                await container.start()
            await asyncio.gather(*(self._containers[name].ready(check) for name, check in self._checks.items()))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def nats_url(self) -> str:
        return f"nats://127.0.0.1:{self._containers['nats'].port}"

    @property
    def database_url(self) -> str:
        password = quote(self._password("postgres"), safe="")
        return f"postgresql://caravan:{password}@127.0.0.1:{self._containers['postgres'].port}/caravan"

    @property
    def redis_url(self) -> str:
        return f"redis://:{quote(self._password('valkey'), safe='')}@127.0.0.1:{self._containers['valkey'].port}/0"

    def seed_file(self, user: str) -> Path:
        return self._secrets / "keyring" / f"{user}.nk"

    async def kill(self, name: str) -> None:
        await self._containers[name].kill()

    async def restart(self, name: str) -> None:
        await self._containers[name].restart()
        await self._containers[name].ready(self._checks[name])

    def _password(self, name: str) -> str:
        return (self._secrets / name / "password").read_text().strip()

    async def _nats_answers(self) -> None:
        await ping(self._containers["nats"].port, self.seed_file(OPERATOR).read_text().strip())

    async def _postgres_answers(self) -> None:
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute("SELECT 1")
        finally:
            await connection.close()

    async def _valkey_answers(self) -> None:
        async with redis.from_url(self.redis_url) as client:
            await client.ping()


class ContainerNats:
    """A NATS server without users."""

    def __init__(self, jetstream: bool) -> None:
        self._container = Container(compose.open_nats(jetstream))

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._container.port}"

    async def start(self) -> None:
        await self._container.start()

    async def kill(self) -> None:
        await self._container.kill()

    async def close(self) -> None:
        await self._container.remove()
