"""The line in front of a provider whose slots are all taken.

Tenants take turns, whatever the length of their queues; inside a tenant its models do, and inside a model the oldest
request comes first. The last changes while a tenant loses requests unforeseen (clients that leave without having said
when): then its newest come first. Where patience is not known, the oldest are those that will leave soon, and a slot
given to one is mostly wasted.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from caravan_contracts.errors import CaravanError

_WEIGHT: Final = 0.1
_LOSING: Final = 0.15
"""Two losses in short order, or about one in seven for a while."""
_FORGOTTEN: Final = 0.01
_REMEMBERED: Final = 1024
"""Tenants whose losses are remembered while others wait."""


class Turn:
    """One request in line."""

    __slots__ = ("cost", "model", "refusal", "tenant", "trying", "wake")

    def __init__(self, tenant: str, model: str) -> None:
        self.tenant = tenant
        self.model = model
        self.cost = 1
        """What it counted when it began to try."""
        self.trying = False
        """Whether it found a slot and is asking the worker for it."""
        self.wake: asyncio.Future[None] | None = None
        """Set while it sleeps."""
        self.refusal: CaravanError | None = None
        """Why it was taken out of the line by somebody else."""

    def rouse(self) -> None:
        """Let it look."""
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)


@dataclass(slots=True)
class _Queue:
    """One tenant's."""

    round: int
    """Turns it had, counted so that one that comes anew begins where the others are."""
    models: OrderedDict[str, OrderedDict[Turn, None]] = field(default_factory=OrderedDict)
    """Those who wait; the model that is next comes first."""
    waiting: int = 0
    trying: int = 0
    lost: float = 0.0
    """What part of those who waited left unforeseen, the last ones counting most."""

    def __len__(self) -> int:
        return self.waiting + self.trying

    @property
    def newest_first(self) -> bool:
        return self.lost > _LOSING

    def add(self, turn: Turn, *, first: bool) -> None:
        lane = self.models.setdefault(turn.model, OrderedDict())
        lane[turn] = None
        self.waiting += 1
        if first:
            lane.move_to_end(turn, last=self.newest_first)
            self.models.move_to_end(turn.model, last=False)

    def take(self, turn: Turn, *, served: bool) -> None:
        lane = self.models[turn.model]
        del lane[turn]
        self.waiting -= 1
        if not lane:
            del self.models[turn.model]
        elif served:
            self.models.move_to_end(turn.model)

    def turns(self) -> Iterator[Turn]:
        """In the order in which they will be served."""
        lanes = deque(reversed(lane) if self.newest_first else iter(lane) for lane in self.models.values())
        while lanes:
            lane = lanes.popleft()
            turn = next(lane, None)
            if turn is not None:
                yield turn
                lanes.append(lane)

    def ahead(self, model: str) -> int:
        """Turns of its own before one that is added now."""
        if self.newest_first:
            return 0
        own = len(self.models.get(model, ()))
        return self.trying + own + _before(own, (len(lane) for name, lane in self.models.items() if name != model))


class FairLine:
    """Turns by tenant."""

    def __init__(self, cost: Callable[[str], int] = lambda _: 1) -> None:
        """`cost` is what a turn counts for a tenant: 2 for one that waits at two processes, and has turns at both."""
        self._queues: dict[str, _Queue] = {}
        self._losses: dict[str, float] = {}
        """Of tenants of whom nobody waits at the moment."""
        self._size = 0
        self._cost = cost

    def __len__(self) -> int:
        return self._size

    @property
    def tenants(self) -> Collection[str]:
        """Who waits."""
        return self._queues.keys()

    def of(self, tenant: str) -> int:
        """How many of one tenant wait."""
        queue = self._queues.get(tenant)
        return len(queue) if queue is not None else 0

    def newest_first(self, tenant: str) -> bool:
        """Whether a tenant loses more of those who wait than one in a few."""
        queue = self._queues.get(tenant)
        return queue is not None and queue.newest_first

    def ahead(self, tenant: str, model: str) -> int:
        """How many would be served before a request that is added now."""
        queue = self._queues.get(tenant)
        own = queue.ahead(model) if queue is not None else 0
        return own + _before(own, (len(other) for name, other in self._queues.items() if name != tenant))

    def join(self, tenant: str, model: str, *, first: bool = False) -> Turn:
        """Add one; before the others of its tenant when it is to be `first`."""
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = _Queue(min((q.round for q in self._queues.values()), default=0))
            queue.lost = self._losses.pop(tenant, 0.0)
        turn = Turn(tenant, model)
        queue.add(turn, first=first)
        self._size += 1
        return turn

    def leave(self, turn: Turn, *, lost: bool) -> None:
        """Take one out; `lost` when nobody could foresee that it would not be served."""
        queue = self._queues[turn.tenant]
        if turn.trying:
            queue.trying -= 1
        else:
            queue.take(turn, served=False)
        queue.lost += _WEIGHT * (lost - queue.lost)
        self._size -= 1
        if not queue:
            del self._queues[turn.tenant]
            if queue.lost > _FORGOTTEN and len(self._losses) < _REMEMBERED:
                self._losses[turn.tenant] = queue.lost

    def begin(self, turn: Turn) -> None:
        """It found a slot; the next one may look for another."""
        queue = self._queues[turn.tenant]
        queue.take(turn, served=True)
        queue.trying += 1
        turn.cost = self._cost(turn.tenant)
        queue.round += turn.cost
        turn.trying = True

    def back(self, turn: Turn) -> None:
        """The slot was somebody else's: it is first again."""
        queue = self._queues[turn.tenant]
        queue.add(turn, first=True)
        queue.trying -= 1
        queue.round -= turn.cost
        turn.trying = False

    def first(self, count: int) -> list[Turn]:
        """The next `count`."""
        if count == 1:  # a slot was given back: nearly always this
            ready = [queue for queue in self._queues.values() if queue.waiting]
            return [next(min(ready, key=lambda queue: queue.round).turns())] if ready else []
        heap: list[tuple[int, int, Turn, int, Iterator[Turn]]] = []
        for number, (tenant, queue) in enumerate(self._queues.items()):
            turns = queue.turns()
            turn = next(turns, None)
            if turn is not None:
                heap.append((queue.round, number, turn, self._cost(tenant), turns))
        heapq.heapify(heap)
        found: list[Turn] = []
        while heap and len(found) < count:
            round_, number, turn, cost, turns = heap[0]
            found.append(turn)
            following = next(turns, None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (round_ + cost, number, following, cost, turns))
        return found

    def everybody(self) -> list[Turn]:
        """All who sleep."""
        return [turn for queue in self._queues.values() for lane in queue.models.values() for turn in lane]

    def last_of_longest(self) -> Turn | None:
        """Of the tenant with most requests in line, the one that would be served last."""
        queue = max(self._queues.values(), key=lambda queue: queue.waiting, default=None)
        if queue is None or not queue.waiting:
            return None
        lane = max(queue.models.values(), key=len)
        return next(iter(lane) if queue.newest_first else reversed(lane))


def _before(own: int, others: Iterable[int]) -> int:
    """How many of `others`, who take turns with it, come before one that is number `own` (from 0) in its queue."""
    return sum(min(length, own + 1) for length in others)
