"""One supervised child: started, watched, restarted with backoff, stopped."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections.abc import Callable, Coroutine, Iterable
from enum import StrEnum
from typing import Any, Protocol

from caravan.errors import ChildFailed, StartError
from caravan.runtime.process import Child, ChildSpec, describe_exit

log = logging.getLogger("caravan.runtime")

FIRST_BACKOFF, LAST_BACKOFF = 0.1, 10.0
"""Seconds before the first restart and the longest pause; doubled each time, +-25 % so that children don't march."""
STABLE_SECONDS = 30.0
"""A child that ran this long begins again with the first backoff."""


class Phase(StrEnum):
    """Where a child is in its life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    HELD = "held"
    """Killed on purpose, not restarted until told."""
    STOPPED = "stopped"


class Part(Protocol):
    """Something that runs as a child: a server or a service."""

    @property
    def name(self) -> str:
        """Unique in one instance; names the log."""
        ...

    @property
    def start_seconds(self) -> float:
        """How long it may take to become ready."""
        ...

    async def spec(self) -> ChildSpec:
        """How to run it now; writes its files. Called before every start."""
        ...

    async def ping(self) -> None:
        """Speak its protocol once; raises OSError (or TimeoutError) while it is not ready."""
        ...


Listener = Callable[["Supervised"], None]


def _ignore(_: Supervised) -> None:
    return None


class Supervised:
    """Runs one :class:`Part` until stopped. `listener` hears of every change of phase."""

    def __init__(self, part: Part, listener: Listener = _ignore) -> None:
        self.part = part
        self.phase = Phase.STOPPED
        self.restarts = 0
        self.since = time.time()
        """When the present run began (UNIX seconds)."""
        self._child: Child | None = None
        self._watch: asyncio.Task[None] | None = None
        self._listener = listener

    @property
    def name(self) -> str:
        """The part's name."""
        return self.part.name

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child and self._child.exit_code is None else None

    async def start(self) -> None:
        """Start it and wait until it is ready; raises :class:`StartError`. Restarts it from then on."""
        self._enter(Phase.STARTING)
        await self._run_until_ready()
        self._watch = asyncio.create_task(self._keep_alive(), name=f"watch {self.name}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the running child."""
        if self._child:
            self._child.send(number)

    async def hold(self) -> None:
        """SIGKILL it and leave it dead until :meth:`start`."""
        await self._end_watch()
        if self._child:
            await self._child.kill()
        self._enter(Phase.HELD)

    async def stop(self) -> None:
        """Stop it in its own way; no restart."""
        await self._end_watch()
        if self._child:
            await self._child.stop()
        self._enter(Phase.STOPPED)

    async def _run_until_ready(self) -> None:
        self._child = child = await Child.start(await self.part.spec())
        self.since = time.time()
        self._listener(self)  # its pid is known now
        ended = asyncio.create_task(child.wait())
        ready = asyncio.create_task(self._ping_until_ready())
        try:
            await asyncio.wait((ended, ready), timeout=self.part.start_seconds, return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and not ended.done():
                ready.result()
                self._enter(Phase.READY)
                return
            if ended.done():
                reason = describe_exit(ended.result())
            else:
                reason = f"it was not ready after {self.part.start_seconds:g} s"
            raise ChildFailed(self.name, reason, child.spec.log, child.last_words())
        except BaseException:
            await child.kill()
            raise
        finally:
            await _cancel(ready)
            await _cancel(ended)

    async def _ping_until_ready(self) -> None:
        pause = 0.01
        while True:
            try:
                async with asyncio.timeout(5):
                    return await self.part.ping()
            except OSError:  # TimeoutError is one
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.2)

    async def _keep_alive(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            assert self._child is not None
            code = await self._child.wait()
            if time.time() - self.since > STABLE_SECONDS:
                backoff = FIRST_BACKOFF
            reason = describe_exit(code)
            while True:
                self._enter(Phase.RESTARTING)
                pause = backoff * random.uniform(0.75, 1.25)
                log.warning("%s: %s; restart in %.1f s", self.name, reason, pause)
                await asyncio.sleep(pause)
                backoff = min(backoff * 2, LAST_BACKOFF)
                self.restarts += 1
                try:
                    await self._run_until_ready()
                    break
                except (StartError, OSError) as error:
                    reason = str(error)
                except Exception as error:  # whatever it is: to give the child up would be worse
                    log.exception("%s could not be started again", self.name)
                    reason = f"it could not be started: {type(error).__name__}"
            log.warning("%s: running again as process %s", self.name, self.pid)

    async def _end_watch(self) -> None:
        if self._watch:
            await _cancel(self._watch)
            self._watch = None

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._listener(self)


async def together(starts: Iterable[Coroutine[object, object, None]]) -> None:
    """Run them at once; when one fails the others are cancelled, and its error is raised (the first, if several)."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
