"""A run's answer on its way to Redis while it comes: some forty times a second, and a sign of life each half
second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from caravan_contracts.errors import CaravanError, DependencyDown

from caravan_gateway.idempotency.claim import Claim, Scope
from caravan_gateway.idempotency.store import ClaimLost, RunStore

log = logging.getLogger(__name__)

MAX_KEPT: Final = 16 * 1024 * 1024
"""Bytes of an answer that can be kept, and followed from another gateway."""
FLUSH_SECONDS: Final = 0.025
RENEW_SECONDS: Final = 0.5
OUTAGE_FLUSH_SECONDS: Final = 0.1
OUTAGE_SECONDS: Final = 5.0
"""How long those who follow from elsewhere are believed to be there while Redis is not."""


class Writing:
    """`parts` grows while the run runs; who adds to it sets :attr:`more`."""

    def __init__(self, store: RunStore, scope: Scope, claim: Claim, parts: list[bytes]) -> None:
        self._store = store
        self._scope = scope
        self._claim = claim
        self._parts = parts
        self._written = 0
        """Of `parts`, in Redis."""
        self._bytes = 0
        self._lock = asyncio.Lock()
        self._ending = False
        self._wanted = False
        self._seen = 0.0
        self._too_large = False
        self.more = asyncio.Event()

    async def run(self, lost: Callable[[], None]) -> None:
        """Write until cancelled, or until another gateway has the claim: then `lost` is called."""
        down = False
        while True:
            try:
                async with asyncio.timeout(RENEW_SECONDS):
                    await self.more.wait()
            except TimeoutError:
                log.debug("still running: the claim is renewed")
            self.more.clear()
            await asyncio.sleep(OUTAGE_FLUSH_SECONDS if down else FLUSH_SECONDS)
            try:
                await self.flush()
                down = False
            except ClaimLost:
                lost()
                return
            except DependencyDown as problem:
                if not down:
                    log.warning("the answer of a run cannot be written now: %s", problem.message)
                down = True
                self.more.set()

    async def flush(self) -> None:
        """Write what was not yet; renew the claim. Raises DependencyDown, ClaimLost."""
        async with self._lock:
            if not self._ending:
                await self._write(self._parts[:], b"")

    async def wanted(self) -> bool:
        """Whether anybody follows the run from elsewhere."""
        try:
            await self.flush()
        except ClaimLost:
            return False
        except DependencyDown:
            return self._wanted and asyncio.get_running_loop().time() - self._seen < OUTAGE_SECONDS
        return self._wanted

    async def end(self, error: CaravanError | None, last: bytes) -> None:
        """The run is over: its whole answer is kept, or its error told."""
        parts, self._ending = self._parts[:], True
        try:
            async with self._lock:
                await self._write(parts, last if error is None else b"")
            if error is None and self._too_large:
                error = CaravanError(
                    f"an answer that is kept has at most {MAX_KEPT} bytes; ask without Idempotency-Key",
                    code="response_too_large",
                )
            if error is None:
                await self._store.done(self._scope, self._claim, self._bytes)
            else:
                await self._store.failed(self._scope, self._claim, self._claim.failed(error))
        except (CaravanError, ClaimLost) as problem:
            log.warning("the end of a run with an Idempotency-Key is not kept: %r", problem)

    async def _write(self, parts: list[bytes], last: bytes) -> None:
        piece = b"".join([*parts[self._written :], last])
        if self._too_large or self._bytes + len(piece) > MAX_KEPT:
            self._too_large, piece = True, b""
        said = await self._store.write(self._scope, self._claim, self._bytes, piece)
        if said is None:  # Redis lost it, or did not say that it took it
            await self._store.forget(self._scope)
            piece, self._bytes = b"" if self._too_large else b"".join([*parts, last]), 0
            said = await self._store.write(self._scope, self._claim, 0, piece)
        self._written, self._bytes = len(parts), self._bytes + len(piece)
        self._wanted, self._seen = bool(said), asyncio.get_running_loop().time()
