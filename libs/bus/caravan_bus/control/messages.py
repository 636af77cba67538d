"""Bus messages as typed requests, and an answer for each of them whatever happens.

FastStream leaves a caller waiting when a handler raises; here every error becomes the reply that the contracts
promise: the service error headers and the error's body.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from caravan_contracts import headers as h
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, DeadlineExceeded, InvalidRequest
from faststream import BaseMiddleware, StreamMessage
from faststream.nats import NatsMessage, NatsResponse
from pydantic import BaseModel, ValidationError

from caravan_bus import tracing
from caravan_bus.discovery import EndpointStats

log = logging.getLogger(__name__)

Body = TypeVar("Body", bound=BaseModel)
_HEADER_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Asked(Generic[Body]):
    """A request as a handler gets it."""

    body: Body
    context: RequestContext


@dataclass(slots=True)
class Counts:
    """What each endpoint did since the start, by its subject."""

    by_subject: dict[str, EndpointStats] = field(default_factory=dict)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no request is under way."""
    active: int = 0

    def begin(self) -> None:
        """A request came."""
        self.active += 1
        self.idle.clear()

    def end(self) -> None:
        """It was answered."""
        self.active -= 1
        if not self.active:
            self.idle.set()

    def of(self, subject: str, data: dict[str, Any] | None = None) -> EndpointStats:
        """The counts of one endpoint; with `data` beside them for whoever asks."""
        found = self.by_subject.setdefault(subject, EndpointStats())
        if data is not None:
            found.data = data
        return found


def decoder(kind: type[Body]) -> Callable[[NatsMessage], Awaitable[Asked[Body]]]:
    """What FastStream calls to read the bytes of a message. Raises InvalidRequest naming the field."""

    async def decode(message: NatsMessage) -> Asked[Body]:
        context = RequestContext.from_headers(message.headers)
        if context.remaining <= 0:
            raise DeadlineExceeded("the request's time was over before it was read")
        try:
            return Asked(kind.model_validate_json(message.body), context)
        except ValidationError as error:
            raise invalid(error) from error

    return decode


class Answering(BaseMiddleware[Any, Any]):
    """Around every handler: counts, one span, and errors as replies."""

    def __init__(self, msg: Any, /, *, context: Any, counts: Counts) -> None:
        super().__init__(msg, context=context)
        self._counts = counts

    async def consume_scope(
        self, call_next: Callable[[StreamMessage[Any]], Awaitable[Any]], msg: StreamMessage[Any]
    ) -> Any:
        subject = str(msg.raw_message.subject)
        stats = self._counts.of(subject)
        stats.requests += 1
        self._counts.begin()
        started = time.perf_counter_ns()
        attributes = {tracing.MESSAGING_SYSTEM: "nats", tracing.DESTINATION: subject}
        span = tracing.hop(f"process {subject}", "CONSUMER", msg.headers.get(h.TRACEPARENT, ""), attributes)
        try:
            answer = await call_next(msg)
        except CaravanError as error:
            span.end(error, error.code or "")
            return _refusal(error, stats)
        except Exception as error:
            log.exception("%s failed", subject, extra={"request_id": msg.headers.get(h.REQUEST_ID, "")})
            span.end(error)
            return _refusal(CaravanError(f"{subject} failed; the log of that service says why"), stats)
        finally:
            self._counts.end()
            stats.processing_ns += time.perf_counter_ns() - started
        span.end()
        return answer


def _refusal(error: CaravanError, stats: EndpointStats) -> NatsResponse:
    stats.errors += 1
    stats.last_error = f"{error.status}:{_one_line(error.message)}"
    return NatsResponse(error.to_wire(), headers=refusal_headers(error))


def refusal_headers(error: CaravanError) -> dict[str, str]:
    """The headers of an error's reply: its HTTP status and one line of text."""
    return {h.SERVICE_ERROR_CODE: str(error.status), h.SERVICE_ERROR: _one_line(error.message)}


def _one_line(text: str) -> str:
    plain = " ".join(text.split()).encode("ascii", "replace").decode()
    return "".join(c if c.isprintable() else "?" for c in plain)[:_HEADER_CHARACTERS]


def invalid(error: ValidationError, prefix: str = "") -> InvalidRequest:
    """What pydantic found, as our error."""
    first = error.errors()[0]
    where = ".".join([*([prefix] if prefix else []), *(str(part) for part in first["loc"])])
    return InvalidRequest(f"{where or 'the body'}: {first['msg']}", param=where or None)
