"""Following a run of this gateway: its answer from the beginning, out of memory."""

from __future__ import annotations

import asyncio

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import DeadlineExceeded

from caravan_gateway.idempotency.run import Run
from caravan_gateway.source import Pulled


class Following(Pulled):
    """For one request; :meth:`leave` it once."""

    def __init__(self, run: Run, context: RequestContext, first: bool) -> None:
        """`first` when the run was begun for it."""
        self.first = first
        self._run = run
        self._context = context
        self._next = 1  # the first part says where it is from
        run.followed()

    async def read(self) -> bytes:
        """See :meth:`Source.read`."""
        run = self._run
        while self._next >= len(run.parts) and not run.over:
            try:
                async with asyncio.timeout(max(0.0, self._context.remaining)):
                    await run.changed()
            except TimeoutError as error:
                raise DeadlineExceeded("the request's time is over") from error
        self.origin = run.origin
        if self._next < len(run.parts):
            data = b"".join(run.parts[self._next :])
            self._next = len(run.parts)
            return data
        if run.error is not None:
            raise run.error
        return b""

    def leave(self) -> None:
        """Nobody reads it any more."""
        self._run.left()
