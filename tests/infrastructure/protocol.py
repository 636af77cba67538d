"""What tests need of the servers under the mesh, wherever these run."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol


class Servers(Protocol):
    """NATS with the mesh's users, PostgreSQL and Valkey, all reached on 127.0.0.1.

    They are named "nats", "postgres" and "valkey". Each keeps its port and its data over kill and restart.
    """

    @property
    def nats_url(self) -> str: ...

    @property
    def database_url(self) -> str:
        """Holds the password of a user who may make databases."""
        ...

    @property
    def redis_url(self) -> str:
        """Holds the password."""
        ...

    def seed_file(self, user: str) -> Path:
        """The file with the NKEY seed of one of the mesh's own bus users."""
        ...

    async def kill(self, name: str) -> None:
        """SIGKILL; the server stays dead until :meth:`restart`."""
        ...

    async def restart(self, name: str) -> None:
        """Start a killed server, or stop and start a running one; returns when it answers."""
        ...


class OpenNats(Protocol):
    """One NATS server without users, for tests of what is below them. It may be started again after a kill."""

    @property
    def url(self) -> str: ...

    async def start(self) -> None:
        """Returns before the server answers."""
        ...

    async def kill(self) -> None:
        """SIGKILL; nothing happens when it does not run."""
        ...

    async def close(self) -> None:
        """Leave nothing of it behind."""
        ...


class Runtime(Protocol):
    """Where servers come from."""

    def prepare(self) -> None:
        """Called once, before the first test. Raises :class:`CannotRun` with the reason, for people."""
        ...

    def servers(self, folder: Path) -> AbstractAsyncContextManager[Servers]:
        """Three new servers that run inside the context, with what they keep in `folder`."""
        ...

    def open_nats(self, folder: Path, jetstream: bool = False) -> OpenNats:
        """A NATS server that is not started yet; `folder` takes its log, and what JetStream keeps."""
        ...


class CannotRun(Exception):
    """The tests cannot have the servers they were asked to run with; the message says what to do."""
