"""Keeps the leases of the files that this process reads, all with one statement."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from caravan_contracts.errors import DependencyDown

from caravan_vector.ingest.claims import LEASE_SECONDS, Claim, Claims

log = logging.getLogger(__name__)

_BEATS: Final = 3
"""Within one lease."""


class Keeper:
    """One per process."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._held: dict[int, tuple[Claim, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, claim: Claim, task: asyncio.Task[None]) -> None:
        """Keep it; `task`, which reads it, is cancelled when it turns out not to be ours any more."""
        self._held[claim.number] = claim, task

    def drop(self, claim: Claim) -> None:
        """Keep it no more."""
        held = self._held.get(claim.number)
        if held is not None and held[0] is claim:
            del self._held[claim.number]

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / _BEATS)
            held = dict(self._held)
            if not held:
                continue
            try:
                ours = await self._claims.renew([claim for claim, _ in held.values()])
            except DependencyDown as error:
                log.info("leases are not renewed now: %s", error.message)
                continue
            for number, (claim, task) in held.items():
                if number not in ours and self._held.get(number) == (claim, task):
                    log.info("a file is not read on here: it was taken out, or cancelled", extra={"file": number})
                    task.cancel()
