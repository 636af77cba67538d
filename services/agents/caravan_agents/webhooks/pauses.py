"""When an event is posted again.

The pause follows from the age of the event alone, so that it survives any worker and is not shortened or lengthened by
jobs that were only passed on: 5 s, then twice the age (tries at some 5 s, 15 s, 45 s, 2 min, 7 min, 20 min, 1 h, 3 h),
then every 8 hours until the third day is over.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Pauses:
    """In seconds."""

    first: float = 5.0
    growth: float = 2.0
    """Of a pause to the event's age."""
    longest: float = 8 * _HOUR
    give_up: float = 72 * _HOUR
    """An event of this age that an endpoint does not take is given up."""
    unknown: float = _HOUR
    """How long a process of another configuration may be the one that knows an endpoint."""
    crowded: tuple[float, float] = (1.0, 300.0)
    """Shortest and longest pause of a job whose endpoint has enough to do."""

    def failed(self, age: float, wished: float | None = None) -> float:
        """Behind a try that failed; `wished` is the endpoint's ``Retry-After``."""
        pause = min(self.longest, max(self.first, age * self.growth)) * random.uniform(0.8, 1.2)
        return max(pause, min(wished or 0.0, self.longest))

    def passed_on(self, age: float) -> float:
        """Of a job that was not tried, because its endpoint has enough to do."""
        least, most = self.crowded
        return min(most, max(least, age / 2)) * random.uniform(0.5, 1.5)
