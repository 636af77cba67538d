"""What happens to a request beside its answer: the client may go away, take nothing, or need a sign of life."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from caravan_bus.tasks import cancel_and_wait

from caravan_gateway.asgi import Event, Send

log = logging.getLogger(__name__)

TICK: Final = 0.25
PING_SECONDS: Final = 10.0
PING_PATIENCE: Final = 1.0
LAST_SECONDS: Final = 5.0
"""How long after its deadline, or after its answer broke, a client may take to read the rest of it."""
PING: Final = b": ping\n\n"
"""A comment in a stream of server-sent events: nothing to its reader, and a sign of life to what lies between."""


class Line(Protocol):
    """A client's connection."""

    on_lost: Callable[[], None] | None
    """Called once if the client goes away before its answer is complete."""

    def cut(self) -> None:
        """Close it now."""
        ...


class Watched:
    """One request under way."""

    __slots__ = (
        "deadline",
        "gone",
        "last_write",
        "line",
        "ping",
        "ping_body",
        "send",
        "streaming",
        "task",
        "unsent",
        "writing",
        "wrote",
    )

    def __init__(self, send: Send, line: Line) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is served by a task")
        self.task: asyncio.Task[object] = task
        self.send = send
        self.line = line
        self.deadline = float("inf")
        """On the monotonic clock."""
        self.unsent = b""
        """What waits until the client has taken what was before it."""
        self.gone = False
        self.streaming = False
        self.writing = False
        self.wrote = False
        """Whether something was written since the last tick."""
        self.last_write = 0.0
        self.ping: asyncio.Task[None] | None = None
        self.ping_body = PING
        """What says in its stream that it goes on."""

    async def end(self, event: Event) -> None:
        """Send the last of an answer that broke. A client that does not take it is cut off."""
        timer = asyncio.get_running_loop().call_later(LAST_SECONDS, self.cut)
        try:
            await self.send(event)
        finally:
            timer.cancel()

    def cut(self) -> None:
        """Close the connection of a client that takes nothing."""
        self.line.cut()

    def leave(self) -> None:
        """The client went away: whatever serves its request stops."""
        self.gone = True
        self.task.cancel()


class Watch:
    """Every request under way in this process."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._open: set[Watched] = set()
        self._clock = clock or asyncio.get_running_loop().time
        self._task = asyncio.create_task(self._run(), name="client-watch")

    def __len__(self) -> int:
        return len(self._open)

    def add(self, send: Send, line: Line) -> Watched:
        """Watch the request of the current task, whose body has been read."""
        made = Watched(send, line)
        line.on_lost = made.leave
        self._open.add(made)
        return made

    def remove(self, watched: Watched) -> None:
        """It is over."""
        self._open.discard(watched)
        watched.line.on_lost = None
        if watched.ping is not None:
            watched.ping.cancel()

    async def close(self) -> None:
        """Stop watching."""
        await cancel_and_wait(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now, latest = self._clock(), time.monotonic() - LAST_SECONDS
            for watched in list(self._open):
                if watched.deadline < latest:
                    watched.cut()
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
            await watched.send({"type": "http.response.body", "body": watched.ping_body, "more_body": True})
    except (TimeoutError, OSError) as error:
        log.debug("a client does not take its heartbeat: %r", error)
    except RuntimeError as error:  # uvicorn's word for an answer that is complete
        log.debug("an answer ended before its heartbeat: %s", error)
