"""The answer to a request for inference, as whoever asked reads it."""

from __future__ import annotations

from typing import Protocol

from caravan_contracts.inference import CallSpec, Summary

from caravan_bus.stream.reader import Sink


class Answer(Protocol):
    """See :class:`caravan_bus.routing.failover.Failover`, which is one; others stand around it."""

    @property
    def summary(self) -> Summary | None:
        """How it went; None before the end."""
        ...

    @property
    def worker(self) -> str:
        """Who serves it."""
        ...

    @property
    def spec(self) -> CallSpec:
        """What that worker was told."""
        ...

    @property
    def target(self) -> str:
        """The model that answers: ``<provider>/<model>``."""
        ...

    @property
    def attempts(self) -> int:
        """How often a target was asked."""
        ...

    async def read(self) -> bytes:
        """What is ready, at least one byte; b"" after a good end."""
        ...

    async def pump(self, sink: Sink) -> bytes:
        """After a first :meth:`read`: give `sink` what comes; returns the last of it after a good end."""
        ...

    async def read_all(self, limit: int) -> bytes:
        """The whole answer, at most `limit` bytes."""
        ...

    def cancel(self) -> None:
        """Give it up; harmless at any time."""
        ...


class Around:
    """An answer around another one."""

    def __init__(self, inner: Answer) -> None:
        self._inner = inner

    @property
    def summary(self) -> Summary | None:
        """See :attr:`Answer.summary`."""
        return self._inner.summary

    @property
    def worker(self) -> str:
        """See :attr:`Answer.worker`."""
        return self._inner.worker

    @property
    def spec(self) -> CallSpec:
        """See :attr:`Answer.spec`."""
        return self._inner.spec

    @property
    def target(self) -> str:
        """See :attr:`Answer.target`."""
        return self._inner.target

    @property
    def attempts(self) -> int:
        """See :attr:`Answer.attempts`."""
        return self._inner.attempts

    async def read(self) -> bytes:
        """See :meth:`Answer.read`."""
        return await self._inner.read()

    async def pump(self, sink: Sink) -> bytes:
        """See :meth:`Answer.pump`."""
        return await self._inner.pump(sink)

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`Answer.read_all`."""
        return await self._inner.read_all(limit)

    def cancel(self) -> None:
        """See :meth:`Answer.cancel`."""
        self._inner.cancel()
