"""What a service brings to its door: it has questions of foreign users answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from caravan_contracts.context import RequestContext
from caravan_contracts.inference import JSON_BODY, Summary


@dataclass(frozen=True, slots=True)
class Question:
    """A request of a foreign user."""

    verb: str
    body: bytes
    context: RequestContext
    """Its principal is who the subject says."""
    headers: Mapping[str, str]
    """As they came: what they say is the user's word."""


class Answer(Protocol):
    """On its way. Whoever has it reads it to its end, and calls :meth:`finish` in any case."""

    @property
    def streams(self) -> bool:
        """Whether it is events; otherwise one JSON body."""
        ...

    @property
    def summary(self) -> Summary | None:
        """What is told of it at its end; None before."""
        ...

    async def read(self) -> bytes:
        """Whole events, at least one byte; b"" after a good end. Raises StreamInterrupted, CaravanError."""
        ...

    async def read_all(self, limit: int) -> bytes:
        """All of it, at most `limit` bytes. Raises CaravanError."""
        ...

    def leave(self) -> None:
        """This worker is shut down before the end. What another worker can go on with is not given up then."""
        ...

    async def finish(self) -> None:
        """Give up what is left of it."""
        ...


class Desk(Protocol):
    """Where the door's questions go."""

    @property
    def verbs(self) -> Sequence[str]:
        """What may be asked."""
        ...

    async def ask(self, question: Question) -> Answer:
        """Have it answered; returns once somebody accepted. Raises CaravanError."""
        ...


class Whole:
    """An answer that is there already."""

    streams = False

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.summary: Summary | None = Summary(content_type=JSON_BODY)

    async def read(self) -> bytes:
        """See :meth:`Answer.read`."""
        body, self._body = self._body, b""
        return body

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`Answer.read_all`."""
        return await self.read()

    def leave(self) -> None:
        """There is nothing left of it."""

    async def finish(self) -> None:
        """There is nothing left of it."""
