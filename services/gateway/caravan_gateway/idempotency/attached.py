"""Following a run of another gateway, or one that ended: its answer as Redis has it, from the beginning."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, ClientGone, DeadlineExceeded, DependencyDown

from caravan_gateway.idempotency.claim import DONE, FAILED, RUNNING, Claim, RunLost, Scope, interrupted
from caravan_gateway.idempotency.store import RunStore, Seen
from caravan_gateway.kept import split
from caravan_gateway.source import Pulled

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.03
GONE_SECONDS: Final = 1.5
"""How long a run may be unknown to Redis before it is given up: after a Redis that forgot everything, who runs it says
so again a moment later."""
OUTAGE_SECONDS: Final = 5.0


class Attached(Pulled):
    """The answer of a run that is not ours. :meth:`begin` it, read it, :meth:`leave` it."""

    first = False

    def __init__(
        self,
        store: RunStore,
        scope: Scope,
        claim: Claim,
        context: RequestContext,
        later: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """`later` runs something behind the caller's back."""
        self.claim = claim
        self._later = later
        self._store = store
        self._scope = scope
        self._context = context
        self._offset = 0
        self._begun = False
        self._first = b""
        self._before: Seen | None = None
        self._lives = False
        self._gone_since = 0.0
        self._blind_since = 0.0

    async def begin(self) -> None:
        """Wait for the first of it, and for a sign of life: nothing is passed on of a run whose gateway is dead. Raises
        RunLost when nobody runs it any more; then it may be run again."""
        self.origin, self._first = split(await self._next())
        self._first = self._first or await self._next()
        self._begun = True

    async def read(self) -> bytes:
        """See :meth:`Source.read`."""
        data, self._first = self._first, b""
        return data or await self._next()

    def leave(self) -> None:
        """Nobody reads it any more."""
        if self.claim.state == RUNNING:
            self._later(self._unwanted())

    async def _unwanted(self) -> None:
        try:
            await self._store.unwanted(self._scope)
        except DependencyDown as error:
            log.debug("that nobody wants a run is noticed a little later: %s", error.message)

    async def _next(self) -> bytes:
        while True:
            if self._context.remaining <= 0:
                raise DeadlineExceeded("the request's time is over")
            piece = await self._look()
            if piece is not None:
                return piece
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> bytes | None:
        """What there is; b"" after the good end, None when there is nothing yet."""
        now = asyncio.get_running_loop().time()
        try:
            seen = await self._store.poll(self._scope, self._offset)
        except DependencyDown as error:
            self._blind_since = self._blind_since or now
            if now - self._blind_since > OUTAGE_SECONDS or not self._begun:
                raise
            log.info("a run cannot be followed now: %s", error.message)
            return None
        self._blind_since = 0.0
        if seen.claim is None:
            self._gone_since = self._gone_since or now
            if now - self._gone_since > GONE_SECONDS:
                raise self._lost()
            return None
        self._gone_since = 0.0
        if seen.claim.run != self.claim.run:
            raise self._lost()
        self.claim = seen.claim
        if not self._seems_alive(seen, seen.claim):
            return None
        if seen.piece:
            self._offset += len(seen.piece)
            return seen.piece
        return self._ended(seen.claim)

    def _seems_alive(self, seen: Seen, claim: Claim) -> bool:
        before, self._before = self._before, seen
        if not self._lives:
            grew = before is not None and (seen.left > before.left or seen.size > before.size)
            self._lives = grew or claim.state != RUNNING
        return self._lives

    def _ended(self, claim: Claim) -> bytes | None:
        if claim.state == DONE:
            if self._offset != claim.size:
                raise self._lost()  # Redis dropped its answer before its time
            return b""
        if claim.state == FAILED:
            error = CaravanError.from_wire(claim.error)
            raise self._lost() if isinstance(error, ClientGone | RunLost) else error
        return None

    def _lost(self) -> CaravanError:
        if self._begun:
            return interrupted()
        return RunLost("the run of this request is lost; send it again", retry_after=1)
