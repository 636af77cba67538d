"""The providers this worker runs: started and stopped as the registry says, asked for their models now and then."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from dataclasses import dataclass, field
from typing import Final, Literal

from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.settings import read_secret_file
from caravan_bus.slots import Slots
from caravan_bus.tasks import cancel_and_wait
from caravan_contracts import references
from caravan_contracts.context import SYSTEM, RequestContext
from caravan_contracts.errors import CaravanError, InvalidRequest
from caravan_contracts.registry import DiscoveredModel, ModelType, ProviderSpec, ReportAccepted, ReportModels
from pydantic import ValidationError

from caravan_inference.providers.base import Provider, ProviderOptions
from caravan_inference.providers.discover import classes, create
from caravan_inference.settings import Settings

log = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_MAX_REPORT: Final = 768 * 1024
"""Bytes of the models in a report, well below a bus message of 1 MiB."""


@dataclass(slots=True)
class _Running:
    """One provider of the registry, as far as it has come here."""

    spec: ProviderSpec
    tenant: str
    task: asyncio.Task[None] | None = None
    provider: Provider | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after the first try, whether it worked or not."""
    problem: str = ""


class ProviderPool:
    """Follows the registry's providers."""

    def __init__(self, settings: Settings, worker: str, view: RegistryView, requester: Requester, slots: Slots) -> None:
        self._settings = settings
        self._worker = worker
        self._view = view
        self._requester = requester
        self._slots = slots
        self._running: dict[str, _Running] = {}
        self._changed = asyncio.Event()
        self._applying = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow; providers start in the background."""
        self._view.on_change.append(self._changed.set)
        self._changed.set()
        self._task = asyncio.create_task(self._follow(), name="providers")

    async def close(self) -> None:
        """Stop every provider."""
        await cancel_and_wait(self._task)
        await asyncio.gather(*(self._stop(name) for name in list(self._running)))

    def running(self, provider_id: str) -> Provider | None:
        """The provider, if it is started here."""
        found = self._running.get(provider_id)
        return found.provider if found is not None else None

    def model_type(self, provider_id: str, resource_id: str, tenant: str) -> ModelType | None:
        """What a provider's model is for, as the registry says."""
        return self._view.catalog.type_of(provider_id, resource_id, tenant)

    def not_ready(self) -> str:
        """Providers whose first start is not over, as text; "" when there are none."""
        if not self._view.loaded:
            return "waiting for the registry"
        late = [name for name, running in self._running.items() if not running.started.is_set()]
        behind = self._applying or self._changed.is_set()
        return f"starting {', '.join(sorted(late))}" if late or behind else ""

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()  # first: what changes while this one is applied must not be forgotten
            self._applying = True
            try:
                await self._apply()
            except Exception as error:
                log.exception("the providers could not be brought up to date: %r", error)
            self._applying = False

    async def _apply(self) -> None:
        wanted: dict[str, _Running] = {}
        for resource in self._view.catalog.all_providers():
            try:
                spec = resource.provider
            except ValidationError as error:
                log.warning("provider %s cannot be read by this version: %s", resource.id, error)
                continue
            if self._settings.serves(resource.id, spec.provider_type):
                wanted[resource.id] = _Running(spec, resource.tenant)
        for name in list(self._running):
            still = wanted.get(name)
            if still is None or _differs(still, self._running[name]):
                await self._stop(name)
        for name, running in wanted.items():
            if name not in self._running:
                self._running[name] = running
                running.task = asyncio.create_task(self._run(name, running), name=f"provider-{name}")

    async def _stop(self, name: str) -> None:
        running = self._running.pop(name)
        self._slots.withdraw(name)
        try:
            await cancel_and_wait(running.task, timeout=30.0)
            if running.provider is not None:
                await running.provider.close()
        except Exception as error:  # a provider of somebody else's may do anything; the others go on
            log.exception("provider %s did not end as it should: %r", name, error)

    async def _run(self, name: str, running: _Running) -> None:
        """Start one provider and keep its models fresh, trying again for ever."""
        pause = _FIRST_PAUSE
        while True:
            try:
                models = await self._models(name, running)
            except CaravanError as error:
                if running.problem != error.message:
                    log.warning("provider %s: %s", name, error.message)
                running.problem = error.message
                await self._report(name, "error", error.message, [])
                running.started.set()
                await asyncio.sleep(pause * random.uniform(0.75, 1.0))
                pause = min(_LONGEST_PAUSE, pause * 2)
                continue
            if running.problem:
                log.info("provider %s is back", name)
            running.problem, pause = "", _FIRST_PAUSE
            reported = await self._report(name, "ok", "", models)
            running.started.set()
            await asyncio.sleep(self._settings.refresh_seconds * random.uniform(0.9, 1.1) if reported else 1.0)

    async def _models(self, name: str, running: _Running) -> list[DiscoveredModel]:
        """Start it unless it runs, and ask what it has. Raises CaravanError and nothing else: a defect in one provider
        must not keep its worker from serving the others."""
        try:
            if running.provider is None:
                running.provider = await self._started(name, running)
            return await running.provider.models()
        except CaravanError:
            raise
        except Exception as error:
            log.exception("provider %s failed in a way it should not", name)
            raise CaravanError(
                f"provider {name!r} failed: {type(error).__name__}; the log of its worker has more"
            ) from error

    async def _started(self, name: str, running: _Running) -> Provider:
        spec = running.spec
        try:
            config = references.resolve(spec.config, os.environ, read_secret_file)
        except ValueError as error:
            raise InvalidRequest(f"provider {name!r}: {error}") from error
        slots = spec.slots or self._settings.slots
        await asyncio.to_thread(classes)  # imports: they would keep heartbeats waiting
        provider = create(ProviderOptions(name, spec.provider_type, slots, config, running.tenant))
        try:
            await provider.start()
        except BaseException:
            await provider.close()
            raise
        self._slots.offer(name, provider.options.slots)
        log.info("provider %s of type %s is served here", name, spec.provider_type)
        return provider

    async def _report(
        self, name: str, status: Literal["ok", "error"], message: str, models: list[DiscoveredModel]
    ) -> bool:
        report = ReportModels(
            provider_id=name,
            worker=self._worker,
            status=status,
            message=message[:500],
            models=_that_fit(name, models),
        )
        context = RequestContext("report-models", SYSTEM)
        try:
            await self._requester.ask("registry", "report_models", report, ReportAccepted, context)
        except CaravanError as error:
            log.warning("the registry did not take the models of %s: %s", name, error.message)
            return False
        return True


def _that_fit(name: str, models: list[DiscoveredModel]) -> list[DiscoveredModel]:
    """As many of them, in their order, as one message takes."""
    left = _MAX_REPORT
    for count, model in enumerate(models):
        left -= len(model.model_dump_json()) + 1
        if left < 0:
            log.warning(
                "provider %s lists %d models, too many: %d are taken; name those you want in allowed_models",
                name,
                len(models),
                count,
            )
            return models[:count]
    return models


def _differs(new: _Running, old: _Running) -> bool:
    """Whether a provider must be started anew: its status alone is no reason."""
    return (new.tenant, new.spec.provider_type, new.spec.config, new.spec.slots) != (
        old.tenant,
        old.spec.provider_type,
        old.spec.config,
        old.spec.slots,
    )
