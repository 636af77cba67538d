"""A recording as a value: one request, its answer as it came, and when each piece came."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from caravan_contracts.context import DEFAULT_TENANT

FORMAT: Final = 1
"""Version of the format: a reader refuses a higher one."""
FIRST_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Outcome(StrEnum):
    """How an answer ended."""

    COMPLETE = "complete"
    ERROR = "error"
    """With an error of the provider or the worker, after what had come before it."""
    INCOMPLETE = "incomplete"
    """Without any end: the client left, the worker died, or recording stopped first. Never replayed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one frame carried, and when it came: milliseconds after the request."""

    ms: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Recording:
    """One request and its answer."""

    verb: str
    model: str
    """The provider's own id of the model."""
    request: dict[str, Any] | None
    """OpenAI's JSON body without secrets; None when it could not be had, as `note` says."""
    pieces: tuple[Piece, ...] = ()
    """The answer as it came: whole SSE events, or bytes of one JSON body."""
    tail: bytes = b""
    """The last of the answer, which came with its end."""
    outcome: Outcome = Outcome.COMPLETE
    summary: dict[str, Any] = field(default_factory=dict)
    """Of a complete answer: see :class:`caravan_contracts.inference.Summary`."""
    error: dict[str, Any] = field(default_factory=dict)
    """Of an answer that ended with an error: see :meth:`caravan_contracts.errors.CaravanError.to_wire`."""
    ms: float = 0.0
    """When it ended, after the request."""
    stream: bool = False
    include_usage: bool = False
    provider: str = ""
    shown_model: str = ""
    """The model id that the client wrote; it stands in the answer too."""
    tenant: str = DEFAULT_TENANT
    at: datetime = FIRST_MOMENT
    note: str = ""
    """Why it is incomplete, or has no request."""

    @property
    def answer(self) -> bytes:
        """All bytes of the answer."""
        return b"".join([*(piece.data for piece in self.pieces), self.tail])


@dataclass(frozen=True, slots=True)
class Cassette:
    """A file of recordings."""

    recordings: tuple[Recording, ...]
    """In the order in which they were asked for."""
    scrubs: tuple[str, ...] = ()
    """Patterns of secrets that were taken out beside the usual ones."""
