"""Keeps this replica's mirror at what PostgreSQL says, tells everybody the revision, and does without what is down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from caravan_contracts.errors import DependencyDown
from caravan_contracts.registry import ChangeFact

from caravan_registry.facts import Facts
from caravan_registry.mirror import Mirror
from caravan_registry.snapshots import Snapshots
from caravan_registry.store import Store

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.8
"""Longest look at PostgreSQL, so that the beat stays a beat while it hangs."""
PREPARE_SECONDS: Final = 120.0


class Follower:
    """One per process."""

    def __init__(
        self,
        store: Store,
        snapshots: Snapshots,
        prepare: Callable[[], Awaitable[None]],
        facts: Facts,
    ) -> None:
        """`prepare` makes the tables and seeds them; it is tried until it works."""
        self.mirror = Mirror()
        self._store = store
        self._snapshots = snapshots
        self._prepare = prepare
        self._facts = facts
        self._prepared = False
        self._down = ""
        self._looking = asyncio.Lock()
        self._wake = asyncio.Event()
        self.tried = asyncio.Event()
        """Set once the tables were made, or could not be: from then on every request has an answer."""

    @property
    def problem(self) -> str:
        """Why nothing can be changed now; "" when it can."""
        if self._down:
            return self._down
        return "" if self._prepared else "the registry is still preparing its tables"

    def check_writable(self) -> None:
        """Raise DependencyDown before the tables are ready. (Later each change finds out by itself.)"""
        if not self._prepared:
            raise DependencyDown(f"{self.problem}; try again shortly", retry_after=1)

    def changed(self, fact: ChangeFact) -> None:
        """This process committed a change: take it over and tell everybody."""
        if not self.mirror.apply(fact):
            self.wake()
        self._facts.changed(fact)
        self._snapshots.save(self.mirror)

    def wake(self) -> None:
        """Look at PostgreSQL now."""
        self._wake.set()

    async def look(self) -> None:
        """Bring the mirror up to date, unless PostgreSQL is down: then it is as good as can be."""
        if not self._prepared or self._down:
            return
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._catch_up()
        except (DependencyDown, TimeoutError) as error:
            self._note_down(error)

    async def run(self) -> None:
        """For ever: prepare, then a beat a second. Raises what waiting cannot mend (a migration that fails)."""
        try:
            while True:
                self._wake.clear()
                await self._tick()
                try:
                    async with asyncio.timeout(BEAT_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            self.tried.set()

    async def _tick(self) -> None:
        if not self._prepared:
            await self._try_to_prepare()
            self.tried.set()
        else:
            await self._look_again()
        if self.mirror.loaded:
            self._facts.beat(self.mirror.revision)

    async def _try_to_prepare(self) -> None:
        try:
            async with asyncio.timeout(PREPARE_SECONDS):
                await self._prepare()
                await self._catch_up()
        except (DependencyDown, TimeoutError) as error:
            self._note_down(error)
            if not self.mirror.loaded:
                await self._read_saved()
        else:
            self._prepared = True
            self._note_up()

    async def _look_again(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._catch_up()
        except (DependencyDown, TimeoutError) as error:
            self._note_down(error)
        else:
            self._note_up()

    async def _catch_up(self) -> None:
        async with self._looking:
            while await self._store.revision() != self.mirror.revision:
                known = self.mirror.revision
                revision, resources = await self._store.load()
                if self.mirror.revision == known:  # else a change of our own came in between: look again
                    self.mirror.replace(revision, resources)
                    self._snapshots.save(self.mirror)

    async def _read_saved(self) -> None:
        saved = await self._snapshots.read()
        if saved is not None and not self.mirror.loaded:
            self.mirror.replace(*saved)
            log.warning("serving revision %d from Redis until PostgreSQL answers", self.mirror.revision)

    def _note_down(self, error: BaseException) -> None:
        message = str(error) or "PostgreSQL does not answer"
        if not self._down:
            log.warning("changes are refused for now: %s", message)
        self._down = message

    def _note_up(self) -> None:
        if self._down:
            log.info("PostgreSQL is back")
        self._down = ""
