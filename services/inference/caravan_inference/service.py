"""The work: one admitted call, from the bus through a provider and back."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Mapping

import orjson
from caravan_bus import metrics, tracing
from caravan_bus.claims import Claims, body_of
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.errors import CaravanError, NoWorker
from caravan_contracts.inference import SERVICE, Summary, Verb
from caravan_contracts.registry import ModelType

from caravan_inference import rerank
from caravan_inference.pool import ProviderPool
from caravan_inference.providers.base import Call, Output, Provider, Result

log = logging.getLogger(__name__)


class InferenceService:
    """Serves calls with the providers of the pool."""

    def __init__(self, pool: ProviderPool, claims: Claims | None) -> None:
        self._pool = pool
        self._claims = claims

    async def serve(self, inbound: Inbound, sender: StreamSender) -> None:
        """One call; its end or its error goes into `sender`."""
        spec = inbound.spec
        provider = self._pool.running(spec.provider)
        if provider is None:
            raise NoWorker(f"provider {spec.provider!r} is not served by this worker")
        process = _process_span(inbound)
        span = _span(inbound, provider, process.traceparent)
        began = time.perf_counter()
        try:
            result = await self._run(provider, await self._read(inbound, span.traceparent), sender)
        except BaseException as error:
            code = error.code or "" if isinstance(error, CaravanError) else type(error).__name__
            metrics.WORKER_REQUESTS.labels(spec.provider, inbound.verb, "error").inc()
            span.end(error, code)
            process.end(error, code)
            _log_end(inbound, began, code)
            raise
        sender.end(result.summary, result.tail + Verb(inbound.verb).end_mark if spec.stream else result.tail)
        metrics.WORKER_REQUESTS.labels(spec.provider, inbound.verb, "ok").inc()
        if tracing.enabled():
            span.set(_attributes(result.summary))
            span.end()
            process.end()
        _log_end(inbound, began, "")

    def _run(self, provider: Provider, call: Call, output: Output) -> Awaitable[Result]:
        if call.verb is Verb.RERANK:
            tenant = call.context.principal.tenant
            if self._pool.model_type(call.spec.provider, call.spec.model, tenant) is ModelType.EMBEDDING:
                return rerank.by_embeddings(provider, call)
        return provider.run(call, output)

    async def _read(self, inbound: Inbound, traceparent: str) -> Call:
        message = inbound.message
        body = await body_of(message, self._claims)
        message.data = b""  # it may be large; whoever serves the call lets go of it when the upstream has it
        keys = message.headers.get(h.PROVIDER_DATA)
        credentials: Mapping[str, str] = orjson.loads(keys) if keys else {}
        context = inbound.context
        if traceparent and traceparent != context.traceparent:
            context = context.with_traceparent(traceparent)
        return Call(Verb(inbound.verb), inbound.spec, body, context, credentials)


def _process_span(inbound: Inbound) -> tracing.Hop:
    traceparent = inbound.context.traceparent
    if not tracing.enabled():
        return tracing.hop("", "CONSUMER", traceparent, {})
    subject = s.at_template(SERVICE, inbound.verb)
    attributes = {
        tracing.MESSAGING_SYSTEM: "nats",
        tracing.DESTINATION: subject,
        tracing.OPERATION_TYPE: "process",
    }
    return tracing.hop(f"process {subject}", "CONSUMER", traceparent, attributes)


def _span(inbound: Inbound, provider: Provider, traceparent: str) -> tracing.Hop:
    if not tracing.enabled():
        return tracing.hop("", "CLIENT", traceparent, {})
    operation = tracing.OPERATION_NAMES.get(inbound.verb, inbound.verb)
    attributes = {
        tracing.OPERATION: operation,
        tracing.PROVIDER: provider.options.type.partition("::")[2],
        tracing.REQUEST_MODEL: inbound.spec.model,
        tracing.REQUEST_STREAM: inbound.spec.stream,
    }
    return tracing.hop(f"{operation} {inbound.spec.model}", "CLIENT", traceparent, attributes)


def _attributes(summary: Summary) -> tracing.Attributes:
    made: tracing.Attributes = {tracing.FIRST_CHUNK: summary.first_token_ms / 1000}
    if summary.response_id:
        made[tracing.RESPONSE_ID] = summary.response_id
    if summary.model:
        made[tracing.RESPONSE_MODEL] = summary.model
    if summary.finish_reason:
        made[tracing.FINISH_REASONS] = (summary.finish_reason,)
    if summary.usage is not None:
        made[tracing.INPUT_TOKENS] = summary.usage.prompt_tokens
        made[tracing.OUTPUT_TOKENS] = summary.usage.completion_tokens
    return made


def _log_end(inbound: Inbound, began: float, code: str) -> None:
    if log.isEnabledFor(logging.DEBUG) or code:
        log.log(
            logging.WARNING if code and code != "CancelledError" else logging.DEBUG,
            "call ended" if not code else "call failed",
            extra={
                "request_id": inbound.context.request_id,
                "client_request_id": inbound.context.client_request_id or None,
                "trace_id": inbound.context.traceparent[3:35],
                "provider": inbound.spec.provider,
                "model": inbound.spec.model,
                "verb": inbound.verb,
                "seconds": round(time.perf_counter() - began, 4),
                "error": code or None,
            },
        )
