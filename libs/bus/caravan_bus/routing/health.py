"""Which targets are left alone, and for how long: a circuit breaker and a cool-down for each.

A target that failed too often is *open*: nobody asks it. After a while one request is let through (a probe); when it
is served the target is closed again, for everybody. One that said 429 with a Retry-After is left alone for as long.
Every process decides for itself and says so to the others (:mod:`state`), who do the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from caravan_contracts.routes import Breaker
from caravan_contracts.routing import MAX_SECONDS, TargetFact, TargetState

from caravan_bus.routing.windows import Window

LEASE: Final = 15.0
"""Seconds after which a probe that nobody heard of again is forgotten."""
_OTHERS_PROBE: Final = 2.0
"""How long the probe of another process is waited for before one of one's own."""

Say = Callable[[TargetFact], None]


class Use(Enum):
    """What may be asked of a target."""

    YES = auto()
    PROBE = auto()
    """One request, to see whether it is back."""
    COOLING = auto()
    NO = auto()


@dataclass(slots=True)
class _Target:
    tried: Window
    failed: Window
    row: int = 0
    """Failures without a success between them."""
    open: bool = False
    until: float = 0.0
    """When an open target may be probed."""
    probe_until: float = 0.0
    limited_until: float = 0.0
    ours: set[TargetState] = field(default_factory=set)
    """What this process found out itself, and so repeats."""


class Health:
    """Of all targets, as one process knows them. Only targets with something to remember take memory."""

    def __init__(
        self,
        instance: str,
        clock: Callable[[], float],
        say: Say,
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._instance = instance
        self._clock = clock
        self._say = say
        self._chance = chance
        self._targets: dict[str, _Target] = {}

    def use(self, key: str) -> Use:
        """Whether it may be asked now."""
        target = self._targets.get(key)
        if target is None:
            return Use.YES
        now = self._clock()
        if target.limited_until > now:
            return Use.COOLING
        if not target.open:
            return Use.YES
        return Use.PROBE if now >= target.until and now >= target.probe_until else Use.NO

    def wait(self, key: str) -> float:
        """Seconds until it may be asked."""
        target = self._targets.get(key)
        if target is None:
            return 0.0
        until = target.limited_until
        if target.open:
            until = max(until, target.until, target.probe_until)
        return max(0.0, until - self._clock())

    def probe(self, key: str) -> None:
        """A request is sent to see whether it is back."""
        target = self._targets.get(key)
        if target is not None and target.open:
            target.probe_until = self._clock() + LEASE
            self._tell(key, TargetState.PROBING, _OTHERS_PROBE)

    def alive(self, key: str) -> None:
        """It began to answer: a probe needs no more to know."""
        target = self._targets.get(key)
        if target is not None and target.open:
            self._close(target)
            self._tell(key, TargetState.CLOSED, 0.0)

    def unknown(self, key: str) -> None:
        """A request ended without saying anything about the target: it was cancelled, or refused."""
        target = self._targets.get(key)
        if target is not None:
            target.probe_until = 0.0

    def succeeded(self, key: str, breaker: Breaker) -> None:
        """It answered to the end."""
        self.alive(key)
        target = self._of(key, breaker)
        target.row = 0
        target.tried.add(self._clock())

    def failed(self, key: str, breaker: Breaker) -> None:
        """It failed, whether before its first byte or after it."""
        target, now = self._of(key, breaker), self._clock()
        if target.open and now < target.until:
            return  # known already: of many requests under way all fail
        target.row += 1
        target.tried.add(now)
        target.failed.add(now)
        failures = target.failed.sum(now)
        often = failures >= breaker.failures and failures * 2 >= target.tried.sum(now)
        if target.open or target.row >= breaker.failures or often:
            seconds = breaker.open_seconds * self._chance(0.8, 1.2)  # or all processes would probe in step
            target.open, target.until, target.probe_until = True, now + seconds, 0.0
            target.ours.add(TargetState.OPEN)
            self._tell(key, TargetState.OPEN, seconds)

    def limited(self, key: str, seconds: float, breaker: Breaker) -> None:
        """It said 429, to be asked again after `seconds`."""
        seconds = min(seconds, MAX_SECONDS)
        target = self._of(key, breaker)
        target.limited_until = self._clock() + seconds
        target.probe_until = 0.0
        target.ours.add(TargetState.LIMITED)
        self._tell(key, TargetState.LIMITED, seconds)

    def heard(self, fact: TargetFact) -> None:
        """Another process said something."""
        if fact.instance == self._instance:
            return
        known = self._targets.get(fact.target)
        if fact.state is TargetState.CLOSED:
            if known is not None and known.open:
                self._close(known)
            return
        target, now = known or self._of(fact.target, Breaker()), self._clock()
        if fact.state is TargetState.LIMITED:
            target.limited_until = max(target.limited_until, now + fact.seconds)
        elif fact.state is TargetState.OPEN:
            # said again each second: were it drawn out each time, processes would keep each other waiting for ever
            known_already = target.open and target.until > now
            seconds = fact.seconds if known_already else fact.seconds * self._chance(1.0, 1.1)
            target.open, target.until = True, max(target.until, now + seconds)
        elif target.open:
            target.probe_until = max(target.probe_until, now + fact.seconds * self._chance(1.0, 1.5))

    def facts(self) -> list[TargetFact]:
        """What this process found out and still holds: said again for those who missed it, or came later."""
        now = self._clock()
        made: list[TargetFact] = []
        for key, target in self._targets.items():
            held = {TargetState.OPEN: target.until if target.open else 0.0, TargetState.LIMITED: target.limited_until}
            for state, until in held.items():
                if state in target.ours and until > now:
                    made.append(TargetFact(instance=self._instance, target=key, state=state, seconds=until - now))
        return made

    def forget(self) -> None:
        """Drop targets of which nothing is left to remember."""
        now = self._clock()
        for key, target in list(self._targets.items()):
            if not target.open and target.limited_until <= now and not target.tried.sum(now) and not target.row:
                del self._targets[key]

    def _of(self, key: str, breaker: Breaker) -> _Target:
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = _Target(Window(breaker.window), Window(breaker.window))
        return target

    def _close(self, target: _Target) -> None:
        target.open, target.row, target.until, target.probe_until = False, 0, 0.0, 0.0
        target.ours.discard(TargetState.OPEN)
        target.tried.clear()
        target.failed.clear()

    def _tell(self, key: str, state: TargetState, seconds: float) -> None:
        seconds = min(seconds, MAX_SECONDS)
        self._say(TargetFact(instance=self._instance, target=key, state=state, seconds=seconds))
