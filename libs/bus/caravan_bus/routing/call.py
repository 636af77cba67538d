"""One request on its way to one target after another: the same body and headers, a span for each attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, RequestTooLarge
from caravan_contracts.inference import SERVICE, CallSpec, Verb
from caravan_contracts.openai import RequestFacts

from caravan_bus import tracing
from caravan_bus.claims import INLINE_LIMIT, Claims, give_up
from caravan_bus.router import Outbound, RoutedStream, Router
from caravan_bus.routing.targets import Candidate

_AFFINITY_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `body` is what the provider is to get."""

    verb: Verb
    facts: RequestFacts
    body: bytes
    context: RequestContext
    provider_data: Mapping[str, str] | None = None


class Call:
    """Sends a :class:`Request`."""

    __slots__ = ("_claim", "_claimed", "_claims", "_extra", "_head", "_router", "_size", "request", "routed")

    def __init__(self, request: Request, router: Router, claims: Claims | None, routed: bool) -> None:
        """`routed` when the model that was asked for is a route: the answer names its target then."""
        self.request = request
        self.routed = routed
        self._router = router
        self._claims = claims
        self._claim = ""
        self._claimed: list[str] = []
        self._head = request.body[:_AFFINITY_BYTES]
        self._size = len(request.body)
        self._extra: dict[str, str] = {}
        if request.provider_data:
            self._extra[h.PROVIDER_DATA] = orjson.dumps(dict(request.provider_data)).decode()

    def spec(self, candidate: Candidate) -> CallSpec:
        """What the worker is told."""
        facts = self.request.facts
        model = candidate.model
        shown, asked = (candidate.id, facts.model) if self.routed else (facts.model, "")
        return CallSpec(model.provider_id, model.resource_id, shown, facts.stream, facts.include_usage, asked)

    async def send(self, candidate: Candidate, spec: CallSpec, attempt: int, body: bytes | None = None) -> RoutedStream:
        """Ask a target; returns once a worker accepted. `body` instead of the request's own. Raises what
        :meth:`Router.send` raises."""
        verb, context = self.request.verb, self.request.context
        hop = _span(verb, context.traceparent, candidate, attempt)
        if hop.traceparent != context.traceparent:
            context = context.with_traceparent(hop.traceparent)
        if body is not None and context.idempotency_key:
            context = replace(context, idempotency_key="")  # to a provider another body is another request
        try:
            data, claim = self.request.body if body is None else body, ""
            if len(data) > INLINE_LIMIT or self._claim:
                data, claim = await self._packed(body)
            extra = {**self._extra, h.CLAIM: claim} if claim else self._extra
            affinity = self._head if candidate.inline else b""
            outbound = Outbound(SERVICE, verb.value, spec, data, context, affinity, extra, self._size)
            stream = await self._router.send(outbound)
        except BaseException as error:  # a client that went away, too
            hop.end(error, (error.code or "") if isinstance(error, CaravanError) else "")
            raise
        hop.end()
        return stream

    async def body(self) -> bytes:
        """The request's body again."""
        if self._claim and self._claims is not None:
            return await self._claims.claim(self._claim)
        return self.request.body

    async def release(self) -> None:
        """It is over: forget what was kept of it."""
        if self._claims is None:
            return
        while self._claimed:
            await give_up(self._claims, self._claimed.pop())

    async def _packed(self, other: bytes | None) -> tuple[bytes, str]:
        """The body and its claim, one of which is empty."""
        if other is None and self._claim:
            return b"", self._claim
        body = self.request.body if other is None else other
        if len(body) <= INLINE_LIMIT:
            return body, ""
        if self._claims is None:
            raise RequestTooLarge(f"without Redis a body may have at most {INLINE_LIMIT} bytes")
        claim = await self._claims.check_in(body)
        self._claimed.append(claim)
        if other is None:
            self._claim = claim
            request = self.request
            # it may be large, and its answer take long
            self.request = Request(request.verb, request.facts, b"", request.context, request.provider_data)
        return b"", claim


def _span(verb: Verb, traceparent: str, candidate: Candidate, attempt: int) -> tracing.Hop:
    if not tracing.enabled():
        return tracing.hop("", "PRODUCER", traceparent, {})
    subject = s.at_template(SERVICE, verb.value)
    attributes = {
        tracing.MESSAGING_SYSTEM: "nats",
        tracing.DESTINATION: subject,
        tracing.OPERATION_TYPE: "send",
        tracing.TARGET: candidate.id,
        tracing.ATTEMPT: attempt,
    }
    return tracing.hop(f"send {subject}", "PRODUCER", traceparent, attributes)
