"""What is ours of how nats-py's client gets its connection back: the pauses, what is no reason to leave, and its end.

Before Python 3.12 `asyncio.wait_for`, with which nats-py connects, loses a cancellation that comes together with the
result. A client that is closed at such a moment would go on connecting for ever, or be connected after its end.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import nats.errors
from nats.aio.client import Client, Server

from caravan_bus.tasks import cancel_and_wait

LONGEST_PAUSE = 2.0
"""Seconds between two tries."""
_FIRST_PAUSE = 0.05
_DOUBLED = 6
_NO_END = ("permissions violation", "invalid subject", "invalid publish subject", "maximum subscriptions")
"""Errors after which the server keeps the connection."""


def pause(servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
    """For nats-py's `reconnect_to_server_handler`, which is asked before each try: the server that failed least, and
    growing, jittered seconds to wait before it. Raises CancelledError, see :func:`heed_cancellation`."""
    heed_cancellation()
    server = min(servers, key=lambda s: s.reconnects)
    seconds = min(LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(server.reconnects, _DOUBLED))
    return server, seconds * random.uniform(0.5, 1.0)


def heed_cancellation(earlier: int = 0) -> None:
    """Raise CancelledError in a task that was cancelled, and may have lost that; `earlier` cancellations do not count,
    for who cleans up after one may connect for it."""
    if cancellations() > earlier:
        raise asyncio.CancelledError


def cancellations() -> int:
    """How often the current task was cancelled."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


async def end(client: Client) -> None:
    """To be called before `client.close`, which goes on before reconnecting has ended: a connection made at that very
    moment would stay."""
    await cancel_and_wait(client._reconnection_task)


async def refused(client: Client, why: str) -> None:
    """An -ERR of the server: nats-py would leave for ever; a user that a reload took away may be given back by the
    next."""
    why = why.strip(" '").lower()
    error = nats.errors.Error(f"nats: {why}")
    await client._error_cb(error)
    if not why.startswith(_NO_END):
        await client._process_op_err(error)
