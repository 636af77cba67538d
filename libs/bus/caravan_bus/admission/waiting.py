"""The lines of a process: who is let in, when a wait ends, and with what.

A wait is refused at its beginning when the line is full, or when what is known of the provider's pace says that the
slot would come too late. It ends without a slot when its patience is over, or when what is left of the request's time
is less than its answer usually takes: a slot given to it would be spent on an answer that nobody gets whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, DeadlineExceeded, NoWorker, Overloaded
from caravan_contracts.inference import CallSpec

from caravan_bus import metrics
from caravan_bus.admission.line import FairLine, Turn
from caravan_bus.admission.options import RoutingOptions
from caravan_bus.admission.pace import Pace
from caravan_bus.admission.sharing import Sharing
from caravan_bus.presence import PresenceTable, WorkerEntry
from caravan_bus.transport import Transport

_LOOK_SECONDS = 1.0
"""A worker that said BUSY is asked again after so long even if no heartbeat came."""
_LONGEST_ADVICE = 30.0


class TenantOverloaded(Overloaded):
    """One tenant's own part of the line is full: the others' is not. Sent to HTTP clients as 429."""

    code = "tenant_overloaded"
    limit = 0
    """Requests of the tenant that may wait."""


class WaitingRoom:
    """All lines of a process."""

    def __init__(self, transport: Transport, table: PresenceTable, options: RoutingOptions, pace: Pace) -> None:
        self._table = table
        self._options = options
        self._pace = pace
        self._lines: dict[str, FairLine] = {}
        self.sharing = Sharing(transport, self._tenants, self.wake)
        table.on_free.append(self.wake)

    def waiting(self, provider: str) -> int:
        """Requests in line for `provider`."""
        line = self._lines.get(provider)
        return len(line) if line is not None else 0

    def must_wait(self, provider: str) -> bool:
        """Whether a request has to join the line even if a slot is free."""
        return provider in self._lines or (bool(self.sharing.others) and self._allowed(provider) <= 0)

    def enter(
        self, spec: CallSpec, context: RequestContext, began: float, choose: Callable[[], WorkerEntry | None]
    ) -> Place:
        """Join the line of a provider; `choose` says whether a worker is free, `began` when the request came (on the
        monotonic clock). Raises Overloaded."""
        line = self._lines.get(spec.provider) or FairLine()
        tenant = context.principal.tenant
        self._refuse_full(line, spec.provider, tenant)
        ahead = line.ahead(tenant)
        self._refuse_late(spec, context, ahead)
        metrics.QUEUE_POSITION.labels(spec.provider).observe(ahead + 1)
        if not line:
            self._lines[spec.provider] = line
            self.sharing.begun()
        place = Place(self, line, line.join(tenant), spec, context, began, choose)
        self.changed(spec.provider)
        return place

    def changed(self, provider: str) -> None:
        """Somebody joined or left."""
        line = self._lines[provider]
        metrics.QUEUE_DEPTH.labels(provider).set(len(line))
        if not line:
            del self._lines[provider]

    def wake(self) -> None:
        """Let as many look for a slot as there are free ones."""
        for provider, line in self._lines.items():
            free = sum(max(0, entry.free(provider)) for entry in self._table.workers(provider))
            if free and self.sharing.others:
                free = min(free, self._allowed(provider))
            if free > 0:
                for turn in line.first(free):
                    if turn.wake is not None and not turn.wake.done():
                        turn.wake.set_result(None)

    def given_up(self, place: Place) -> CaravanError | None:
        """Why a wait is over; None when it is not."""
        waited, provider = time.monotonic() - place.began, place.spec.provider
        remaining = place.context.remaining
        if remaining <= 0:
            return DeadlineExceeded("the request's time is over before a worker was free")
        if not self._table.workers(provider):
            if waited < self._options.no_worker_timeout:
                return None
            text = f"no worker serves provider {provider!r} at the moment; start one, or look at `caravan status`"
            return NoWorker(text, retry_after=5)
        if waited >= self._options.queue_timeout:
            return Overloaded(f"all workers of provider {provider!r} stayed busy for {waited:.0f} s", retry_after=2)
        if remaining < self._pace.usual(provider, place.spec.model):
            text = f"no worker was free in {waited:.1f} s, and the time left is too short for an answer"
            return DeadlineExceeded(text, retry_after=1)
        return None

    def patience(self, place: Place) -> float:
        """Seconds until a place is worth a look."""
        provider, options = place.spec.provider, self._options
        limit = options.queue_timeout if self._table.workers(provider) else options.no_worker_timeout
        spare = place.context.remaining - self._pace.usual(provider, place.spec.model)
        return max(0.001, min(place.began + limit - time.monotonic(), spare, _LOOK_SECONDS))

    def _refuse_full(self, line: FairLine, provider: str, tenant: str) -> None:
        own, options = line.of(tenant), self._options
        if own >= options.tenant_limit:
            metrics.QUEUE_REFUSED.labels(provider, "tenant_limit").inc()
            text = f"all workers of provider {provider!r} are busy and {own} requests of yours wait already"
            error = TenantOverloaded(text, retry_after=self._advice(provider, own))
            error.limit = options.tenant_limit
            raise error
        if len(line) >= options.queue_limit:
            metrics.QUEUE_REFUSED.labels(provider, "limit").inc()
            text = f"all workers of provider {provider!r} are busy and {len(line)} requests wait already"
            raise Overloaded(text, retry_after=self._advice(provider, len(line)))

    def _refuse_late(self, spec: CallSpec, context: RequestContext, ahead: int) -> None:
        """Half of the time to spare may be spent in line: who is served must have time for an answer that takes longer
        than most."""
        spare = context.remaining - self._pace.usual(spec.provider, spec.model)
        wait = self._pace.wait(spec.provider, ahead, self._slots(spec.provider))
        if spare < 0 or wait > min(spare / 2, self._options.queue_timeout):
            metrics.QUEUE_REFUSED.labels(spec.provider, "too_late").inc()
            text = f"all workers of provider {spec.provider!r} are busy; an answer would come too late"
            raise Overloaded(text, retry_after=self._advice(spec.provider, ahead))

    def _advice(self, provider: str, ahead: int) -> float:
        """When to come again: when those who wait now are served, at least after a second."""
        return round(max(1.0, min(self._pace.wait(provider, ahead, self._slots(provider)), _LONGEST_ADVICE)), 1)

    def _allowed(self, provider: str) -> int:
        """Slots that may be taken here beside those that are held, with regard to who waits elsewhere."""
        workers = self._table.workers(provider)
        own = sum(entry.own.get(provider, 0) for entry in workers)
        return self.sharing.part(provider, sum(entry.presence.providers[provider].slots for entry in workers)) - own

    def _tenants(self) -> dict[str, int]:
        return {provider: line.tenants for provider, line in self._lines.items()}

    def _slots(self, provider: str) -> float:
        """The part of a provider's slots that this process may hope for: what it has, or half when others have them."""
        workers = self._table.workers(provider)
        own = sum(entry.own.get(provider, 0) for entry in workers)
        return max(own, sum(entry.presence.providers[provider].slots for entry in workers) / 2)


class Place:
    """One request in line, until :meth:`leave`."""

    __slots__ = ("_choose", "_line", "_room", "_turn", "began", "context", "spec")

    def __init__(
        self,
        room: WaitingRoom,
        line: FairLine,
        turn: Turn,
        spec: CallSpec,
        context: RequestContext,
        began: float,
        choose: Callable[[], WorkerEntry | None],
    ) -> None:
        self._room = room
        self._line = line
        self._turn = turn
        self._choose = choose
        self.spec = spec
        self.context = context
        self.began = began

    async def slot(self, look_again: Callable[[], None]) -> WorkerEntry:
        """Wait for a worker with a free slot; `look_again` is called when nothing was heard for a while. Raises
        DeadlineExceeded, Overloaded, NoWorker."""
        turn, loop = self._turn, asyncio.get_running_loop()
        turn.wake = loop.create_future()
        self._room.wake()
        while True:
            error = self._room.given_up(self)
            if error is not None:
                metrics.QUEUE_REFUSED.labels(self.spec.provider, "gave_up").inc()
                raise error
            if turn.wake.done() and (entry := self._choose()) is not None:
                turn.wake = None
                self._line.begin(turn)
                return entry
            turn.wake = loop.create_future()
            try:
                async with asyncio.timeout(self._room.patience(self)):
                    await turn.wake
            except TimeoutError:
                turn.wake = loop.create_future()
                look_again()
                self._room.wake()

    def back(self) -> None:
        """The slot was taken by somebody else meanwhile."""
        self._line.back(self._turn)

    def leave(self, error: BaseException | None = None) -> None:
        """Out of the line; with a slot, or because of `error`."""
        if error is None:
            metrics.QUEUE_WAIT.labels(self.spec.provider).observe(time.monotonic() - self.began)
        lost = isinstance(error, asyncio.CancelledError) or (isinstance(error, Overloaded) and not self._turn.trying)
        self._line.leave(self._turn, lost=lost)
        self._room.changed(self.spec.provider)
        self._room.wake()
