"""How much is under way at a target, over all processes: each counts its own and tells the others.

Precise to what other processes let in within the last tenth of a second: a bound may be passed by that much.
Nobody waits here: a target that is full is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from caravan_contracts.routes import Limits
from caravan_contracts.routing import Load, LoadFact

from caravan_bus.routing.windows import Window

MINUTE: Final = 60.0
GONE: Final = 3.0
"""Seconds without a word after which another process's load is forgotten."""


@dataclass(slots=True)
class _Own:
    under_way: int = 0
    requests: Window = field(default_factory=lambda: Window(MINUTE))
    tokens: Window = field(default_factory=lambda: Window(MINUTE))


class Loads:
    """Of all targets with limits."""

    def __init__(self, instance: str, clock: Callable[[], float], changed: Callable[[], None]) -> None:
        self._instance = instance
        self._clock = clock
        self._changed = changed
        self._own: dict[str, _Own] = {}
        self._others: dict[str, tuple[float, dict[str, Load]]] = {}

    def full(self, key: str, limits: Limits) -> float:
        """Seconds after which a target may have room again; 0.0 when it has."""
        now = self._clock()
        own = self._own.get(key) or _Own()
        others = self._of_others(key, now)
        if limits.max_concurrent is not None and own.under_way + others.under_way >= limits.max_concurrent:
            return 1.0
        for bound, window, more in (
            (limits.requests_per_minute, own.requests, others.requests),
            (limits.tokens_per_minute, own.tokens, others.tokens),
        ):
            if bound is not None and window.sum(now) + more >= bound:
                return max(1.0, window.falls_below(now, max(1, bound - more)))
        return 0.0

    def take(self, key: str) -> None:
        """A request goes there."""
        own = self._own.get(key)
        if own is None:
            own = self._own[key] = _Own()
        own.under_way += 1
        own.requests.add(self._clock())
        self._changed()

    def give_back(self, key: str, tokens: int) -> None:
        """It is over, and cost so many tokens."""
        own = self._own.get(key)
        if own is not None:
            own.under_way = max(0, own.under_way - 1)
            own.tokens.add(self._clock(), tokens)
            self._changed()

    def heard(self, fact: LoadFact) -> None:
        """Another process told what it has."""
        if fact.instance != self._instance:
            self._others[fact.instance] = (self._clock(), fact.targets)

    def fact(self) -> LoadFact | None:
        """What this process has; None when that is nothing. Forgets what is long over."""
        now = self._clock()
        made: dict[str, Load] = {}
        for key, own in list(self._own.items()):
            load = Load(under_way=own.under_way, requests=own.requests.sum(now), tokens=own.tokens.sum(now))
            if load.under_way or load.requests or load.tokens:
                made[key] = load
            else:
                del self._own[key]
        for instance, (heard, _) in list(self._others.items()):
            if now - heard > GONE:
                del self._others[instance]
        return LoadFact(instance=self._instance, targets=made) if made else None

    def _of_others(self, key: str, now: float) -> Load:
        total = Load()
        for heard, loads in self._others.values():
            load = loads.get(key)
            if load is not None and now - heard <= GONE:
                total.under_way += load.under_way
                total.requests += load.requests
                total.tokens += load.tokens
        return total
