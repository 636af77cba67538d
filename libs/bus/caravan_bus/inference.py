"""Asking for inference over the bus: read the request, find the model, have a worker serve it.

The gateway, the foreign-client entry of a worker and any service of the mesh ask through this one class.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import orjson
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, InvalidRequest, RequestTooLarge
from caravan_contracts.inference import SERVICE, CallSpec, Verb
from caravan_contracts.openai import RequestFacts, read_request
from caravan_contracts.registry import ModelType

from caravan_bus import tracing
from caravan_bus.registry_view import RegistryView
from caravan_bus.router import Outbound, RoutedStream, Router
from caravan_bus.storing import Storing, Taped, for_provider

log = logging.getLogger(__name__)

INLINE_LIMIT = 256 * 1024
"""Larger bodies travel as a claim check."""
_AFFINITY_BYTES = 512
_RELEASE_SECONDS = 2.0
_PATIENCE = 5.0
"""Seconds a request waits for a process that has just started to know its models."""
_WANTED: Mapping[Verb, tuple[ModelType, ...]] = {
    Verb.CHAT: (ModelType.LLM,),
    Verb.COMPLETIONS: (ModelType.LLM,),
    Verb.EMBEDDINGS: (ModelType.EMBEDDING,),
    Verb.RERANK: (ModelType.RERANK, ModelType.EMBEDDING),
}


class Claims(Protocol):
    """Where big bodies lie while their request is under way (see caravan_storage.blobs)."""

    async def check_in(self, data: bytes) -> str:
        """Keep `data`; return the header line that claims it."""
        ...

    async def claim(self, line: str) -> bytes:
        """Fetch what :meth:`check_in` kept."""
        ...

    async def release(self, line: str) -> None:
        """Forget it before its time."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under way."""

    facts: RequestFacts
    spec: CallSpec
    stream: RoutedStream | Taped
    claim: str = ""
    """What fetches its body, when that was too big for the bus."""


class InferenceClient:
    """One per process."""

    def __init__(
        self, view: RegistryView, router: Router, claims: Claims | None = None, storing: Storing | None = None
    ) -> None:
        """Without `storing`, a request to store its answer is passed on to the provider as it is."""
        self._storing = storing
        self._view = view
        self._router = router
        self._claims = claims

    async def ask(
        self,
        verb: Verb,
        body: bytes,
        context: RequestContext,
        provider_data: Mapping[str, str] | None = None,
    ) -> Asked:
        """Send OpenAI's JSON `body`; returns once a worker accepted. Raises InvalidRequest, ModelNotFound and
        whatever :meth:`Router.send` raises."""
        facts = read_request(verb, body)
        tenant = context.principal.tenant
        target = await self._view.resolve(facts.model, tenant, _PATIENCE)
        wanted = _WANTED[verb]
        if target.model_type not in wanted:
            raise InvalidRequest(
                f"the model {facts.model!r} is of type {target.model_type.value}; "
                f"{verb.value} needs {' or '.join(wanted)}",
                param="model",
                code="wrong_model_type",
            )
        spec = CallSpec(
            target.provider_id,
            target.resource_id,
            facts.model,
            facts.stream,
            facts.include_usage,
        )
        storing = self._storing if facts.store else None
        written = body
        if storing is not None:
            body = for_provider(body)
        extra: dict[str, str] = {}
        if provider_data:
            extra[h.PROVIDER_DATA] = orjson.dumps(dict(provider_data)).decode()
        # only an engine in the worker itself keeps a prefix cache worth coming back to
        affinity = body[:_AFFINITY_BYTES] if self._inline(target.provider_id, tenant) else b""
        if len(body) > INLINE_LIMIT:
            if self._claims is None:
                raise RequestTooLarge(f"without Redis a body may have at most {INLINE_LIMIT} bytes")
            extra[h.CLAIM] = await self._claims.check_in(body)
            body = b""
        send = _send_span(verb, context.traceparent)
        if send.traceparent != context.traceparent:
            context = context.with_traceparent(send.traceparent)
        outbound = Outbound(SERVICE, verb.value, spec, body, context, affinity, extra)
        try:
            stream = await self._router.send(outbound)
        except BaseException as error:  # a client that went away, too
            send.end(error, (error.code or "") if isinstance(error, CaravanError) else "")
            await self._release(extra.get(h.CLAIM, ""))
            raise
        send.end()
        answer = stream if storing is None else storing.tape(stream, written, context, facts)
        return Asked(facts, spec, answer, extra.get(h.CLAIM, ""))

    async def finish(self, asked: Asked) -> None:
        """Give up what is left of a request: its stream, and a big body that was kept for it."""
        asked.stream.cancel()
        await self._release(asked.claim)

    async def _release(self, claim: str) -> None:
        if not claim or self._claims is None:
            return
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._claims.release(claim)
        except (CaravanError, TimeoutError) as error:
            log.info("a body stays in Redis until its time is over: %r", error)

    def _inline(self, provider: str, tenant: str) -> bool:
        resource = self._view.catalog.provider(provider, tenant)
        return resource is not None and str(resource.body.get("provider_type", "")).startswith("inline::")


def _send_span(verb: Verb, traceparent: str) -> tracing.Hop:
    if not tracing.enabled():
        return tracing.hop("", "PRODUCER", traceparent, {})
    subject = s.at_template(SERVICE, verb.value)
    attributes = {
        tracing.MESSAGING_SYSTEM: "nats",
        tracing.DESTINATION: subject,
        tracing.OPERATION_TYPE: "send",
    }
    return tracing.hop(f"send {subject}", "PRODUCER", traceparent, attributes)
