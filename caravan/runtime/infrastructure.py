"""NATS, PostgreSQL and Valkey in one data folder, for ``caravan up`` and for tests."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from caravan_contracts.permissions import SERVICES

from caravan.errors import ChildFailed, NoAccess
from caravan.runtime import bus_users, logs, secrets, stale, state
from caravan.runtime.nats import Nats
from caravan.runtime.paths import DataDir, write_private
from caravan.runtime.ports import Ports
from caravan.runtime.postgres import Postgres
from caravan.runtime.state import ChildState, Lock, State
from caravan.runtime.supervised import Part, Supervised, together
from caravan.runtime.valkey import Valkey

log = logging.getLogger("caravan.runtime")

NATS, POSTGRES, VALKEY = "nats", "postgres", "valkey"
STOP_ORDER = (VALKEY, POSTGRES, NATS)
_CARE_SECONDS = 5.0
_PORT_TRIES = 3
_IN_USE = ("address already in use", "address in use", "could not bind")


class Infrastructure:
    """An async context manager: inside it the three servers run and are restarted when they crash.

    Make it on the main thread (children die with the thread that started them), on the event loop that ends it.
    Entering raises :class:`StartError`; then nothing is left running.
    """

    def __init__(
        self,
        data_dir: Path | str | None = None,
        *,
        listener: Callable[[Supervised], None] | None = None,
        alone: bool = True,
    ) -> None:
        """`alone`: nothing is started beside the servers, so the state file says "ready" when they are."""
        self.data = DataDir.at(data_dir)
        self.ports = Ports()
        self.servers: dict[str, Supervised] = {}
        self.children: dict[str, Supervised] = {}
        """Servers and whatever :meth:`supervise` added, in the order of their start."""
        self.phase = "starting"
        self.error = ""
        self.extra_urls: dict[str, str] = {}
        self._listener = listener
        self._alone = alone
        self._lock = Lock(self.data)
        self._started_at = time.time()
        self._care: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.data.make()
        self._lock.take()
        try:
            await self._begin()
        except BaseException as error:
            await self._end(str(error) or type(error).__name__)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    # --- what tests and services need ---------------------------------------------------------------

    @property
    def nats_url(self) -> str:
        """Of clients; connect with a seed from :meth:`seed_file` and the inbox prefix ``_INBOX.<user>``."""
        return self._nats.url

    @property
    def nats_monitor_url(self) -> str:
        """The NATS server's HTTP monitor."""
        return self._nats.monitor_url

    @property
    def database_url(self) -> str:
        """Holds the password."""
        return self._postgres.url

    @property
    def redis_url(self) -> str:
        """Holds the password."""
        return self._valkey.url

    @property
    def database_url_file(self) -> Path:
        """0600 file with :attr:`database_url`."""
        return self.data.run / "database.url"

    @property
    def redis_url_file(self) -> Path:
        """0600 file with :attr:`redis_url`."""
        return self.data.run / "redis.url"

    @property
    def agents_secret_file(self) -> Path:
        """0600 file with what the agents service encrypts with."""
        return self.data.run / "agents.secret"

    def seed_file(self, user: str) -> Path:
        """0600 file with the NKEY seed of a bus user, ours or foreign."""
        return bus_users.seed_file(self.data, user)

    async def add_bus_user(self, name: str, tenant: str = bus_users.DEFAULT_TENANT) -> Path:
        """Make a foreign bus user on the live server; its seed file."""
        from caravan.runtime import reload

        bus_users.add(self.data.bus, name, tenant)
        await reload.users(self.data)
        return self.seed_file(name)

    def pid(self, name: str) -> int | None:
        """Process id of a child; None while it does not run."""
        return self.children[name].pid

    async def kill(self, name: str) -> None:
        """SIGKILL a child and leave it dead until :meth:`restart`. (Kill its :meth:`pid` to see it come back.)"""
        await self.children[name].hold()

    async def restart(self, name: str) -> None:
        """Start a killed child again, or stop and start a running one, on the same port; returns when ready."""
        await self.children[name].stop()
        await self.children[name].start()

    def supervise(self, part: Part) -> Supervised:
        """Put another child beside the servers. It is not started; the caller stops it before the servers end."""
        self.children[part.name] = Supervised(part, self._changed)
        return self.children[part.name]

    # --- life ---------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        if before := state.read(self.data):
            await stale.clear(before)
        self._secrets = secrets.load(self.data, SERVICES)
        bus_users.write_service_seeds(self.data, self._secrets)
        bus_users.make_local(self.data.bus)
        self.ports = Ports(before.ports if before else None)
        self._started_at = time.time()
        self._care = asyncio.create_task(self._take_care(), name="logs")
        makers: dict[str, Callable[..., Part]] = {
            NATS: self._make_nats,
            POSTGRES: self._make_postgres,
            VALKEY: self._make_valkey,
        }
        for name, make in makers.items():
            self.children[name] = self.servers[name] = Supervised(make(), self._changed)
        await together(self._start_server(name, make) for name, make in makers.items())
        write_private(self.database_url_file, self.database_url + "\n")
        write_private(self.redis_url_file, self.redis_url + "\n")
        write_private(self.agents_secret_file, self._secrets.agents_secret + "\n")
        self.record("ready" if self._alone else "starting")

    async def _start_server(self, name: str, make: Callable[..., Part]) -> None:
        for attempt in range(_PORT_TRIES):
            try:
                await self.servers[name].start()
                return
            except ChildFailed as error:
                if self.data.nearly_full():
                    raise NoAccess.full(self.data.root) from error
                # Somebody took the port between our look and the server's bind.
                if attempt == _PORT_TRIES - 1 or not any(text in error.tail.lower() for text in _IN_USE):
                    raise
            self.children[name] = self.servers[name] = Supervised(make(fresh=True), self._changed)

    def _make_nats(self, fresh: bool = False) -> Nats:
        take = self.ports.take
        self._nats = Nats(self.data, self._secrets, take(NATS, fresh=fresh), take("nats-monitor", fresh=fresh))
        return self._nats

    def _make_postgres(self, fresh: bool = False) -> Postgres:
        self._postgres = Postgres(self.data, self._secrets, self.ports.take(POSTGRES, fresh=fresh))
        return self._postgres

    def _make_valkey(self, fresh: bool = False) -> Valkey:
        self._valkey = Valkey(self.data, self._secrets, self.ports.take(VALKEY, fresh=fresh))
        return self._valkey

    async def _end(self, error: str = "") -> None:
        self._try_record("stopping", error)
        try:
            for name in STOP_ORDER:
                if name in self.servers:
                    await self.servers[name].stop()
        finally:
            if self._care:
                self._care.cancel()
                await asyncio.gather(self._care, return_exceptions=True)
            self._try_record("failed" if error else "stopped", error)
            self.ports.close()
            self._lock.give_back()

    async def _take_care(self) -> None:
        while True:
            await asyncio.sleep(_CARE_SECONDS)
            for log in self.data.logs.glob("*.log"):
                logs.trim(log)

    # --- the state file -----------------------------------------------------------------------------

    def record(self, phase: str | None = None, error: str = "") -> None:
        """Write the state file, with another phase if one is given."""
        self.phase = phase or self.phase
        self.error = error or self.error
        State(
            pid=os.getpid(),
            phase=self.phase,
            started_at=self._started_at,
            ports=self.ports.given,
            urls=self._public_urls() | self.extra_urls,
            children=tuple(self._child_states()),
            error=self.error,
        ).write(self.data)

    def _public_urls(self) -> dict[str, str]:
        given = self.ports.given
        if not {NATS, POSTGRES, VALKEY} <= given.keys():
            return {}
        return {
            "nats": self.nats_url,
            "nats_monitor": self.nats_monitor_url,
            "postgres": f"postgresql://caravan@127.0.0.1:{given[POSTGRES]}/caravan",
            "redis": f"redis://127.0.0.1:{given[VALKEY]}/0",
        }

    def _child_states(self) -> Sequence[ChildState]:
        return [
            ChildState(
                name=child.name,
                pid=child.pid,
                phase=child.phase,
                restarts=child.restarts,
                since=child.since,
                born=state.birth(child.pid) if child.pid else "",
                port=getattr(child.part, "port", None),
            )
            for child in self.children.values()
        ]

    def _changed(self, child: Supervised) -> None:
        if self._listener:
            self._listener(child)
        self._try_record()

    def _try_record(self, phase: str | None = None, error: str = "") -> None:
        """A full disk must keep nobody from stopping or restarting a child."""
        try:
            self.record(phase, error)
        except NoAccess as problem:
            log.warning("The state file is out of date. %s", problem)
