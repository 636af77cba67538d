"""The registry as every gateway and worker sees it: a snapshot, kept fresh by facts and a beat.

A fact that does not follow on what is known, or a beat that is ahead, means something was missed: the snapshot is
fetched again. Whatever happens, a reader is at most two seconds behind.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from caravan_contracts import subjects as s
from caravan_contracts.context import SYSTEM, RequestContext
from caravan_contracts.errors import CaravanError, DependencyDown, ModelNotFound
from caravan_contracts.registry import (
    ChangeFact,
    Resource,
    RevisionBeat,
    SnapshotPage,
    SnapshotRequest,
)
from pydantic import ValidationError

from caravan_bus import metrics
from caravan_bus.catalog import Catalog, ModelTarget
from caravan_bus.pauses import pauses
from caravan_bus.requests import Requester
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport

log = logging.getLogger(__name__)

_MAX_PAUSE = 2.0
_OTHERS = 4
"""How often a page is asked for again when the registry that was asked is at another revision."""
BACK_SECONDS = 5.0
"""For so long nobody has spoken of the revision known here before an older one is believed: PostgreSQL was restored.
One registry that is behind, beside others that are not, is passed over."""
SETTLING_SECONDS = 20.0
"""Within so long of its start a provider may still be found to have the model that somebody asks for."""


class RegistryView:
    """One per process. `on_change` callbacks run after each change of the catalog."""

    def __init__(self, transport: Transport, requester: Requester) -> None:
        self._transport = transport
        self._requester = requester
        self._subscriptions: list[Subscription] = []
        self._task: asyncio.Task[None] | None = None
        self._stale = asyncio.Event()
        self._loaded = asyncio.Event()
        self._changed = asyncio.Event()
        """Set, and replaced, at each change."""
        self.catalog = Catalog(())
        self.revision = -1
        self._confirmed = 0.0
        """When a registry last spoke of this revision, or of a newer one; on the loop's clock."""
        self._began = time.time()
        self.on_change: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Begin to follow; the first snapshot arrives when a registry answers (see :meth:`wait_loaded`)."""
        self._subscriptions = [
            await self._transport.subscribe(s.REGISTRY_CHANGED, self._on_fact),
            await self._transport.subscribe(s.REGISTRY_REVISION, self._on_beat),
        ]
        await self._transport.flush()
        self._stale.set()
        self._task = asyncio.create_task(self._keep_fresh(), name="registry-view")

    async def close(self) -> None:
        """Stop following."""
        await cancel_and_wait(self._task)
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    @property
    def loaded(self) -> bool:
        """Whether any snapshot arrived yet."""
        return self._loaded.is_set()

    async def wait_loaded(self, timeout: float) -> bool:
        """Wait for the first snapshot; False when `timeout` seconds were not enough."""
        try:
            async with asyncio.timeout(timeout):
                await self._loaded.wait()
        except TimeoutError:
            return False
        return True

    async def need(self, timeout: float) -> None:
        """Wait for the first snapshot: until then "no such model" would be a lie. Raises DependencyDown."""
        if not self._loaded.is_set() and not await self.wait_loaded(timeout):
            raise DependencyDown("the registry of models could not be read yet; try again shortly", retry_after=2)

    async def resolve(self, model: str, tenant: str, patience: float) -> ModelTarget:
        """See :meth:`Catalog.resolve`. While providers that have just started are not heard of yet, a model that is
        not there is waited for, at most `patience` seconds: whoever asks right after a start should not be told that
        there are no models. Raises ModelNotFound, DependencyDown."""
        await self.need(patience)
        try:
            return self.catalog.resolve(model, tenant)
        except ModelNotFound:
            if not self._settling(tenant):
                raise
        try:
            async with asyncio.timeout(patience):
                while True:
                    await self._changed.wait()
                    try:
                        return self.catalog.resolve(model, tenant)
                    except ModelNotFound:
                        if not self._settling(tenant):
                            raise
        except TimeoutError:
            return self.catalog.resolve(model, tenant)

    def _settling(self, tenant: str) -> bool:
        now = time.time()
        return any(
            provider.body.get("status", "unknown") == "unknown"
            and now - max(provider.created, self._began) < SETTLING_SECONDS
            for provider in self.catalog.providers(tenant)
        )

    def _on_fact(self, message: Message) -> None:
        try:
            fact = ChangeFact.model_validate_json(message.data)
        except ValidationError as error:
            log.warning("unreadable registry fact: %d errors", error.error_count())
            self._stale.set()
            return
        if fact.revision <= self.revision:
            return
        if fact.previous != self.revision:
            self._stale.set()
            return
        self.catalog.apply(fact.changed, fact.removed)
        self._moved_to(fact.revision)

    def _on_beat(self, message: Message) -> None:
        try:
            beat = RevisionBeat.model_validate_json(message.data)
        except ValidationError:
            log.warning("unreadable registry beat")
            return
        if beat.revision >= self.revision:
            self._confirmed = asyncio.get_running_loop().time()
        if beat.revision > self.revision or (beat.revision < self.revision and self._believes_older()):
            self._stale.set()

    def _believes_older(self) -> bool:
        return asyncio.get_running_loop().time() - self._confirmed > BACK_SECONDS

    def _moved_to(self, revision: int) -> None:
        self.revision = revision
        self._confirmed = asyncio.get_running_loop().time()
        metrics.REGISTRY_REVISION.set(revision)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for callback in self.on_change:
            callback()

    async def _keep_fresh(self) -> None:
        pause, told = 0.1, ""
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                revision, resources = await self._fetch()
            except CaravanError as error:
                if error.message != told:
                    log.info("the registry cannot be read yet: %s", error.message)
                    told = error.message
                self._stale.set()
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(_MAX_PAUSE, pause * 2)
                continue
            pause, told = 0.1, ""
            if revision > self.revision or (revision < self.revision and self._believes_older()):
                self.catalog = Catalog(resources)
                self._moved_to(revision)
            # one that is older was overtaken by a fact while it was fetched, or comes from a registry that is behind
            self._loaded.set()

    async def _fetch(self) -> tuple[int, list[Resource]]:
        for pause in pauses():
            resources: list[Resource] = []
            page = await self._ask(SnapshotRequest())
            resources += page.resources
            while page.next and not page.restart:
                page = await self._next(SnapshotRequest(after=page.next, revision=page.revision))
                resources += page.resources
            if not page.restart:
                return page.revision, resources
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def _next(self, request: SnapshotRequest) -> SnapshotPage:
        """The next page, from whichever registry is at the same revision."""
        page = await self._ask(request)
        for _ in range(_OTHERS):
            if not page.restart:
                break
            page = await self._ask(request)
        return page

    async def _ask(self, request: SnapshotRequest) -> SnapshotPage:
        context = RequestContext("registry-view", SYSTEM)
        return await self._requester.ask("registry", "snapshot", request, SnapshotPage, context, timeout=2.0)
