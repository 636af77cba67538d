"""The seam under everything on the bus: publish and subscribe, and to know when the line is down.

Two implementations pass one contract test: :class:`caravan_bus.nats.NatsTransport` and its in-memory twin
:class:`caravan_bus.memory.MemoryTransport`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from caravan_contracts import headers as h

log = logging.getLogger(__name__)

NO_HEADERS: Mapping[str, str] = {}
_LINE = b"NATS/1.0"


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """A NATS header block. Values are ASCII; a line break in one would forge a header, so it is refused."""
    lines = ["NATS/1.0"]
    for key, value in headers.items():
        if "\r" in value or "\n" in value:
            raise ValueError(f"the header {key} holds a line break")
        lines.append(f"{key}: {value}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode()


def decode_headers(block: bytes) -> dict[str, str]:
    """The opposite of :func:`encode_headers`. An inline status (``NATS/1.0 503``) appears as ``Status``."""
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    made: dict[str, str] = {}
    if len(first) > len(_LINE) and (status := first[len(_LINE) :].strip()):
        made[h.STATUS] = status[:3]
    for line in lines:
        if line:
            key, colon, value = line.partition(":")
            if colon:
                made[key] = value.strip()
    return made


class Message:
    """One message as it came. Headers are parsed only when somebody looks."""

    __slots__ = ("_headers", "data", "header_block", "reply", "subject")

    def __init__(self, subject: str, data: bytes, reply: str = "", header_block: bytes = b"") -> None:
        self.subject = subject
        self.data = data
        self.reply = reply
        self.header_block = header_block
        self._headers: Mapping[str, str] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers as a mapping."""
        if self._headers is None:
            self._headers = decode_headers(self.header_block) if self.header_block else NO_HEADERS
        return self._headers

    @property
    def no_responders(self) -> bool:
        """Whether this is the server's word that nobody subscribes to the subject of a request."""
        return not self.data and self.header_block.startswith(b"NATS/1.0 503")


Callback = Callable[[Message], None]
"""Called synchronously on the event loop for each message, in order. It must neither block nor raise."""


def call_all(callbacks: Iterable[Callable[[], None]]) -> None:
    """Call each; a defect of one is logged and keeps none of the others from being told."""
    for callback in callbacks:
        try:
            callback()
        except Exception:
            log.exception("whoever follows the line failed")


class Subscription(Protocol):
    """Interest in a subject."""

    async def unsubscribe(self) -> None:
        """Give it up; messages already under way may still arrive. Of a queue group, they have arrived when this
        returns: nobody else would get them."""
        ...


class Transport(Protocol):
    """A connection to the bus."""

    @property
    def connected(self) -> bool:
        """Whether a message published now would leave at once."""
        ...

    @property
    def max_payload(self) -> int:
        """Largest message in bytes, headers included."""
        ...

    def publish(self, subject: str, data: bytes, reply: str = "", header_block: bytes = b"") -> None:
        """Send, without waiting. While disconnected the message is dropped: whoever needs more resends.

        Raises ValueError when the message is over :attr:`max_payload`.
        """
        ...

    def at_turn_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, just before all that was published in this turn of the loop leaves: it may publish, or
        ask to be called at the end of the next turn."""
        ...

    async def subscribe(self, subject: str, callback: Callback, queue: str = "") -> Subscription:
        """Call `callback` for every message on `subject`; with `queue`, for this member's share of them. Raises
        DependencyDown on a line that was closed."""
        ...

    async def flush(self, timeout: float = 5.0) -> None:
        """Return once the server has seen everything sent before. Raises DependencyDown."""
        ...

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """Call `callback` each time the line is lost: answers to what was asked before will not come."""
        ...

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Call `callback` each time the line came back (subscriptions are in place again by then)."""
        ...

    async def wait_connected(self, timeout: float) -> bool:
        """Wait until connected; False when `timeout` seconds were not enough."""
        ...

    async def close(self) -> None:
        """Flush what was published and leave."""
        ...
