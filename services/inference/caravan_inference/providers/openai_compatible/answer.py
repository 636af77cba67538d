"""What the provider needs of an HTTP client: two implement it, :mod:`http` and (through a proxy) :mod:`proxied`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from caravan_contracts.context import RequestContext


class Sink(Protocol):
    """Where the body of an answer goes as it arrives."""

    @property
    def done(self) -> bool:
        """Whether it has all it wants, even if the body goes on."""
        ...

    def take(self, data: bytes) -> bool:
        """All that has arrived; False when nothing more may be given before :meth:`room` returned."""
        ...

    async def room(self) -> None:
        """Wait until more may be given."""
        ...


class Answer(Protocol):
    """One answer, being read."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    @property
    def finished(self) -> bool:
        """Whether its last byte has arrived."""
        ...

    async def read(self) -> bytes:
        """All that has arrived, at least one byte; b"" at the end. Raises OSError, TimeoutError."""
        ...

    async def feed(self, sink: Sink) -> None:
        """Give everything to `sink`, as it arrives, until the end or until it is done. Raises OSError, TimeoutError
        and what the sink raises."""
        ...

    def end_within(self, seconds: float) -> None:
        """Its upstream has said all that it has to say: the wait for more is no longer than this now."""
        ...

    def leave(self) -> None:
        """Nobody wants what is left of it. Its connection may serve again if the end comes at once."""
        ...

    def close(self) -> None:
        """Give it up at once."""
        ...


class DeadlinePassed(TimeoutError):
    """The time that a request was given is over."""


def time_left(context: RequestContext) -> float:
    """Seconds, more than none: what is too late is not sent at all. Raises DeadlinePassed."""
    left = context.remaining
    if left <= 0:
        raise DeadlinePassed("the time of the request was over before it was sent")
    return left


class Client(Protocol):
    """Connections to one upstream."""

    async def post(self, path: str, body: bytes, headers: Mapping[str, str], within: float) -> Answer:
        """Send; returns with status and headers. The whole exchange may take `within` seconds. Raises OSError,
        DeadlinePassed, TimeoutError, InvalidRequest; so does reading the answer."""
        ...

    async def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Ask; returns with status and headers. Raises as :meth:`post`."""
        ...

    def release(self, answer: Answer) -> None:
        """It is over."""
        ...

    async def close(self) -> None:
        """Close what is idle."""
        ...
