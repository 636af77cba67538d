"""The runs of this process: their leases are renewed, and whoever lost one stops."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from caravan_bus.tasks import cancel_and_wait
from caravan_contracts.errors import DependencyDown

from caravan_agents.runs.journal import LEASE_SECONDS, Claimed, Journal

log = logging.getLogger(__name__)

_EVERY: Final = LEASE_SECONDS / 3


@dataclass(slots=True)
class Held:
    """A run that is under way here."""

    run: Claimed
    task: asyncio.Task[None]
    why: str = ""
    """Why its task was cancelled: ``taken``, or ``cancelled`` when somebody wished its end."""

    ending: bool = False
    """Whether its end is being stored: that is not stopped any more."""

    def stop(self, why: str) -> None:
        """Stop it, once."""
        if not self.why and not self.ending:
            self.why = why
            self.task.cancel()


class Keeper:
    """One per process."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._held: dict[tuple[int, int], Held] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._held)

    async def start(self) -> None:
        """Renew from here on."""
        self._task = asyncio.create_task(self._renew(), name="run-keeper")

    async def close(self) -> None:
        """Stop that."""
        if self._task is not None:
            await cancel_and_wait(self._task)

    def hold(self, run: Claimed, task: asyncio.Task[None]) -> Held:
        """`run` is under way in `task`, until :meth:`drop`."""
        held = self._held[run.number, run.epoch] = Held(run, task)
        return held

    def drop(self, held: Held) -> None:
        """It is over here."""
        self._held.pop((held.run.number, held.run.epoch), None)

    def cancel(self, tenant: str, id: str) -> bool:
        """Somebody wishes its end; whether it is under way here."""
        for held in list(self._held.values()):
            if held.run.tenant == tenant and held.run.id == id:
                held.stop("cancelled")
                return True
        return False

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            if not self._held:
                continue
            asked = dict(self._held)
            try:
                found = await self._journal.renew(list(asked))
            except DependencyDown as error:
                log.info("runs are not renewed now: %s", error.message)
                continue
            except Exception:
                log.exception("runs could not be renewed")
                continue
            for key, held in asked.items():
                if key not in self._held:
                    continue
                if key not in found:
                    held.stop("taken")
                elif found[key]:
                    held.stop("cancelled")
