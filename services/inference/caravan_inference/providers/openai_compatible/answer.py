"""What the provider needs of an HTTP client: two implement it, :mod:`http` and (through a proxy) :mod:`proxied`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


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

    def read_nowait(self) -> bytes:
        """All that has arrived, possibly nothing."""
        ...

    def hold(self) -> None:
        """Leave what arrives now to the system, until the next :meth:`read_nowait`."""
        ...

    def close(self) -> None:
        """Give it up at once."""
        ...


class Client(Protocol):
    """Connections to one upstream."""

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send; returns with status and headers. Raises OSError, TimeoutError, InvalidRequest."""
        ...

    def release(self, answer: Answer) -> None:
        """It is over."""
        ...

    async def close(self) -> None:
        """Close what is idle."""
        ...
