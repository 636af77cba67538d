"""The shields of the registry, made when they are first asked, so many passages at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from caravan_bus import metrics
from caravan_bus.registry_view import RegistryView
from caravan_contracts.errors import CaravanError
from caravan_contracts.registry import Resource
from caravan_contracts.safety import MOST_WORDS, ShieldRow, ShieldSpec, Verdict
from pydantic import ValidationError

from caravan_safety.errors import ShieldBusy, no_shield
from caravan_safety.shields import kinds
from caravan_safety.shields.base import Opinion, Passage, Shield, checked
from caravan_safety.shields.parts import Parts

log = logging.getLogger(__name__)

_WAITING: Final = 8
"""Passages that may wait for a shield, for each that it looks at."""
_MOST: Final = 1_024
"""Shields that are kept ready."""
_PATIENCE: Final = 5.0
OTHER: Final = "other"
"""Label of metrics for shields of tenants: names that anybody may choose are no labels."""


@dataclass(slots=True)
class Opened:
    """A shield in use."""

    revision: int
    shield: Shield
    kind: str
    """Its provider type."""
    turn: asyncio.Semaphore
    label: str
    busy: int = 0


class Shields:
    """One per process. A shield is made again when the registry has another of its name."""

    def __init__(self, view: RegistryView, parts: Callable[[str], Parts], at_once: int) -> None:
        """`parts`: those of a tenant's shields."""
        self._view = view
        self._parts = parts
        self._at_once = at_once
        self._making = asyncio.Lock()
        self._opened: OrderedDict[tuple[str, str], Opened] = OrderedDict()

    async def need(self) -> None:
        """Wait until the registry is known. Raises DependencyDown."""
        await self._view.need(_PATIENCE)

    async def get(self, id: str, tenant: str) -> Opened:
        """A shield that the tenant may use. Raises NotFound, InvalidRequest and PackageMissing."""
        found = self._view.catalog.shield(id, tenant)
        if found is None:
            raise no_shield(id, [each.id for each in self._view.catalog.shields(tenant)])
        return await self._open(found)

    def named(self, id: str, tenant: str) -> str | None:
        """`id`, if there is such a shield that the tenant may use."""
        return id if self._view.catalog.shield(id, tenant) is not None else None

    def rows(self, tenant: str, id: str | None = None) -> list[ShieldRow]:
        """All that the tenant may use, or that one. Raises NotFound."""
        found = self._view.catalog.shields(tenant)
        shown = [each for each in found if id in (None, each.id)]
        if id is not None and not shown:
            raise no_shield(id, [each.id for each in found])
        return [_row(each) for each in shown]

    def of_kinds(self, kinds: Collection[str], tenant: str) -> list[str]:
        """Ids of those that the tenant may use and whose provider type is among `kinds`."""
        found = self._view.catalog.shields(tenant)
        return [each.id for each in found if each.body.get("provider_type") in kinds]

    async def verdict(self, id: str, passage: Passage, seconds: float) -> Verdict:
        """What the shield says within `seconds`; an error is said in the verdict. Raises nothing."""
        began = time.monotonic()
        label = OTHER
        try:
            async with asyncio.timeout(seconds):  # making it may take its time, too
                opened = await self.get(id, passage.principal.tenant)
                label = opened.label
                opinion = checked(await self._look(opened, passage))
        except TimeoutError:
            made = Verdict(shield=id, error=f"no verdict within {seconds:g} s")
        except CaravanError as error:
            made = Verdict(shield=id, error=error.message[:MOST_WORDS])
        except Exception as error:
            log.exception("the shield %s failed", id, exc_info=error)
            made = Verdict(shield=id, error="the shield failed; the log of the safety service says why")
        else:
            made = Verdict(
                shield=id,
                flagged=opinion.flagged,
                categories=dict(opinion.categories),
                findings=list(opinion.findings),
                settled=None if passage.final else opinion.settled,
                message=opinion.message,
            )
        made.seconds = time.monotonic() - began
        outcome = "error" if made.error else "flagged" if made.flagged else "passed"
        metrics.SHIELD_SECONDS.labels(label).observe(made.seconds)
        metrics.SHIELD_VERDICTS.labels(label, outcome).inc()
        return made

    async def opinion(self, id: str, passage: Passage) -> Opinion:
        """The same for another shield, which has a time limit of its own. Raises what keeps it from an opinion."""
        return checked(await self._look(await self.get(id, passage.principal.tenant), passage))

    async def _look(self, opened: Opened, passage: Passage) -> Opinion:
        if opened.busy >= self._at_once * (1 + _WAITING):
            raise ShieldBusy("the shield has enough to do; try again shortly", retry_after=1)
        opened.busy += 1
        metrics.SHIELD_BUSY.labels(opened.label).inc()
        try:
            async with opened.turn:
                return await opened.shield.look(passage)
        finally:
            opened.busy -= 1
            metrics.SHIELD_BUSY.labels(opened.label).dec()

    async def _open(self, resource: Resource) -> Opened:
        opened = self._ready(resource)
        if opened is None:
            async with self._making:
                opened = self._ready(resource)
                if opened is None:
                    # thousands of words take a second
                    opened = await asyncio.to_thread(self._made, resource)
                    self._opened[resource.tenant, resource.id] = opened
        self._opened.move_to_end((resource.tenant, resource.id))
        while len(self._opened) > _MOST:
            self._opened.popitem(last=False)
        return opened

    def _ready(self, resource: Resource) -> Opened | None:
        opened = self._opened.get((resource.tenant, resource.id))
        return opened if opened is not None and opened.revision == resource.revision else None

    def _made(self, resource: Resource) -> Opened:
        try:
            spec = ShieldSpec.model_validate(resource.body)
        except ValidationError as error:
            raise CaravanError(f"the shield {resource.id!r} cannot be read by this version: {error}") from error
        shield = kinds.make(spec, self._parts(resource.tenant))
        label = resource.id if resource.tenant == "default" else OTHER
        return Opened(resource.revision, shield, spec.provider_type, asyncio.Semaphore(self._at_once), label)


def _row(resource: Resource) -> ShieldRow:
    kind = str(resource.body.get("provider_type", ""))
    return ShieldRow(
        identifier=resource.id,
        provider_id=kind.rpartition("::")[2],
        provider_type=kind,
        provider_shield_id=str(resource.body.get("provider_shield_id") or resource.id),
    )
