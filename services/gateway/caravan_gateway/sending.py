"""A stream on its way into a client's socket, written in the very turn of the loop in which it arrives.

An ASGI server's `send` waits only when the client is slow. So no task is woken for each token: what there is goes
straight to the connection (:class:`caravan_gateway.line.Line`), or, when that may not be, the coroutine of `send`
is run on the spot, and whoever reads the stream waits for the rest of it only when there is one.
"""

from __future__ import annotations

from collections.abc import Callable

from caravan_gateway.asgi import Send
from caravan_gateway.stepping import Step
from caravan_gateway.watch import Watched


class Sending:
    """For one answer whose headers were sent; see :class:`caravan_bus.stream.reader.Sink`."""

    __slots__ = ("_line", "_rest", "_send", "_watched")

    def __init__(self, send: Send, watched: Watched, line: Callable[[bytes], bool] | None = None) -> None:
        """`line` writes a piece of the body at once, or says False: then `send` has to do it."""
        self._send = send
        self._line = line
        self._watched = watched
        self._rest: Step | None = None

    def take(self, data: bytes) -> bool:
        """Write `data`. False when the client has to take some of it first."""
        if self._line is not None and self._line(data):
            self._watched.wrote = True
            return True
        step = Step(self._send({"type": "http.response.body", "body": data, "more_body": True}))
        if step.done:
            self._watched.wrote = True
            return True
        self._watched.writing = True
        self._watched.unsent = data
        self._rest = step
        return False

    async def room(self) -> None:
        """Wait until the client has taken enough."""
        if self._rest is not None:
            rest, self._rest = self._rest, None
            await rest.rest()
            self._watched.unsent = b""
            self._watched.writing = False
            self._watched.wrote = True
