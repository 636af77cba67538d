"""Processes that wait for the same slots leave each other a part of them.

Whoever's answer ends is the first to know of the free slot. Without this the process that holds most slots would keep
them for as long as anybody waits there, and whoever waits elsewhere would be fair in vain. The parts are by waiting
tenants, so that it hardly matters at which gateway somebody asks.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable
from typing import Final

from caravan_contracts import subjects as s
from caravan_contracts.routing import LineFact
from pydantic import ValidationError

from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 0.25
GONE_SECONDS: Final = 1.0


class Sharing:
    """Of one process. Before :meth:`start` it knows of nobody else."""

    def __init__(self, transport: Transport, own: Callable[[], dict[str, int]], changed: Callable[[], None]) -> None:
        """`own` tells how many tenants wait here, by provider; `changed` is called when others may have left slots."""
        self._transport = transport
        self._own = own
        self._changed = changed
        self._instance = secrets.token_hex(8)
        self.others: dict[str, tuple[float, dict[str, int]]] = {}
        """Processes at which requests wait: when they were heard, and their tenants."""
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
        if self._early is not None:
            self._early.cancel()
        await cancel_and_wait(self._task)
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    def begun(self) -> None:
        """Somebody waits here; nobody did."""
        if self._task is not None and self._early is None:
            self._early = asyncio.get_running_loop().call_soon(self._tell)

    def part(self, provider: str, slots: int) -> int:
        """How many of a provider's slots may be held here while others wait for them as well."""
        if not self.others:
            return slots
        now = asyncio.get_running_loop().time()
        others = sum(tenants.get(provider, 0) for heard, tenants in self.others.values() if now - heard < GONE_SECONDS)
        if not others:
            return slots
        own = max(1, self._own().get(provider, 0))
        return math.ceil(slots * own / (own + others))

    def _tell(self) -> None:
        self._early = None
        own = self._own()
        if own or self._told:
            self._told = bool(own)
            fact = LineFact(instance=self._instance, tenants=own)
            self._transport.publish(s.ROUTING_LINE, fact.model_dump_json().encode())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._tell()
            now = asyncio.get_running_loop().time()
            silent = [name for name, (heard, _) in self.others.items() if now - heard >= GONE_SECONDS]
            for name in silent:
                del self.others[name]
            if silent:
                self._changed()

    def _on_fact(self, message: Message) -> None:
        try:
            fact = LineFact.model_validate_json(message.data)
        except ValidationError as error:
            log.warning("unreadable fact of a line: %d errors", error.error_count())
            return
        if fact.instance == self._instance:
            return
        if fact.tenants:
            self.others[fact.instance] = (asyncio.get_running_loop().time(), fact.tenants)
        elif self.others.pop(fact.instance, None) is not None:
            self._changed()
