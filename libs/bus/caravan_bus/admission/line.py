"""The line in front of a provider whose slots are all taken.

Tenants take turns, whatever the length of their queues; inside a tenant the oldest comes first. That changes while
the line loses people unforeseen (clients that leave without having said when): then the newest comes first. Where
patience is not known, the oldest are those that will leave soon, and a slot given to one is mostly wasted.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_WEIGHT: Final = 0.1
_LOSING: Final = 0.15
"""Two losses in short order, or about one in seven for a while."""


class Turn:
    """One request in line."""

    __slots__ = ("tenant", "trying", "wake")

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.trying = False
        """Whether it found a slot and is asking the worker for it."""
        self.wake: asyncio.Future[None] | None = None
        """Set while it sleeps."""


@dataclass(slots=True)
class _Queue:
    """One tenant's."""

    round: int
    """Turns it had, counted so that one that comes anew begins where the others are."""
    waiting: OrderedDict[Turn, None] = field(default_factory=OrderedDict)
    trying: int = 0

    def __len__(self) -> int:
        return len(self.waiting) + self.trying


class FairLine:
    """Turns by tenant."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._size = 0
        self._lost = 0.0

    def __len__(self) -> int:
        return self._size

    @property
    def newest_first(self) -> bool:
        """Whether it loses more of those who wait than one in a few."""
        return self._lost > _LOSING

    @property
    def tenants(self) -> int:
        """How many tenants wait."""
        return len(self._queues)

    def of(self, tenant: str) -> int:
        """How many of one tenant wait."""
        queue = self._queues.get(tenant)
        return len(queue) if queue is not None else 0

    def ahead(self, tenant: str) -> int:
        """How many would be served before one that `tenant` adds now."""
        own = 0 if self.newest_first else self.of(tenant)
        return own + sum(min(len(queue), own + 1) for name, queue in self._queues.items() if name != tenant)

    def join(self, tenant: str) -> Turn:
        """Add one."""
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = _Queue(min((q.round for q in self._queues.values()), default=0))
        turn = Turn(tenant)
        queue.waiting[turn] = None
        self._size += 1
        return turn

    def leave(self, turn: Turn, *, lost: bool) -> None:
        """Take one out; `lost` when nobody could foresee that it would not be served."""
        queue = self._queues[turn.tenant]
        if turn.trying:
            queue.trying -= 1
        else:
            del queue.waiting[turn]
        if not queue:
            del self._queues[turn.tenant]
        self._size -= 1
        self._lost += _WEIGHT * (lost - self._lost)
        if not self._size:
            self._lost = 0.0

    def begin(self, turn: Turn) -> None:
        """It found a slot; the next one may look for another."""
        queue = self._queues[turn.tenant]
        del queue.waiting[turn]
        queue.trying += 1
        queue.round += 1
        turn.trying = True

    def back(self, turn: Turn) -> None:
        """The slot was somebody else's: it is first again."""
        queue = self._queues[turn.tenant]
        queue.waiting[turn] = None
        queue.waiting.move_to_end(turn, last=self.newest_first)
        queue.trying -= 1
        queue.round -= 1
        turn.trying = False

    def first(self, count: int) -> list[Turn]:
        """The next `count`."""
        newest = self.newest_first
        heap: list[tuple[int, int, Turn, Iterator[Turn]]] = []
        for number, queue in enumerate(self._queues.values()):
            turns = iter(reversed(queue.waiting) if newest else queue.waiting)
            turn = next(turns, None)
            if turn is not None:
                heap.append((queue.round, number, turn, turns))
        heapq.heapify(heap)
        found: list[Turn] = []
        while heap and len(found) < count:
            round_, number, turn, turns = heap[0]
            found.append(turn)
            following = next(turns, None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (round_ + 1, number, following, turns))
        return found
