"""The targets of a request in the order in which they are asked. Pure: chance, health and load are handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from caravan_contracts.routes import RouteSpec, Strategy, Target

from caravan_bus.routing.properties import Properties
from caravan_bus.routing.targets import Candidate


class Standing(IntEnum):
    """What speaks against asking a target now; the least comes first."""

    READY = 0
    BUSY = 1
    """Every slot of its workers is taken: a request would wait in line."""
    FULL = 2
    """Its limits are reached."""
    COOLING = 3
    """It said 429, and until when."""
    OPEN = 4
    """It failed too often."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which targets are asked, the first one first."""

    candidates: tuple[Candidate, ...]
    standing: Standing
    """Of the best of them. Targets that are worse than BUSY are in a plan only when there are no better ones."""


def ordered(spec: RouteSpec, properties: Properties, chance: float) -> list[Target]:
    """The targets that the route means for a request; `chance`, in [0, 1), chooses among weighted ones."""
    for rule in spec.rules:
        if properties.fit(rule.when):
            named = {target.model: target for target in spec.targets}
            return [named[name] for name in rule.targets]
    targets = list(spec.targets)
    if spec.strategy is Strategy.WEIGHTED:
        targets.insert(0, targets.pop(_pick([target.weight for target in targets], chance)))
    return targets


def plan(candidates: Sequence[Candidate], standing: Callable[[Candidate], Standing]) -> Plan:
    """Leave out what cannot be asked now, as long as anything can; busy ones come after those with a free slot."""
    found = [(standing(candidate), candidate) for candidate in candidates]
    best = min(how for how, _ in found)
    worst = max(Standing.BUSY, best)
    chosen = sorted((row for row in found if row[0] <= worst), key=lambda row: row[0])  # a stable sort
    return Plan(tuple(candidate for _, candidate in chosen), best)


def _pick(weights: Sequence[float], chance: float) -> int:
    left = chance * sum(weights)
    for index, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return index
    return len(weights) - 1
