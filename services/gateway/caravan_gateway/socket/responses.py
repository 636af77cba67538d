"""``/v1/responses`` over a WebSocket: the client sends ``response.create``, each event of the answer is a text frame.

One response after the other: what arrives meanwhile waits, and of that no more than one message is read. Source:
OpenAI's guide "WebSocket mode" and its reference of WebSocket events.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from caravan_bus import metrics, tracing
from caravan_bus.responses import AgentRuns
from caravan_bus.tasks import cancel_and_wait
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, DeadlineExceeded, Overloaded
from caravan_contracts.inference import Summary

from caravan_gateway import asgi, client_ids, origin
from caravan_gateway.asgi import Event, Receive, Scope, Send
from caravan_gateway.auth import Authenticator
from caravan_gateway.completions import provider_data
from caravan_gateway.settings import Settings
from caravan_gateway.socket import warming
from caravan_gateway.socket.chains import Chains
from caravan_gateway.socket.reading import Events, envelope, read_create

log = logging.getLogger(__name__)

ROUTE: Final = "/v1/responses"
METHOD: Final = "WEBSOCKET"
"""As metrics name what is asked here."""
LAST_SECONDS: Final = 5.0
"""How long a client may take to read what is sent to it once the response's time is over."""
MAX_SOCKETS: Final = 4096
CLOSE_IDLE: Final = (1000, "nothing was asked for a while")
CLOSE_OLD: Final = (1000, "the connection is an hour old; open another")
CLOSE_LEAVING: Final = (1012, "the server is shutting down; connect again")
_WHOLE: Final = (b'"response.created"', b'"response.in_progress"', b'"response.queued"')
_ENDS: Final = (b'"response.completed"', b'"response.incomplete"', b'"response.failed"')


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one connection, in seconds."""

    idle: float
    """Without a request under way."""
    lifetime: float
    """After which no further one begins."""
    request: float
    """Of one response."""


class ResponsesSocket:
    """One per process."""

    def __init__(
        self,
        runs: AgentRuns,
        auth: Authenticator,
        settings: Settings,
        own_pages_only: bool,
        bounds: Bounds | None = None,
    ) -> None:
        """`own_pages_only`: see :mod:`caravan_gateway.origin`."""
        self.runs = runs
        self._auth = auth
        self._own_pages_only = own_pages_only
        self.bounds = bounds or Bounds(settings.socket_idle_seconds, 3600.0, settings.request_timeout)
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        await receive()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            principal = self._admit(scope, headers)
            session = _Session(self, scope, headers, principal, receive, send)
        except CaravanError as error:
            await _refuse(error, receive, send)
            return
        self._open += 1
        try:
            await send({"type": "websocket.accept", "headers": [(b"x-request-id", _new_request_id().encode())]})
            await session.run()
        finally:
            self._open -= 1

    def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> Principal:
        """Raises CaravanError for a client that may not open one."""
        if self._own_pages_only:
            origin.check("POST", scope["headers"])  # a page may send whatever it likes once a socket is open
        principal = self._auth.of(headers)
        if self._open >= MAX_SOCKETS:
            raise Overloaded("this gateway has as many WebSockets as it takes", retry_after=5)
        return principal


class _Session:
    """One connection."""

    def __init__(
        self,
        house: ResponsesSocket,
        scope: Scope,
        headers: dict[bytes, bytes],
        principal: Principal,
        receive: Receive,
        send: Send,
    ) -> None:
        self._runs, self._bounds = house.runs, house.bounds
        self._leaving: asyncio.Event = scope["caravan_leaving"]
        self._cut: Callable[[], None] = scope["caravan_cut"]
        self._headers = headers
        self._principal = principal
        self._provider_data = provider_data(headers)
        self._receive, self._send = receive, send
        self._coming: asyncio.Task[Event] | None = None
        self._chains = Chains()
        self._ends = time.monotonic() + house.bounds.lifetime

    async def run(self) -> None:
        """Until one of both sides ends it."""
        try:
            while (text := await self._next()) is not None and await self._answer(text):
                pass
        except OSError as error:
            log.debug("a WebSocket's client went away: %s", error)
        finally:
            if self._coming is not None:
                await cancel_and_wait(self._coming)

    async def _next(self) -> str | None:
        """The next message; None when the connection is over, and was closed if that is ours to do."""
        coming = self._listen()
        leaving = asyncio.create_task(self._leaving.wait())
        left = self._ends - time.monotonic()
        patience = max(0.0, min(self._bounds.idle, left))
        try:
            await asyncio.wait({coming, leaving}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
        if coming.done() and coming.result()["type"] == "websocket.disconnect":
            return None
        why: tuple[int, str] | None = None
        if self._leaving.is_set():
            why = CLOSE_LEAVING
        elif left <= 0 or (not coming.done() and left < self._bounds.idle):
            why = CLOSE_OLD
        elif not coming.done():
            why = CLOSE_IDLE
        if why is not None:
            await self._send({"type": "websocket.close", "code": why[0], "reason": why[1]})
            return None
        self._coming = None
        event = coming.result()
        text = event.get("text")
        return text if text is not None else bytes(event.get("bytes") or b"").decode(errors="replace")

    def _listen(self) -> asyncio.Task[Event]:
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._receive())
        return self._coming

    async def _answer(self, text: str) -> bool:
        """Make one response; False when the client went away before its end."""
        serving = asyncio.create_task(self._serve(text))
        coming = self._listen()
        try:
            await asyncio.wait({serving, coming}, return_when=asyncio.FIRST_COMPLETED)
            if coming.done() and coming.result()["type"] == "websocket.disconnect":
                return False
            await serving
            return True
        finally:
            if not serving.done():
                await cancel_and_wait(serving)

    async def _serve(self, text: str) -> None:
        """One response, whose errors are told."""
        began = time.perf_counter()
        request_id = _new_request_id()
        context = self._context(request_id)
        failure: CaravanError | None = None
        turn = _Turn(self._chains)
        try:
            asked = read_create(text)
            if asked.pop("generate", True) is False:
                await self._warm(asked, context)
            else:
                await self._make(turn, asked, context)
        except CaravanError as error:
            failure = error
        except OSError:
            raise  # the client is gone
        except Exception as error:
            log.exception("a response over a WebSocket failed", extra={"request_id": request_id})
            failure = CaravanError(f"the gateway failed: {type(error).__name__}")
        finally:
            _account(turn, failure, began)
        if failure is not None:
            log.info("%s: %s", failure.code, failure.message, extra={"request_id": request_id, "route": ROUTE})
            await self._tell(envelope(failure), context)

    def _context(self, request_id: str) -> RequestContext:
        hop = tracing.edge(
            f"{METHOD} {ROUTE}",
            self._headers.get(b"traceparent", b"").decode("latin-1"),
            self._headers.get(b"tracestate", b"").decode("latin-1"),
            {"http.route": ROUTE, "caravan.request.id": request_id} if tracing.enabled() else {},
        )
        hop.end()  # what comes of it is below it
        client_id = client_ids.client_id(self._headers)
        deadline = time.monotonic() + self._bounds.request
        return RequestContext(request_id, self._principal, deadline, hop.traceparent, client_request_id=client_id)

    async def _make(self, turn: _Turn, asked: dict[str, Any], context: RequestContext) -> None:
        sent = turn.begin(asked)
        run = await self._runs.respond(orjson.dumps(sent), True, context, self._provider_data)
        events = Events()
        try:
            while data := await run.stream.read():
                for event in events.feed(data):
                    turn.first_byte = turn.first_byte or time.perf_counter()
                    await self._tell(turn.told(event).decode(), context)
        finally:
            turn.summary = run.stream.summary
            await run.finish()

    async def _warm(self, asked: dict[str, Any], context: RequestContext) -> None:
        response = warming.warmed(asked)
        self._chains.keep(response["id"], self._chains.joined(asked), [])
        for event in warming.events(response):
            await self._tell(event, context)

    async def _tell(self, text: str, context: RequestContext) -> None:
        """Send one frame. A client that does not take it in the response's time is cut off."""
        try:
            async with asyncio.timeout(max(0.0, context.remaining) + LAST_SECONDS):
                await self._send({"type": "websocket.send", "text": text})
        except TimeoutError:
            self._cut()
            raise ConnectionAbortedError("the client took nothing") from DeadlineExceeded("the time is over")


class _Turn:
    """One response on its way."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._asked: dict[str, Any] = {}
        self._sent: dict[str, Any] = {}
        self.first_byte = 0.0
        self.summary: Summary | None = None

    def begin(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The body to send for what is `asked`."""
        self._asked, self._sent = asked, self._chains.joined(asked)
        return self._sent

    @property
    def _only_here(self) -> bool:
        """Whether nobody else remembers it."""
        return self._asked.get("store") is False and not self._asked.get("conversation")

    def told(self, event: bytes) -> bytes:
        """`event` as the client sees it: it asked to go on from what only this connection knows."""
        kind = event[:64]
        ends = any(name in kind for name in _ENDS)
        if not (ends or any(name in kind for name in _WHOLE)):
            return event
        data = orjson.loads(event)
        response = data["response"]
        if ends and data["type"] != "response.failed" and self._only_here:
            self._chains.keep(response["id"], self._sent, response["output"])
        if self._sent is self._asked:
            return event
        response["previous_response_id"] = self._asked["previous_response_id"]
        return orjson.dumps(data)


async def _refuse(error: CaravanError, receive: Receive, send: Send) -> None:
    """Answer the handshake in HTTP."""
    body = error.to_json()
    sized = [asgi.JSON, (b"content-length", str(len(body)).encode()), *asgi.error_headers(error)]
    named = [*sized, (b"x-request-id", _new_request_id().encode()), (b"connection", b"close")]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": named})
    await send({"type": "websocket.http.response.body", "body": body})
    metrics.HTTP_REQUESTS.labels(ROUTE, METHOD, str(error.status)).inc()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            for _ in range(2):  # uvicorn takes a handshake for a forgotten one until the connection is closed
                await receive()


def _account(turn: _Turn, failure: CaravanError | None, began: float) -> None:
    metrics.HTTP_REQUESTS.labels(ROUTE, METHOD, str(failure.status if failure is not None else 200)).inc()
    metrics.HTTP_SECONDS.labels(ROUTE).observe(time.perf_counter() - began)
    if failure is not None:
        metrics.ERRORS.labels(failure.code or failure.type).inc()
    summary = turn.summary
    if summary is None:
        return
    provider = summary.model.partition("/")[0]
    if turn.first_byte:
        metrics.FIRST_TOKEN.labels(summary.model, provider).observe(turn.first_byte - began)
    if summary.usage is not None:
        metrics.TOKENS.labels("input", summary.model, provider).inc(summary.usage.prompt_tokens)
        metrics.TOKENS.labels("output", summary.model, provider).inc(summary.usage.completion_tokens)


def _new_request_id() -> str:
    return "req_" + tracing.new_id()
