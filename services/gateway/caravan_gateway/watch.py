"""What happens to a request beside its answer: the client may go away, or need a sign of life.

A quick request never gets here: only one that is older than a tick is given a task that waits for the disconnect.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from caravan_bus.tasks import cancel_and_wait

from caravan_gateway.asgi import Receive, Send

log = logging.getLogger(__name__)

TICK: Final = 0.25
PING_SECONDS: Final = 10.0
PING_PATIENCE: Final = 1.0
_PING: Final = {"type": "http.response.body", "body": b": ping\n\n", "more_body": True}


class Watched:
    """One request under way."""

    __slots__ = (
        "gone",
        "last_write",
        "ping",
        "receive",
        "send",
        "streaming",
        "task",
        "ticks",
        "waiter",
        "writing",
        "wrote",
    )

    def __init__(self, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is served by a task")
        self.task: asyncio.Task[object] = task
        self.receive = receive
        self.send = send
        self.gone = False
        self.streaming = False
        self.writing = False
        self.wrote = False
        """Whether something was written since the last tick."""
        self.last_write = 0.0
        self.ticks = 0
        self.waiter: asyncio.Task[None] | None = None
        self.ping: asyncio.Task[None] | None = None


class Watch:
    """Every request under way in this process."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._open: set[Watched] = set()
        self._clock = clock or asyncio.get_running_loop().time
        self._task = asyncio.create_task(self._run(), name="client-watch")

    def __len__(self) -> int:
        return len(self._open)

    def add(self, receive: Receive, send: Send) -> Watched:
        """Watch the request of the current task, whose body has been read."""
        made = Watched(receive, send)
        self._open.add(made)
        return made

    def remove(self, watched: Watched) -> None:
        """It is over."""
        self._open.discard(watched)
        for task in (watched.waiter, watched.ping):
            if task is not None:
                task.cancel()

    async def close(self) -> None:
        """Stop watching."""
        await cancel_and_wait(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = self._clock()
            for watched in list(self._open):
                watched.ticks += 1
                if watched.ticks >= 2 and watched.waiter is None:
                    watched.waiter = asyncio.create_task(_wait_for_disconnect(watched))
                if watched.wrote:
                    watched.wrote, watched.last_write = False, now
                if watched.streaming and not watched.writing and now - watched.last_write >= PING_SECONDS:
                    watched.last_write = now
                    # in a task of its own: a client that takes nothing keeps no other waiting
                    watched.ping = asyncio.create_task(_ping(watched))


async def _ping(watched: Watched) -> None:
    if not watched.streaming or watched.writing:
        return  # it ended, or went on, before this task's turn came
    try:
        async with asyncio.timeout(PING_PATIENCE):
            await watched.send(_PING)
    except (TimeoutError, OSError) as error:
        log.debug("a client does not take its heartbeat: %r", error)
    except RuntimeError as error:  # uvicorn's word for an answer that is complete
        log.debug("an answer ended before its heartbeat: %s", error)


async def _wait_for_disconnect(watched: Watched) -> None:
    while True:
        event = await watched.receive()
        if event["type"] == "http.disconnect":
            watched.gone = True
            watched.task.cancel()
            return
