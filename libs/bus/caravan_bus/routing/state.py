"""What one process knows of targets, kept in step with the others over the bus."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final

from caravan_contracts import subjects as s
from caravan_contracts.routing import LoadFact, TargetFact, TargetState
from pydantic import ValidationError

from caravan_bus import metrics
from caravan_bus.routing.budget import Budget
from caravan_bus.routing.health import Health
from caravan_bus.routing.limits import Loads
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 1.0
SOON_SECONDS: Final = 0.1
"""A load that changed is told at most this often."""
_MAX_BUDGETS: Final = 4096


class RoutingState:
    """One per process that asks for inference. Without :meth:`start` it knows only what it finds out itself."""

    def __init__(
        self,
        transport: Transport | None = None,
        instance: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self.clock = clock
        self.health = Health(instance, clock, self._say)
        self.loads = Loads(instance, clock, self._soon)
        self._budgets: dict[str, Budget] = {}
        self._subscriptions: list[Subscription] = []
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Hear what others found out, and tell them."""
        if self._transport is None:
            raise RuntimeError("there is no bus to share with")
        self._subscriptions = [
            await self._transport.subscribe(s.ROUTING_TARGET, self._on_target),
            await self._transport.subscribe(s.ROUTING_LOAD, self._on_load),
        ]
        self._task = asyncio.create_task(self._beat(), name="routing-state")

    async def close(self) -> None:
        """Stop."""
        task, self._task = self._task, None  # from here on nothing is told soon
        if self._timer is not None:
            self._timer.cancel()
        await cancel_and_wait(task)
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    def budget(self, model: str) -> Budget:
        """Of one model, by its name."""
        budget = self._budgets.get(model)
        if budget is None:
            if len(self._budgets) >= _MAX_BUDGETS:  # names that a provider takes without listing them have no end
                self._budgets.clear()
            budget = self._budgets[model] = Budget()
        return budget

    def _say(self, fact: TargetFact) -> None:
        log.info("target %s is %s", fact.target, fact.state.value, extra={"seconds": round(fact.seconds, 1)})
        if fact.state is not TargetState.PROBING:
            self._show(fact)
        if self._transport is not None:
            self._transport.publish(s.ROUTING_TARGET, fact.model_dump_json().encode())

    def _show(self, fact: TargetFact) -> None:
        if fact.state is not TargetState.LIMITED:
            # without the tenant, as all labels
            metrics.TARGET_OPEN.labels(fact.target.partition("/")[2]).set(fact.state is TargetState.OPEN)

    def _soon(self) -> None:
        if self._timer is None and self._task is not None:
            self._timer = asyncio.get_running_loop().call_later(SOON_SECONDS, self._tell_load)

    def _tell_load(self) -> None:
        self._timer = None
        fact = self.loads.fact()
        if fact is not None and self._transport is not None:
            self._transport.publish(s.ROUTING_LOAD, fact.model_dump_json().encode())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS * random.uniform(0.9, 1.0))
            self._tell_load()
            for fact in self.health.facts():
                if self._transport is not None:
                    self._transport.publish(s.ROUTING_TARGET, fact.model_dump_json().encode())
            self.health.forget()

    def _on_target(self, message: Message) -> None:
        try:
            fact = TargetFact.model_validate_json(message.data)
        except ValidationError as error:
            log.warning("unreadable fact of a target: %d errors", error.error_count())
            return
        self.health.heard(fact)
        if fact.state is not TargetState.PROBING:
            self._show(fact)

    def _on_load(self, message: Message) -> None:
        try:
            self.loads.heard(LoadFact.model_validate_json(message.data))
        except ValidationError as error:
            log.warning("unreadable fact of a load: %d errors", error.error_count())
