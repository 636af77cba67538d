"""PostgreSQL through asyncpg: a pool that outlives its server, and failures that say whose they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson
from asyncpg import exceptions as pg
from caravan_contracts.errors import CaravanError, DependencyDown

from caravan_storage.backoff import pauses

log = logging.getLogger(__name__)

Connection = Any
"""An asyncpg connection (asyncpg is not typed)."""

_SERVER_TROUBLE = (
    OSError,
    TimeoutError,
    pg.PostgresConnectionError,  # class 08
    pg.TransactionRollbackError,  # class 40: it got into a deadlock with another, and may be tried again
    pg.InsufficientResourcesError,  # class 53: too many connections, disk full, out of memory
    pg.OperatorInterventionError,  # class 57: shutting down, starting up, cancelled
    pg.ReadOnlySQLTransactionError,  # a standby that has not been promoted
    pg.InvalidAuthorizationSpecificationError,  # class 28: wrong password
    pg.InvalidCatalogNameError,  # no such database
    pg.PostgresSystemError,  # class 58: I/O errors of the server
    pg.InternalClientError,  # asyncpg's own state after the server died under a statement
    pg.InterfaceError,  # the connection was closed meanwhile
)


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """How to connect; times in seconds."""

    url: str
    max_connections: int = 8
    acquire_timeout: float = 2.0
    """Longest wait for a connection, a new one included."""
    command_timeout: float = 5.0
    """Longest time for one statement."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the server, for every session, such as ``{"jit": "off"}``."""


class Postgres:
    """One pool. It needs no server to be made: each use connects if it must, and fails within its timeout."""

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options
        self._place = _place(options.url)
        self._pool: Any = None
        self._opening = asyncio.Lock()

    @property
    def settings(self) -> Mapping[str, str]:
        """What every session is set to."""
        return self._options.settings

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """A connection, for the time of the block. Raises DependencyDown when PostgreSQL cannot be reached."""
        with self._failures():
            pool = await self._open()
            async with pool.acquire(timeout=self._options.acquire_timeout) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction: committed at the end of the block, rolled back when it raises."""
        async with self.acquire() as connection, connection.transaction():
            yield connection

    async def wait_ready(self, patience: float = float("inf")) -> None:
        """Return once PostgreSQL answers, trying for `patience` seconds. Raises DependencyDown."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        for pause in pauses():
            try:
                async with self.acquire() as connection:
                    await connection.fetchval("SELECT 1")
                return
            except DependencyDown as error:
                if loop.time() + pause > until:
                    raise
                log.info("waiting for PostgreSQL: %s", error.message)
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close every connection, politely for two seconds."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(2.0):
                await pool.close()
        except (TimeoutError, *_SERVER_TROUBLE) as error:
            log.info("PostgreSQL did not say goodbye: %r", error)
            pool.terminate()

    async def _open(self) -> Any:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        self._options.url,
                        min_size=0,
                        max_size=self._options.max_connections,
                        timeout=self._options.acquire_timeout,
                        command_timeout=self._options.command_timeout,
                        max_inactive_connection_lifetime=60.0,
                        init=_prepare,
                        connection_class=_Plain,
                        server_settings={"application_name": "caravan", **self._options.settings},
                    )
        return self._pool

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except CaravanError:
            raise
        except _SERVER_TROUBLE as error:
            raise self._down(error) from error

    def _down(self, error: BaseException) -> DependencyDown:
        reason = str(error) or type(error).__name__
        return DependencyDown(
            f"PostgreSQL at {self._place} cannot be used now: {reason.splitlines()[0]}", retry_after=2
        )


class _Plain(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is given back as it is: nobody changes its session, and asking the server to make sure of that
    would cost each use a round trip."""

    __slots__ = ()

    def get_reset_query(self) -> str:
        """Nothing."""
        return ""


async def _prepare(connection: Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind,
            encoder=lambda value: orjson.dumps(value).decode(),
            decoder=orjson.loads,
            schema="pg_catalog",
        )


def _place(url: str) -> str:
    """Host, port and database of a URL, without its password. Raises CaravanError for what is no URL."""
    parts = urlsplit(url)
    try:
        if parts.scheme in ("postgresql", "postgres"):
            return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
    except ValueError:
        pass  # a port that is no number
    raise CaravanError("DATABASE_URL is no URL of a PostgreSQL: write postgresql://user:password@host:5432/name")
