"""Who is asked for verdicts."""

from __future__ import annotations

import asyncio
import random
from typing import Final, Protocol

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, DeadlineExceeded
from caravan_contracts.safety import SERVICE, Check, Verdicts

from caravan_bus.requests import Requester

_SECOND_AFTER: Final = 0.4
"""Part of the time for a verdict after which another worker is asked as well: the first may be dead."""
_PAUSE: Final = 0.1
"""Seconds, at most, before a worker that refused is followed by another."""


class Checker(Protocol):
    """Judges texts."""

    async def check(self, check: Check, context: RequestContext) -> Verdicts:
        """The verdicts of the shields of `check`, in their order. Raises CaravanError when there are none within
        `check.timeout` seconds."""
        ...


class BusChecker:
    """The workers of the safety service: one, and when it does not answer, another, once."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    async def check(self, check: Check, context: RequestContext) -> Verdicts:
        """See :meth:`Checker.check`."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + check.timeout
        first = asyncio.ensure_future(self._ask(check, context, check.timeout))
        tasks: set[asyncio.Future[Verdicts]] = {first}
        try:
            await asyncio.wait(tasks, timeout=check.timeout * _SECOND_AFTER)
            if not first.done() or _may_be_asked_again(first):
                if first.done():
                    await asyncio.sleep(random.uniform(0, _PAUSE))
                tasks.add(asyncio.ensure_future(self._ask(check, context, ends - loop.time())))
            return await _first_good(tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _ask(self, check: Check, context: RequestContext, seconds: float) -> Verdicts:
        return await self._requester.ask(SERVICE, "check", check, Verdicts, context, seconds)


def _may_be_asked_again(task: asyncio.Future[Verdicts]) -> bool:
    error = task.exception()
    return isinstance(error, CaravanError) and error.retryable


async def _first_good(tasks: set[asyncio.Future[Verdicts]]) -> Verdicts:
    """The first answer; raises what the last one failed with."""
    left = set(tasks)
    error: BaseException = DeadlineExceeded("no shield was asked")
    while left:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            failed = task.exception()
            if failed is None:
                return task.result()
            error = failed
    raise error
