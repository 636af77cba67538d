"""Who may join a line. Nobody else is kept: a line that is longer than what can be served costs memory and time, and
serves nobody."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from caravan_contracts.errors import Overloaded, TenantLimited

from caravan_bus import metrics
from caravan_bus.admission.line import FairLine
from caravan_bus.admission.options import RoutingOptions
from caravan_bus.admission.pace import Pace

_LONGEST_ADVICE: Final = 30.0


class Bounds:
    """Of a process."""

    def __init__(self, options: RoutingOptions, pace: Pace, slots: Callable[[str], float]) -> None:
        """`slots` says how many slots of a provider this process may hope for; 0.0 when it has no worker."""
        self._options = options
        self._pace = pace
        self._slots = slots
        self._bytes: Counter[str] = Counter()
        self._all_bytes = 0

    def keep(self, tenant: str, size: int) -> None:
        """A body of so many bytes waits."""
        self._bytes[tenant] += size
        self._all_bytes += size

    def release(self, tenant: str, size: int) -> None:
        """It does no longer."""
        self._all_bytes -= size
        self._bytes[tenant] -= size
        if not self._bytes[tenant]:
            del self._bytes[tenant]

    def check(self, line: FairLine, provider: str, tenant: str, size: int) -> None:
        """Whether a request fits. Raises TenantLimited, Overloaded; not for a line that is merely full when another
        tenant has more than its share of it: see :meth:`crowded`."""
        own, options = line.of(tenant), self._options
        if own >= options.tenant_limit:
            text = f"all workers of provider {provider!r} are busy and {own} requests of yours wait already"
            raise self.limited(provider, "tenant_limit", text, own, options.tenant_limit)
        if self._bytes[tenant] + size > options.queue_bytes // 2 or self._all_bytes + size > options.queue_bytes:
            self._refuse_bytes(provider, tenant, own, len(line))

    def crowded(self, line: FairLine, provider: str, tenant: str) -> bool:
        """Whether the line is full, and somebody has to leave it for a request of `tenant`: one of a tenant that has
        more. Raises TenantLimited, Overloaded when `tenant` has as much as its share."""
        limit = self._options.queue_limit
        if len(line) < limit:
            return False
        last, own = line.last_of_longest(), line.of(tenant)
        if last is not None and last.tenant != tenant and line.of(last.tenant) > own + 1:
            return True
        tenants = len(line.tenants) + (not own)
        if tenants > 1 and own * tenants > limit:
            text = (
                f"all workers of provider {provider!r} are busy and {own} requests of yours wait, more than your share"
            )
            raise self.limited(provider, "tenant_limit", text, own, limit // tenants)
        metrics.QUEUE_REFUSED.labels(provider, "limit").inc()
        text = f"all workers of provider {provider!r} are busy and {len(line)} requests wait already"
        error = Overloaded(text, retry_after=self.advice(provider, len(line)))
        error.limit = limit
        raise error

    def displaced(self, line: FairLine, provider: str, tenant: str) -> TenantLimited:
        """What a request is told that has to leave."""
        text = f"all workers of provider {provider!r} are busy and others' requests came before yours, which are many"
        share = max(1, self._options.queue_limit // max(1, len(line.tenants)))
        return self.limited(provider, "displaced", text, line.of(tenant), share)

    def limited(self, provider: str, reason: str, text: str, ahead: int, limit: int) -> TenantLimited:
        """A tenant has its part."""
        metrics.QUEUE_REFUSED.labels(provider, reason).inc()
        error = TenantLimited(text, retry_after=self.advice(provider, ahead))
        error.limit = limit
        return error

    def check_time(self, provider: str, model: str, remaining: float, ahead: int) -> None:
        """Whether an answer would come in time. Half of the time to spare may be spent in line: who is served must have
        time for an answer that takes longer than most. Raises Overloaded."""
        slots = self._slots(provider)
        if not slots:
            return  # whoever comes back has its slots free
        spare = remaining - self._pace.usual(provider, model)
        if spare < 0 or self._pace.wait(provider, ahead, slots) > min(spare / 2, self._options.queue_timeout):
            metrics.QUEUE_REFUSED.labels(provider, "too_late").inc()
            text = f"all workers of provider {provider!r} are busy; an answer would come too late"
            raise Overloaded(text, retry_after=self.advice(provider, ahead))

    def advice(self, provider: str, ahead: int) -> float:
        """Seconds after which to come again: when those who wait now are served, at least one. Not to all the same:
        they would come together."""
        wait = self._pace.wait(provider, ahead, self._slots(provider))
        return round(max(1.0, min(wait, _LONGEST_ADVICE)) * random.uniform(1.0, 1.3), 1)

    def _refuse_bytes(self, provider: str, tenant: str, own: int, waiting: int) -> None:
        size = self._options.queue_bytes
        if self._all_bytes <= size // 2 or self._bytes[tenant] * 2 > self._all_bytes:
            text = f"all workers of provider {provider!r} are busy and large requests of yours wait already"
            raise self.limited(provider, "bytes", text, own, 0)
        metrics.QUEUE_REFUSED.labels(provider, "bytes").inc()
        text = f"all workers of provider {provider!r} are busy and large requests wait already"
        raise Overloaded(text, retry_after=self.advice(provider, waiting))
