"""The hot routes: chat completions, completions and embeddings, as plain ASGI.

One request: who asks, its body, a worker that accepts (all in `InferenceClient.ask`), then the worker's bytes to the
socket as they come. Nothing is parsed on the way back. The status is decided by the first bytes of the answer, so an
early failure keeps its real status; after them an error can only be an event, and then there is no ``[DONE]``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

import orjson
from caravan_bus import metrics, tracing
from caravan_bus.inference import Asked, InferenceClient
from caravan_bus.responses import AgentRun
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, ClientGone, InvalidRequest, UnsupportedMediaType
from caravan_contracts.inference import Summary, Verb

from caravan_gateway import answering, asgi, client_ids
from caravan_gateway.asgi import Headers, Receive, Scope, Send
from caravan_gateway.auth import Authenticator
from caravan_gateway.idempotency.attached import Attached
from caravan_gateway.idempotency.following import Following
from caravan_gateway.idempotency.run import Begun
from caravan_gateway.line import Line
from caravan_gateway.sending import Sending
from caravan_gateway.settings import Settings
from caravan_gateway.source import MAX_ANSWER, Source
from caravan_gateway.special import Special, Wanted
from caravan_gateway.watch import Watch, Watched

log = logging.getLogger(__name__)

NO_HEADERS: Headers = []
_PROVIDER_DATA = (b"x-llamastack-provider-data", b"x-ogx-provider-data", b"x-llamastack-providerdata")


@dataclass(slots=True)
class Progress:
    """How far a request came, for the one place that ends it."""

    watched: Watched | None = None
    asked: Asked | None = None
    followed: Following | Attached | None = None
    run: AgentRun | None = None
    writer: object = None
    """What turns the answer into another API's."""
    started: bool = False
    status: int = 500
    began: float = 0.0
    """When its body was there."""
    first_byte: float = 0.0


class CompletionRoute:
    """One verb over HTTP."""

    id_headers: tuple[bytes, ...] = asgi.ID_HEADERS
    """What the id of a request is called in its answer."""

    def __init__(
        self,
        verb: Verb,
        route: str,
        client: InferenceClient,
        special: Special,
        auth: Authenticator,
        watch: Watch,
        settings: Settings,
    ) -> None:
        self.parts = (client, special, auth, watch, settings)
        """For a route that is much the same."""
        self._verb = verb
        self._route = route
        self._client = client
        self._special = special
        self._auth = auth
        self._watch = watch
        self._settings = settings
        self._seconds = metrics.HTTP_SECONDS.labels(route)
        self._stream_headers = asgi.EVENT_STREAM

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one POST."""
        began = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = "req_" + tracing.new_id()
        progress = Progress(began=began)
        hop = tracing.edge(
            f"POST {self._route}",
            headers.get(b"traceparent", b"").decode("latin-1"),
            headers.get(b"tracestate", b"").decode("latin-1"),
            {
                "http.request.method": "POST",
                "http.route": self._route,
                "caravan.request.id": request_id,
                **client_ids.attributes(headers),
            }
            if tracing.enabled()
            else {},
        )
        failure: CaravanError | None = None
        try:
            await self._serve(scope, headers, receive, send, request_id, progress, hop)
        except CaravanError as error:
            failure = error
        except asyncio.CancelledError:
            if progress.watched is None or not progress.watched.gone:
                raise
            failure = ClientGone("the client went away")
        except Exception as error:
            log.exception("a request failed", extra={"request_id": request_id})
            failure = CaravanError(f"the gateway failed: {type(error).__name__}")
        finally:
            if progress.watched is not None:
                self._watch.remove(progress.watched)
            await self._finish(progress)
        if failure is not None:
            await self._fail(failure, progress, send, request_id)
            self._note(failure, request_id, headers)
        self._account(progress, began)
        hop.end(failure, failure.code or "" if failure is not None else "")

    async def _serve(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        request_id: str,
        progress: Progress,
        hop: tracing.Hop,
    ) -> None:
        principal = self._auth.of(headers)
        kind = headers.get(b"content-type", b"application/json")
        if b"json" not in kind:
            raise UnsupportedMediaType("the body should be application/json")
        line: Line | None = scope.pop("caravan_line", None)
        if line is None:
            raise ClientGone("the client went away before its request began")
        limit = self._settings.max_body_bytes
        body = line.body(limit)
        if body is None:
            body = await asgi.read_body(headers, receive, limit, self._settings.body_timeout)
        progress.watched = watched = self._watch.add(send, line)
        context = RequestContext(
            request_id,
            principal,
            time.monotonic() + self._timeout(headers),
            hop.traceparent,
            headers.get(b"tracestate", b"").decode("latin-1") if hop.traceparent else "",
            client_request_id=client_ids.client_id(headers),
        )
        watched.deadline = context.deadline
        progress.began = time.perf_counter()
        keys = provider_data(headers)
        beginning = self._begin(progress, body, headers, context, keys)
        del body  # it may be large, and its answer take long
        source, streams, more = await beginning
        if not streams:
            answer = await source.read_all(MAX_ANSWER)
            begun = self._begun(progress, source, request_id, more)
            if not line.answer([asgi.JSON, *begun], answer):
                await asgi.send_json(send, 200, answer, begun)
            return
        data = await source.read()
        answer_headers = self._stream_headers + self._begun(progress, source, request_id, more)
        if not (data and line.begin(answer_headers)):
            await send({"type": "http.response.start", "status": 200, "headers": answer_headers})
        watched.streaming = True
        sending = Sending(send, watched, line.write)
        if data and not sending.take(data):
            await sending.room()
        last = await source.pump(sending)
        watched.streaming = False
        if not line.end(last):
            await send({"type": "http.response.body", "body": last})

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        """Ask: where the answer comes from, whether it streams, and more headers for it."""
        if self._special.concerns(headers):
            found = await self._special.find(
                Wanted(self._verb, body, headers, context, provider_data, self._finish_run)
            )
            progress.asked, progress.followed = found.asked, found.followed
            return found.source, found.stream, found.headers
        asking = self._client.ask(self._verb, body, context, provider_data)
        del body
        progress.asked = asked = await asking
        return asked.stream, asked.facts.stream, NO_HEADERS

    async def _fail(self, error: CaravanError, progress: Progress, send: Send, request_id: str) -> None:
        if isinstance(error, ClientGone):
            progress.status = 499
            return
        if not progress.started:
            progress.status = error.status
            headers = [*asgi.error_headers(error), *self._named(progress, request_id)]
            if progress.asked is not None:
                stream = progress.asked.stream
                headers += answering.from_target(stream.target, stream.attempts)
            await asgi.send_json(send, error.status, self._error(error, request_id), headers)
            return
        if progress.watched is not None and progress.watched.streaming:
            progress.watched.streaming = False
            last = progress.watched.unsent + self._event(error, progress)
            await progress.watched.end({"type": "http.response.body", "body": last})

    async def _finish(self, progress: Progress) -> None:
        """It is over, well or not."""
        if progress.asked is not None:
            await self._client.finish(progress.asked)
        if progress.followed is not None:
            progress.followed.leave()

    def _begun(self, progress: Progress, source: Source, request_id: str, more: Headers) -> Headers:
        """The answer is there: its headers."""
        progress.first_byte = time.perf_counter()
        progress.started, progress.status = True, 200
        return [*self._named(progress, request_id), *answering.from_target(source.target, source.attempts), *more]

    def _named(self, progress: Progress, request_id: str) -> Headers:
        return [*asgi.named(request_id, self.id_headers), answering.processing(progress.began)]

    def _error(self, error: CaravanError, request_id: str) -> bytes:
        """The body of an answer that failed before it began."""
        return error.to_json()

    def _event(self, error: CaravanError, progress: Progress) -> bytes:
        """The last event of a stream that broke."""
        return b"data: " + error.to_json() + b"\n\n"

    def _note(self, failure: CaravanError, request_id: str, headers: dict[bytes, bytes]) -> None:
        metrics.ERRORS.labels(failure.code or failure.type).inc()
        level = logging.INFO if failure.status < 500 else logging.WARNING
        told = {"request_id": request_id, "route": self._route}
        if given := client_ids.client_id(headers):
            told["client_request_id"] = given
        log.log(level, "%s: %s", failure.code, failure.message, extra=told)

    def _account(self, progress: Progress, began: float) -> None:
        metrics.HTTP_REQUESTS.labels(self._route, "POST", str(progress.status)).inc()
        self._seconds.observe(time.perf_counter() - began)
        if progress.asked is not None:
            _account_asked(progress.asked, began, progress.first_byte)

    async def _finish_run(self, run: Begun) -> None:
        """A run with an Idempotency-Key is over: it is counted once, whoever followed it."""
        if isinstance(run, Asked):
            await self._client.finish(run)
            _account_asked(run, 0.0, 0.0)

    def _timeout(self, headers: dict[bytes, bytes]) -> float:
        given = headers.get(b"x-caravan-timeout")
        if given is None:
            return self._settings.request_timeout
        try:
            seconds = float(given)
        except ValueError as error:
            raise InvalidRequest(
                "the header X-Caravan-Timeout is a number of seconds", param="X-Caravan-Timeout"
            ) from error
        if not seconds > 0:
            raise InvalidRequest(
                "the header X-Caravan-Timeout is a positive number of seconds", param="X-Caravan-Timeout"
            )
        return min(seconds, self._settings.request_timeout)


def provider_data(headers: dict[bytes, bytes]) -> dict[str, str] | None:
    """The caller's own keys for providers. Raises InvalidRequest."""
    for name in _PROVIDER_DATA:
        given = headers.get(name)
        if given:
            try:
                data = orjson.loads(given)
            except orjson.JSONDecodeError as error:
                raise InvalidRequest(f"the header {name.decode()} is no JSON") from error
            if not isinstance(data, dict):
                raise InvalidRequest(f"the header {name.decode()} is a JSON object")
            return {str(k): v for k, v in data.items() if isinstance(v, str) and not str(k).startswith("__")}
    return None


def _account_asked(asked: Asked, began: float, first_byte: float) -> None:
    model, provider = asked.spec.provider + "/" + asked.spec.model, asked.spec.provider
    if first_byte:
        metrics.FIRST_TOKEN.labels(model, provider).observe(first_byte - began)
    summary: Summary | None = asked.stream.summary
    if summary is not None and summary.usage is not None:
        metrics.TOKENS.labels("input", model, provider).inc(summary.usage.prompt_tokens)
        metrics.TOKENS.labels("output", model, provider).inc(summary.usage.completion_tokens)
