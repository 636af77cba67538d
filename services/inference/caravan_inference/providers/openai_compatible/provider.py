"""The provider for every OpenAI-compatible server: bytes in, bytes out."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import orjson
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import (
    CaravanError,
    DeadlineExceeded,
    InvalidRequest,
    UpstreamBroke,
    UpstreamFailed,
)
from caravan_contracts.inference import JSON_BODY, Summary, Usage, Verb
from caravan_contracts.registry import DiscoveredModel

from caravan_inference.body import ask_for_usage, first_string, last_object, rename_model, rename_own_model
from caravan_inference.providers.base import Call, Output, ProviderOptions, Result
from caravan_inference.providers.credentials import callers_key
from caravan_inference.providers.model_types import guessed
from caravan_inference.providers.openai_compatible import messages
from caravan_inference.providers.openai_compatible import options as opt
from caravan_inference.providers.openai_compatible.answer import Answer, Client, DeadlinePassed, time_left
from caravan_inference.providers.openai_compatible.events import EventForwarder
from caravan_inference.providers.openai_compatible.forwarding import Forwarding
from caravan_inference.providers.openai_compatible.http import ClientOptions, HttpClient
from caravan_inference.providers.openai_compatible.messages import MessageForwarder
from caravan_inference.providers.openai_compatible.presets import PRESETS
from caravan_inference.providers.openai_compatible.proxies import proxy_of_environment
from caravan_inference.providers.openai_compatible.refusals import in_band_error, refusal
from caravan_inference.providers.openai_compatible.rerank import Endpoint, rerank

_PATHS: Mapping[str, str] = {
    Verb.CHAT: "/chat/completions",
    Verb.COMPLETIONS: "/completions",
    Verb.EMBEDDINGS: "/embeddings",
    Verb.MESSAGES: messages.PATH,
}
MAX_ANSWER = 64 * 1024 * 1024
"""Largest answer of a call that does not stream, in bytes."""
_SMALL = 64 * 1024
_MODELS_SECONDS = 10.0


class OpenAICompatible:
    """One upstream; its connections are shared by all calls and bounded by its slots."""

    types: ClassVar[Sequence[str]] = tuple(f"remote::{name}" for name in PRESETS)

    def __init__(self, options: ProviderOptions) -> None:
        self.options = options
        self._config, self._preset = opt.read(options)
        self._client: Client | None = None
        self._headers = {"Content-Type": JSON_BODY, **self._config.headers}

    @property
    def server(self) -> str:
        """Where it is, without credentials or query: for traces."""
        return self._config.base_url

    async def start(self) -> None:
        """Open the connection pools."""
        config = self._config
        try:
            tls = config.tls.context()
        except OSError as error:
            raise InvalidRequest(f"provider {self.options.id!r}: tls: {error}", param="tls") from error
        proxy = config.proxy or proxy_of_environment(config.base_url)
        limits = config.timeouts
        flush, slots = config.flush_ms / 1000, self.options.slots
        if proxy:
            from caravan_inference.providers.openai_compatible.proxied import ProxiedClient

            self._client = ProxiedClient(config.base_url, proxy, tls, limits.connect, limits.read, slots, flush)
            return
        secure = config.base_url.startswith("https:")
        context = tls if isinstance(tls, ssl.SSLContext) else ssl.create_default_context() if secure else None
        context = context if secure else None
        self._client = HttpClient(ClientOptions(config.base_url, limits.connect, limits.read, context, flush, slots))

    async def close(self) -> None:
        """Close the pools."""
        if self._client is not None:
            await self._client.close()

    async def models(self) -> list[DiscoveredModel]:
        """What ``GET /models`` lists."""
        client = self._client
        if not self._config.discover or client is None:
            return []
        try:
            async with asyncio.timeout(_MODELS_SECONDS):
                answer = await client.get(self._preset.list_path, self._list_headers())
                try:
                    body = await _bounded(answer)
                finally:
                    client.release(answer)
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        if answer.status >= 300:
            raise refusal(self.options.id, answer.status, answer.headers, body)
        return self._read_models(body)

    async def run(self, call: Call, output: Output) -> Result:
        """Forward one call."""
        if call.verb is Verb.RERANK:
            endpoint = Endpoint(self.options.id, self._config.rerank.path, self._config.rerank.dialect)
            return await rerank(call, self._client, self._auth(call.credentials), endpoint)
        began = time.perf_counter()
        headers = self._auth(call.credentials, self._preset.messages_key if call.verb is Verb.MESSAGES else "")
        if call.verb is Verb.MESSAGES:
            headers = messages.headers(headers, call.context)
        if call.context.traceparent:
            headers["traceparent"] = call.context.traceparent
        if call.context.idempotency_key:
            headers["Idempotency-Key"] = call.context.idempotency_key
        client = self._client
        if client is None:
            raise RuntimeError("the provider was not started")
        several = call.spec.stream and b'"n"' in call.body
        try:
            posting = client.post(_PATHS[call.verb], self._body(call), headers, time_left(call.context))
            call = replace(call, body=b"")  # it may be large, and the answer take long
            return await self._exchange(client, posting, call, several, output, began)
        except OSError as error:  # TimeoutError is one
            if _is_late(call, error):
                raise DeadlineExceeded("the request's time is over while the provider worked on it") from error
            raise self._unreachable(error) from error

    def _body(self, call: Call) -> bytes:
        """The client's, as the upstream is to have it."""
        spec = call.spec
        if call.verb is Verb.MESSAGES:
            return rename_own_model(call.body, spec.written_model, spec.model)
        body = rename_model(call.body, spec.written_model, spec.model)
        if spec.stream and not spec.include_usage and self._usage_in_stream:
            body = ask_for_usage(body)
        return body

    async def _exchange(
        self, client: Client, posting: Awaitable[Answer], call: Call, several: bool, output: Output, began: float
    ) -> Result:
        answer = await posting
        try:
            if answer.status >= 300:
                raise refusal(self.options.id, answer.status, answer.headers, await _bounded(answer))
            if call.spec.stream:
                return await self._stream(call, answer, several, output, began)
            return await self._whole(call, answer, began)
        finally:
            client.release(answer)

    async def _stream(self, call: Call, answer: Answer, several: bool, output: Output, began: float) -> Result:
        if "json" in answer.headers.get("content-type", ""):
            raise self._no_stream(await _bounded(answer))
        shown = call.spec.shown_model
        native = call.verb is Verb.MESSAGES
        events = MessageForwarder(shown) if native else EventForwarder(shown, call.spec.include_usage)
        forwarding = Forwarding(events, output, began, several, answer)
        try:
            await answer.feed(forwarding)
        except OSError as error:
            if _is_late(call, error):
                raise
            if not (isinstance(error, TimeoutError) and forwarding.ending):
                raise UpstreamBroke(f"provider {self.options.id!r} cut its stream: {error}") from error
        summary, tail = forwarding.end()
        if forwarding.done:
            answer.leave()
        return Result(summary, tail)

    async def _whole(self, call: Call, answer: Answer, began: float) -> Result:
        body = await _bounded(answer)
        first = (time.perf_counter() - began) * 1000
        if call.verb is Verb.MESSAGES:
            return messages.whole(self.options.id, body, call.spec.shown_model, first)
        self._check(body)
        model = first_string(body, b"model")
        if model is not None and model[1] != call.spec.shown_model:
            renamed = b'"model":' + orjson.dumps(call.spec.shown_model)
            body = body.replace(model[0], renamed, 1)
        finish = first_string(body, b"finish_reason") if call.verb is not Verb.EMBEDDINGS else None
        identity = first_string(body[:512], b"id")
        summary = Summary(
            response_id=identity[1] if identity else "",
            model=model[1] if model else "",
            finish_reason=finish[1] if finish else "",
            usage=Usage.from_openai(last_object(body, b"usage")),
            first_token_ms=first,
            content_type=JSON_BODY,
        )
        return Result(summary, body)

    def _check(self, body: bytes) -> None:
        """Raise unless `body` is a whole JSON object that is no error. A large one is not parsed for it."""
        name = self.options.id
        if not body.lstrip().startswith(b"{") or not body.rstrip().endswith(b"}"):
            raise UpstreamBroke(f"provider {name!r} answered with something that is no JSON object")
        if len(body) > _SMALL and b'"error"' not in body[:_SMALL]:
            return
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise UpstreamBroke(f"provider {name!r} answered with broken JSON: {error}") from error
        if data.get("error") or data.get("object") == "error":
            raise in_band_error(body) or UpstreamBroke(f"provider {name!r} answered with an error")

    def _no_stream(self, body: bytes) -> CaravanError:
        self._check(body)
        return UpstreamBroke(f"provider {self.options.id!r} answered in one piece where a stream was asked for")

    @property
    def _usage_in_stream(self) -> bool:
        chosen = self._config.usage_in_stream
        return self._preset.usage_in_stream if chosen is None else chosen

    def _list_headers(self) -> dict[str, str]:
        """Anthropic's list is part of its own API: it takes no key of OpenAI's form."""
        own = self._preset.messages_key
        headers = self._auth({}, own)
        return messages.headers(headers, RequestContext("models")) if own else headers

    def _auth(self, credentials: Mapping[str, str], header: str = "") -> dict[str, str]:
        """The headers of any request; `header` has the key, "" = the one that is usual for this server."""
        headers = dict(self._headers)
        names = (self.options.id, self.options.type.partition("::")[2])
        key = callers_key(credentials, names) or self._config.api_key
        if key:
            header = header or self._preset.auth_header
            headers[header] = f"Bearer {key}" if header == "Authorization" else key
        return headers

    def _read_models(self, body: bytes) -> list[DiscoveredModel]:
        try:
            data = orjson.loads(body)
            rows = data["data"] if isinstance(data, dict) else data
            listed = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise UpstreamFailed(f"provider {self.options.id!r}: GET /models answered something unreadable") from error
        allowed = self._config.allowed_models
        return [
            DiscoveredModel(id=row["id"], model_type=guessed(row["id"]), metadata=_metadata(row))
            for row in listed
            if len(row["id"]) <= 200 and (allowed is None or row["id"] in allowed)
        ]

    def _unreachable(self, error: BaseException) -> CaravanError:
        where = f"provider {self.options.id!r} at {self.server}"
        if isinstance(error, TimeoutError):
            return UpstreamFailed(f"{where} did not answer in time", code="upstream_timeout")
        return UpstreamFailed(f"{where} cannot be reached: {str(error) or type(error).__name__}")


async def _bounded(answer: Answer) -> bytes:
    parts: list[bytes] = []
    size = 0
    while chunk := await answer.read():
        size += len(chunk)
        if size > MAX_ANSWER:
            raise UpstreamFailed(f"the provider's answer is larger than {MAX_ANSWER} bytes")
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _is_late(call: Call, error: OSError) -> bool:
    """Whether `error` only says that the request's time is over."""
    return isinstance(error, DeadlinePassed) or (isinstance(error, TimeoutError) and call.context.remaining <= 0)


def _metadata(row: Mapping[str, object]) -> dict[str, object]:
    length = row.get("max_model_len") or row.get("context_length") or row.get("context_window")
    made: dict[str, object] = {"context_length": length} if isinstance(length, int) else {}
    if isinstance(row.get("owned_by"), str):
        made["owned_by"] = row["owned_by"]
    return made
