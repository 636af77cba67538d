"""The lines of a process: who is let in, and who may look for a slot when one is free."""

from __future__ import annotations

import time

from caravan_bus import metrics
from caravan_bus.admission.bounds import Bounds
from caravan_bus.admission.line import FairLine, Turn
from caravan_bus.admission.options import RoutingOptions
from caravan_bus.admission.pace import Pace
from caravan_bus.admission.place import Place, Wish
from caravan_bus.admission.sharing import Sharing
from caravan_bus.presence import PresenceTable
from caravan_bus.transport import Transport


class WaitingRoom:
    """All lines of a process."""

    def __init__(self, transport: Transport, table: PresenceTable, options: RoutingOptions, pace: Pace) -> None:
        self.options = options
        self.pace = pace
        self.sharing = Sharing(transport, self._tenants, self.wake)
        self._table = table
        self._bounds = Bounds(options, pace, self._hoped)
        self._lines: dict[str, FairLine] = {}
        self._places: dict[Turn, Wish] = {}
        self._alone: dict[str, float] = {}
        """Providers with a line and no worker, and since when (monotonic)."""
        table.on_free.append(self.wake)
        table.on_gone.append(lambda _: self.wake())
        table.on_silent.append(lambda _: self.wake())

    def waiting(self, provider: str) -> int:
        """Requests in line for `provider`."""
        line = self._lines.get(provider)
        return len(line) if line is not None else 0

    def must_wait(self, provider: str) -> bool:
        """Whether a request has to join the line even if a slot is free."""
        return provider in self._lines or (bool(self.sharing.others) and self._allowed(provider) <= 0)

    def enter(self, wish: Wish) -> Place:
        """Join the line of a provider. Whoever had a slot already comes first, and always. Raises Overloaded,
        TenantLimited."""
        provider, model, tenant = wish.spec.provider, wish.spec.model, wish.context.principal.tenant
        line = self._lines.get(provider) or FairLine(lambda tenant: self.sharing.processes(provider, tenant))
        ahead = 0
        if not wish.again:
            self._bounds.check(line, provider, tenant, wish.size)
            crowded = self._bounds.crowded(line, provider, tenant)
            ahead = line.ahead(tenant, model)
            self._bounds.check_time(provider, model, wish.context.remaining, ahead)
            if crowded:
                self._displace(line, provider)
        metrics.QUEUE_POSITION.labels(provider).observe(ahead + 1)
        if not line:
            self._lines[provider] = line
            self.sharing.begun()
        turn = line.join(tenant, model, first=wish.again)
        self._places[turn] = wish
        self._bounds.keep(tenant, wish.size)
        metrics.QUEUE_DEPTH.labels(provider).set(len(line))
        return Place(self, line, turn, wish)

    def out(self, line: FairLine, turn: Turn, wish: Wish, *, lost: bool) -> None:
        """Somebody leaves; `lost` when nobody could foresee it."""
        provider = wish.spec.provider
        line.leave(turn, lost=lost)
        del self._places[turn]
        self._bounds.release(turn.tenant, wish.size)
        metrics.QUEUE_DEPTH.labels(provider).set(len(line))
        if not line:
            del self._lines[provider]
            self._alone.pop(provider, None)

    def wake(self) -> None:
        """Let as many look for a slot as there are free ones."""
        for provider, line in self._lines.items():
            workers = self._table.workers(provider)
            if not workers:
                if provider not in self._alone:
                    self._alone[provider] = time.monotonic()
                    for turn in line.everybody():  # they have less patience now
                        turn.rouse()
                continue
            if self._alone:
                self._alone.pop(provider, None)
            free = sum(max(0, entry.free(provider)) for entry in workers)
            if free and self.sharing.others:
                free = min(free, self._allowed(provider))
            if free > 0:
                for turn in line.first(free):
                    turn.rouse()

    def alone_since(self, provider: str) -> float | None:
        """Since when no worker serves a provider, on the monotonic clock; None when one does."""
        return self._alone.get(provider)

    def advice(self, provider: str) -> float:
        """Seconds after which somebody who waited may come again."""
        return self._bounds.advice(provider, self.waiting(provider))

    def _displace(self, line: FairLine, provider: str) -> None:
        """The line is full, and a tenant that has less of it comes."""
        last = line.last_of_longest()
        if last is not None:
            last.refusal = self._bounds.displaced(line, provider, last.tenant)
            last.rouse()
            self.out(line, last, self._places[last], lost=False)

    def _allowed(self, provider: str) -> int:
        """Slots that may be taken here beside those that are held, with regard to who waits elsewhere."""
        own, slots = self._slots(provider)
        return self.sharing.part(provider, slots) - own

    def _tenants(self) -> dict[str, list[str]]:
        return {provider: list(line.tenants) for provider, line in self._lines.items()}

    def _hoped(self, provider: str) -> float:
        """The part of a provider's slots that this process may hope for: when others wait for them what is its part;
        otherwise what it has, or half when others have them."""
        own, slots = self._slots(provider)
        part = self.sharing.part(provider, slots)
        return float(max(own, part)) if part < slots else max(own, slots / 2)

    def _slots(self, provider: str) -> tuple[int, int]:
        """Those that are held here, and all."""
        own = total = 0
        for entry in self._table.workers(provider):
            own += entry.own.get(provider, 0)
            total += entry.presence.providers[provider].slots
        return own, total
