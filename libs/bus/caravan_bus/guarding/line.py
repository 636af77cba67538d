"""All that a process needs to enforce guardrails, started and closed together."""

from __future__ import annotations

from typing import Final

from caravan_contracts.work import VERDICTS

from caravan_bus.guarding.checker import BusChecker
from caravan_bus.guarding.guard import Guarding
from caravan_bus.requests import Requester
from caravan_bus.transport import Transport
from caravan_bus.verdicts import VerdictLog
from caravan_bus.work.api import JetStream
from caravan_bus.work.jetstream import JetStreamQueue

_LAST_SECONDS: Final = 2.0


class GuardLine:
    """One per process."""

    def __init__(self, transport: Transport, requester: Requester, user: str, instance: str) -> None:
        self._jetstream = JetStream(transport, user, f"{instance}-guardrails")
        self._log = VerdictLog(transport, JetStreamQueue(self._jetstream, VERDICTS))
        self.guarding = Guarding(BusChecker(requester), self._log)

    async def start(self) -> None:
        """Hear what the queue confirms."""
        await self._jetstream.start()

    async def close(self) -> None:
        """Wait a little for what is under way."""
        await self.guarding.close(_LAST_SECONDS)
        await self._log.close(_LAST_SECONDS)
        await self._jetstream.close()
