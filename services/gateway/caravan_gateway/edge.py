"""The outermost ASGI app: hot routes by one dictionary look-up, everything else to FastAPI.

Every reply gets an ``x-request-id``. The same routes answer under ``/v1/openai/v1`` for older clients.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from caravan_bus import metrics, tracing
from caravan_contracts.errors import (
    CaravanError,
    ClientGone,
    MethodNotAllowed,
    PermissionDenied,
)

from caravan_gateway import answering, asgi, origin
from caravan_gateway.asgi import App, Event, Receive, Scope, Send
from caravan_gateway.cutting import cut_off

OLD_PREFIX = "/v1/openai/v1/"
MAX_BODY: Final = 256 * 1024
"""Bytes of a body that FastAPI reads: it takes any, and all of it, before it asks who sends it. A resource of the
registry has at most 64 KiB."""


class Edge:
    """Wraps the FastAPI app."""

    def __init__(
        self,
        hot: Mapping[str, App],
        rest: App,
        body_timeout: float,
        own_pages_only: bool = False,
        shared: tuple[str, ...] = (),
        larger: Mapping[str, int] | None = None,
        sockets: Mapping[str, App] | None = None,
        streamed: Callable[[str], App | None] | None = None,
        admit: Callable[[Mapping[bytes, bytes]], Awaitable[object]] | None = None,
        named: Callable[[str], App | None] | None = None,
    ) -> None:
        """`body_timeout`: seconds a client of `rest` may take to send its body; `own_pages_only`: see :mod:`origin`;
        `shared`: paths of `hot` at which `rest` has methods beside POST; `larger`: bytes of a body, where they may be
        more than MAX_BODY, by the path at which that begins; `sockets`: WebSockets, by path; `streamed`: what
        reads the body of a POST to a path itself, if anything does; `admit`: raises CaravanError for the headers of
        whoever may not send a larger body, before it is read; `named`: as `hot`, for paths that name something."""
        self._own_pages_only = own_pages_only
        self._body_timeout = body_timeout
        self._hot = dict(hot)
        old = {path.removeprefix("/v1/"): app for path, app in hot.items() if path.startswith("/v1/")}
        self._hot.update({OLD_PREFIX + path: app for path, app in old.items()})
        self._shared = frozenset(shared) | {OLD_PREFIX + path.removeprefix("/v1/") for path in shared}
        self._rest = rest
        self._larger = dict(larger or {})
        self._streamed = streamed
        self._admit = admit
        self._named = named
        self._sockets = dict(sockets or {})
        self._sockets.update({OLD_PREFIX + path.removeprefix("/v1/"): app for path, app in self._sockets.items()})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection or request."""
        if scope["type"] != "http":
            await self._sockets.get(scope["path"], self._rest)(scope, receive, send)
            return
        if self._own_pages_only:
            try:
                origin.check(scope["method"], scope["headers"])
            except PermissionDenied as error:
                await _answer(error, send)
                return
        path: str = scope["path"]
        hot = self._hot.get(path)
        if hot is None and self._named is not None:
            hot = self._named(path)
        if hot is not None:
            if scope["method"] == "POST":
                try:
                    await hot(scope, receive, send)
                except asyncio.CancelledError:
                    await cut_off(send)
                return
            if path not in self._shared:
                await _refuse(scope, send)
                return
        if path.startswith(OLD_PREFIX):
            scope = {**scope, "path": "/v1/" + path.removeprefix(OLD_PREFIX)}
            scope["raw_path"] = scope["path"].encode()
        await self._others(scope, receive, send)

    async def _others(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is asked for less often."""
        streamed = self._streamed(scope["path"]) if self._streamed and scope["method"] == "POST" else None
        if streamed is None:
            await self._observed(self._with_body, scope, receive, send)
            return
        try:
            await self._observed(streamed, scope, receive, send)
        except asyncio.CancelledError:
            await cut_off(send)

    async def _observed(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request_id = "req_" + tracing.new_id()
        scope["caravan_request_id"] = request_id
        status = 500

        async def send_named(event: Event) -> None:
            nonlocal status
            if event["type"] == "http.response.start":
                status = event["status"]
                named = [(b"x-request-id", request_id.encode()), answering.processing(began)]
                event["headers"] = [*event.get("headers", ()), *named]
            await send(event)

        try:
            await app(scope, receive, send_named)
        except ClientGone as error:
            status = error.status
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            metrics.HTTP_REQUESTS.labels(route, scope["method"], str(status)).inc()
            metrics.HTTP_SECONDS.labels(route).observe(time.perf_counter() - began)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = dict(scope["headers"])
            most = self._most(scope["path"])
            if most > MAX_BODY and self._admit is not None:
                await self._admit(headers)
            body = await asgi.read_body(headers, receive, most, self._body_timeout)
        except ClientGone:
            raise
        except CaravanError as error:
            await asgi.send_json(send, error.status, error.to_json(), asgi.error_headers(error))
            return
        await self._rest(scope, _once(body, receive), send)

    def _most(self, path: str) -> int:
        return next((most for prefix, most in self._larger.items() if path.startswith(prefix)), MAX_BODY)


def _once(body: bytes, receive: Receive) -> Receive:
    """A body that was read, then what comes after it: the client's leaving."""
    waiting = True

    async def receive_again() -> Event:
        nonlocal waiting
        if waiting:
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again


async def _refuse(scope: Scope, send: Send) -> None:
    error = MethodNotAllowed(f"{scope['path']} takes POST, not {scope['method']}")
    await _answer(error, send, (b"allow", b"POST"))


async def _answer(error: CaravanError, send: Send, *headers: tuple[bytes, bytes]) -> None:
    named = (b"x-request-id", b"req_" + tracing.new_id().encode())
    await asgi.send_json(send, error.status, error.to_json(), [*asgi.error_headers(error), *headers, named])
