"""How many tries again a model may cost: a share of its requests, or an outage would be met with twice the traffic."""

from __future__ import annotations

from typing import Final

from caravan_bus.routing.windows import Window

SECONDS: Final = 10.0
FREE: Final = 10
"""Tries again within :data:`SECONDS` that are never refused: one request alone may always be tried again."""


class Budget:
    """Of one model, in one process. Only a further try at a target that a request asked already counts: the next target
    is asked once, whatever happened before."""

    __slots__ = ("_requests", "_retries")

    def __init__(self) -> None:
        self._requests = Window(SECONDS)
        self._retries = Window(SECONDS)

    def request(self, now: float) -> None:
        """A request came."""
        self._requests.add(now)

    def take(self, now: float, share: float) -> bool:
        """Whether one try again is within the budget; it is counted then."""
        spent = self._retries.sum(now)
        if spent >= FREE and spent + 1 > share * self._requests.sum(now):
            return False
        self._retries.add(now)
        return True
