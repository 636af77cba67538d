"""A stream on its way into a client's socket, written in the very turn of the loop in which it arrives.

An ASGI server's `send` waits only when the client is slow. So no task is woken for each token: the coroutine of `send`
is run on the spot, and whoever reads the stream waits for the rest of it only when there is one.
"""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import Any

from caravan_gateway.asgi import Send
from caravan_gateway.watch import Watched


class Sending:
    """For one answer whose headers were sent; see :class:`caravan_bus.stream.reader.Sink`."""

    __slots__ = ("_rest", "_send", "_waits_for", "_watched")

    def __init__(self, send: Send, watched: Watched) -> None:
        self._send = send
        self._watched = watched
        self._rest: Generator[Any, Any, Any] | None = None
        self._waits_for: Any = None

    def take(self, data: bytes) -> bool:
        """Write `data`. False when the client has to take some of it first."""
        step = self._send({"type": "http.response.body", "body": data, "more_body": True}).__await__()
        try:
            waits_for = step.send(None)
        except StopIteration:
            self._watched.wrote = True
            return True
        self._watched.writing = True
        self._rest, self._waits_for = step, waits_for
        return False

    async def room(self) -> None:
        """Wait until the client has taken enough."""
        if self._rest is not None:
            rest, self._rest = self._rest, None
            await _finish(rest, self._waits_for)
            self._watched.writing = False
            self._watched.wrote = True


@types.coroutine
def _finish(step: Generator[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, None]:
    """Run what :meth:`Sending.take` began: `waits_for` is the future that it has to wait for."""
    while True:
        try:
            got = yield waits_for
        except BaseException as error:  # noqa: BLE001  # a cancelled task, for one: it is the coroutine's business
            thrown: BaseException | None = error
        else:
            thrown = None
        try:
            waits_for = step.throw(thrown) if thrown is not None else step.send(got)
        except StopIteration:
            return
