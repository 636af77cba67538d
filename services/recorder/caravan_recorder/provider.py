"""A replay as a provider of the registry: there while it runs, with the models it has recordings of."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from caravan_bus.presence import PresenceTable
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.tasks import cancel_and_wait
from caravan_contracts.context import SYSTEM, RequestContext
from caravan_contracts.errors import CaravanError, Conflict
from caravan_contracts.presence import HEARTBEAT_SECONDS
from caravan_contracts.registry import (
    REPLAY_TYPE,
    Changed,
    DeleteResource,
    DiscoveredModel,
    ProviderSpec,
    PutResource,
    ReportAccepted,
    ReportModels,
    ResourceKind,
)

log = logging.getLogger(__name__)

REGISTRY: Final = "registry"
PATIENCE: Final = 15.0
"""Seconds to wait for a registry at the start."""
_PAUSE: Final = 1.0


class ReplayProvider:
    """One provider id. It is made if there is none; one that somebody else serves is left alone."""

    def __init__(
        self,
        id: str,
        worker: str,
        models: list[DiscoveredModel],
        view: RegistryView,
        requester: Requester,
        table: PresenceTable,
    ) -> None:
        self._id = id
        self._worker = worker
        self._models = models
        self._view = view
        self._requester = requester
        self._table = table
        self._ours = False
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join the registry. Raises Conflict when another worker serves that id, DependencyDown without a registry."""
        await self._view.need(PATIENCE)
        await self._check_free()
        await self._join()
        self._view.on_change.append(self._changed.set)
        self._task = asyncio.create_task(self._stay(), name="replay-provider")

    async def close(self) -> None:
        """Leave it: a provider of ours that nobody else serves is removed with its models."""
        await cancel_and_wait(self._task)
        if not self._ours or self._others():
            return
        request = DeleteResource(kind=ResourceKind.PROVIDER, id=self._id)
        try:
            await self._requester.ask(REGISTRY, "delete", request, Changed, _context())
        except CaravanError as error:
            log.warning("the provider %s stays in the registry: %s", self._id, error.message)

    async def _check_free(self) -> None:
        there = self._view.catalog.provider(self._id)
        if there is None or there.provider.provider_type == REPLAY_TYPE:
            return
        await asyncio.sleep(2 * HEARTBEAT_SECONDS)  # every worker has said by then what it serves
        if others := self._others():
            kind = there.provider.provider_type
            raise Conflict(
                f"the provider {self._id!r} is served by {', '.join(others)}: requests would go to either. "
                f"Take another id, or start those workers with CARAVAN_INFERENCE_EXCLUDE={kind}"
            )

    def _others(self) -> list[str]:
        workers = (entry.presence.worker for entry in self._table.workers(self._id))
        return sorted(worker for worker in workers if worker != self._worker)

    async def _join(self) -> None:
        there = self._view.catalog.provider(self._id)
        if there is None or there.provider.provider_type == REPLAY_TYPE:
            self._ours = True
            body = ProviderSpec(provider_type=REPLAY_TYPE).model_dump(mode="json")
            put = PutResource(kind=ResourceKind.PROVIDER, id=self._id, body=body)
            await self._requester.ask(REGISTRY, "put", put, Changed, _context())
        report = ReportModels(provider_id=self._id, worker=self._worker, status="ok", models=self._models)
        await self._requester.ask(REGISTRY, "report_models", report, ReportAccepted, _context())

    async def _stay(self) -> None:
        """Join again when the registry has forgotten us."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._view.catalog.provider(self._id) is not None:
                continue
            try:
                await self._join()
            except CaravanError as error:
                log.warning("the provider %s could not be registered again: %s", self._id, error.message)
                self._changed.set()
            await asyncio.sleep(_PAUSE)


def _context() -> RequestContext:
    return RequestContext("replay", SYSTEM)
