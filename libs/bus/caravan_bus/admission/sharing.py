"""Processes that wait for the same slots leave each other a part of them.

Whoever's answer ends is the first to know of the free slot. Without this the process that holds most slots would keep
them for as long as anybody waits there, and whoever waits elsewhere would be fair in vain.

The parts are by waiting tenants: each tenant counts once in the mesh, divided by the processes at which it waits. So it
hardly matters at which gateway somebody asks, or at how many.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from caravan_contracts import subjects as s
from caravan_contracts.routing import LineFact
from pydantic import ValidationError

from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 0.25
GONE_SECONDS: Final = 1.0
TURN_SECONDS: Final = 0.5
"""A slot that cannot be divided goes round: so long it is one process's, then another's."""
_MAX_TENANTS: Final = 256
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_COUNTED_SECONDS: Final = 0.05
"""How long a count of the waiting tenants is used: lines change with every request."""


@dataclass(frozen=True, slots=True)
class _Weights:
    """Of one provider."""

    at: float
    own: float
    before: float
    """Of processes whose ids are smaller; who divides in which order is the same everywhere."""
    total: float


class Sharing:
    """Of one process. Before :meth:`start` it knows of nobody else."""

    def __init__(
        self, transport: Transport, own: Callable[[], Mapping[str, Iterable[str]]], changed: Callable[[], None]
    ) -> None:
        """`own` tells which tenants wait here, by provider; `changed` is called when others may have left slots."""
        self._transport = transport
        self._own = own
        self._changed = changed
        self._instance = secrets.token_hex(8)
        self.others: dict[str, tuple[float, dict[str, frozenset[int]]]] = {}
        """Processes at which requests wait: when they were heard, and their tenants."""
        self._weights: dict[str, _Weights] = {}
        self._told = False
        self._early: asyncio.Handle | None = None
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Hear of the others, and tell them."""
        self._subscription = await self._transport.subscribe(s.ROUTING_LINE, self._on_fact)
        self._task = asyncio.create_task(self._beat(), name="line-sharing")

    async def close(self) -> None:
        """Stop."""
        await cancel_and_wait(self._task)
        self._task = None
        if self._early is not None:
            self._early.cancel()
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    def begun(self) -> None:
        """Somebody waits here; nobody did."""
        self._weights.clear()
        if self._task is not None and self._early is None and not self._told:
            self._early = asyncio.get_running_loop().call_soon(self._tell)

    def part(self, provider: str, slots: int) -> int:
        """How many of a provider's slots may be held here while others wait for them as well. The parts of all who wait
        are `slots` together; what is left of a division goes round, so that with fewer slots than processes each has
        one for a while."""
        if not self.others:
            return slots
        weights = self._weighed(provider)
        if weights.own >= weights.total:
            return slots
        turn = int(time.time() / TURN_SECONDS) * _GOLDEN % 1.0
        begin = slots * weights.before / weights.total + turn
        end = slots * (weights.before + weights.own) / weights.total + turn
        return math.floor(end) - math.floor(begin)

    def processes(self, provider: str, tenant: str) -> int:
        """At how many processes a tenant waits that waits here."""
        if not self.others:
            return 1
        mark = _mark(tenant)
        return 1 + sum(mark in tenants.get(provider, ()) for _, tenants in self.others.values())

    def _weighed(self, provider: str) -> _Weights:
        now = asyncio.get_running_loop().time()
        kept = self._weights.get(provider)
        if kept is not None and now - kept.at < _COUNTED_SECONDS:
            return kept
        waiting = {
            name: tenants[provider]
            for name, (heard, tenants) in self.others.items()
            if provider in tenants and now - heard < GONE_SECONDS
        }
        own = _marks(self._own().get(provider, ()))
        places = Counter(mark for marks in (*waiting.values(), own) for mark in marks)
        shares = {name: sum(1 / places[mark] for mark in marks) for name, marks in waiting.items()}
        # a process at which nobody waits may have what one tenant may
        mine = sum(1 / places[mark] for mark in own) or 1.0
        before = sum(share for name, share in shares.items() if name < self._instance)
        made = self._weights[provider] = _Weights(now, mine, before, mine + sum(shares.values()))
        return made

    def _tell(self) -> None:
        self._early = None
        own = {provider: sorted(_marks(tenants)) for provider, tenants in self._own().items()}
        if own or self._told:
            self._told = bool(own)
            fact = LineFact(instance=self._instance, tenants=own)
            self._transport.publish(s.ROUTING_LINE, fact.model_dump_json().encode())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._tell()
            if not self.others:
                continue
            now = asyncio.get_running_loop().time()
            for name in [name for name, (heard, _) in self.others.items() if now - heard >= GONE_SECONDS]:
                del self.others[name]
            self._weights.clear()
            self._changed()  # others are gone, or it is another's turn

    def _on_fact(self, message: Message) -> None:
        try:
            fact = LineFact.model_validate_json(message.data)
        except ValidationError as error:
            log.warning("unreadable fact of a line: %d errors", error.error_count())
            return
        if fact.instance == self._instance:
            return
        if fact.tenants:
            known = {provider: frozenset(marks) for provider, marks in fact.tenants.items() if marks}
            self.others[fact.instance] = (asyncio.get_running_loop().time(), known)
            self._weights.clear()
        elif self.others.pop(fact.instance, None) is not None:
            self._weights.clear()
            self._changed()


def _mark(tenant: str) -> int:
    return zlib.crc32(tenant.encode())


def _marks(tenants: Iterable[str]) -> frozenset[int]:
    found = [_mark(tenant) for tenant in tenants]
    return frozenset(found if len(found) <= _MAX_TENANTS else sorted(found)[:_MAX_TENANTS])
