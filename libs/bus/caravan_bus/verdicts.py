"""Telling the audit what shields said: a fact for whoever listens, and a job that makes a row of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from caravan_contracts import subjects as s
from caravan_contracts.safety import VerdictFact, VerdictRows

from caravan_bus.transport import Transport
from caravan_bus.work.outbox import Outbox, OutboxOptions
from caravan_bus.work.queue import Job, WorkQueue, new_job_id

MOST_ROWS: Final = 256
"""Of one job."""
_BOUNDS: Final = OutboxOptions(max_bytes=16 * 1024**2)


def new_verdict_id() -> str:
    """``vrd_`` and 24 hex digits."""
    return f"vrd_{new_job_id()}"


class VerdictLog:
    """One per process. Nobody waits for it; what the queue does not confirm is sent again, within bounds."""

    def __init__(self, transport: Transport, queue: WorkQueue) -> None:
        """`queue`: VERDICTS."""
        self._transport = transport
        self._outbox = Outbox(queue, _BOUNDS)

    def tell(self, facts: Sequence[VerdictFact]) -> None:
        """Publish facts that belong together; returns at once."""
        for fact in facts:
            self._transport.publish(s.SAFETY_VERDICT, fact.model_dump_json().encode())
        for start in range(0, len(facts), MOST_ROWS):
            rows = VerdictRows(data=list(facts[start : start + MOST_ROWS]))
            self._outbox.put(Job(new_job_id(), rows.model_dump_json().encode()))

    async def close(self, timeout: float) -> None:
        """Give the queue `timeout` seconds to confirm what is left."""
        await self._outbox.close(timeout)
