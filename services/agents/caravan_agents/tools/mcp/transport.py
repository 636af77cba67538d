"""The guarded transport of a connection to an MCP server. What goes wrong with one request becomes the answer to that
request, since an error of a transport would end the connection for all calls under way.

Imported with :mod:`wire` alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
import orjson
from caravan_bus.outbound import Guard
from caravan_bus.outbound.httpx_transport import GuardedTransport, TooLong

from caravan_agents.tools.mcp.failures import ServerFailure, TooLarge

FAILED: Final = -32099
"""The code of an answer that was made here; its `data` is what :meth:`ServerFailure.error` gives."""
_RESUMES: Final = 4
"""How often answers that broke off are asked for again in one connection; the server says how soon, so it must not say
how often."""
_KEPT: Final = ("content-type", "mcp-session-id", "location")


class AnsweringTransport(GuardedTransport):
    """For streamable HTTP."""

    def __init__(self, guard: Guard, most: int, param: str) -> None:
        super().__init__(guard, most, param)
        self._resumes = 0
        self.status = 0
        """Of the last answer that was a refusal over HTTP."""
        self.ended = False
        """Whether the server forgot this connection."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and not self._may_listen(request):
            return httpx2.Response(405)
        asked = _id_of(request.content) if request.method == "POST" else None
        try:
            response = await super().handle_async_request(request)
            return await self._answer(request, response, asked)
        except httpx2.HTTPError as error:
            if asked is None:
                return httpx2.Response(502)
            return httpx2.Response(200, json=_failed(asked, self._failure(error)))

    def _may_listen(self, request: httpx2.Request) -> bool:
        """Servers are not served requests of their own, so nobody listens; an answer may be resumed."""
        if "last-event-id" not in request.headers:
            return False
        self._resumes += 1
        return self._resumes <= _RESUMES

    async def _answer(self, request: httpx2.Request, response: httpx2.Response, id: Any) -> httpx2.Response:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code >= 300:
            self.status = response.status_code
            self.ended = self.ended or (response.status_code == 404 and "mcp-session-id" in request.headers)
        if kind == "text/event-stream" and response.status_code < 300 and id is not None:
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            events = _Events(self, response.stream, id)
            return httpx2.Response(response.status_code, headers=_kept(response), stream=events)
        if response.status_code >= 400 and kind != "application/json" and id is not None:
            await response.aclose()
            failure = ServerFailure(f"it answered with the status {response.status_code}", code=response.status_code)
            return httpx2.Response(200, json=_failed(id, failure))
        if response.status_code >= 300 or request.method != "POST":
            return response
        try:
            data = await response.aread()
        finally:
            await response.aclose()
        return httpx2.Response(response.status_code, headers=_kept(response), content=data)

    def _failure(self, error: httpx2.HTTPError) -> ServerFailure:
        return TooLarge(self.most) if isinstance(error, TooLong) else failure_of_http(error)


class ListeningTransport(GuardedTransport):
    """For SSE, where answers come on one stream."""

    def __init__(self, guard: Guard, most: int, param: str) -> None:
        super().__init__(guard, most, param)
        self.lost = asyncio.Event()
        """Set when a request did not reach the server: nobody else notices, and its answer never comes."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await super().handle_async_request(request)
        except httpx2.HTTPError:
            self.lost.set()
            raise
        if response.status_code >= 300:
            self.lost.set()
        return response


class _Events(httpx2.AsyncByteStream):
    """A stream of events; when it breaks off, what broke it is its last event."""

    def __init__(self, transport: AnsweringTransport, stream: httpx2.AsyncByteStream, id: Any) -> None:
        self._transport = transport
        self._stream = stream
        self._id = id

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        except TooLong as error:
            # what is left of an event gets a type that nobody reads
            failed = orjson.dumps(_failed(self._id, self._transport._failure(error)))
            yield b"\nevent: broken\n\nevent: message\ndata: %b\n\n" % failed
        except httpx2.HTTPError:
            return  # it ended early: that is known, and may be resumed

    async def aclose(self) -> None:
        await self._stream.aclose()


def failure_of_http(error: httpx2.HTTPError) -> ServerFailure:
    """An error of the client as one that may be told."""
    if isinstance(error, httpx2.HTTPStatusError):
        status = error.response.status_code
        return ServerFailure(f"it answered with the status {status}", code=status)
    if isinstance(error, httpx2.TimeoutException):
        return ServerFailure("it cannot be reached in time", code=504)
    if isinstance(error, httpx2.ConnectError):
        return ServerFailure("it cannot be reached")
    return ServerFailure("the connection broke off")


def _id_of(body: bytes) -> Any:
    """Of a request of the protocol; None of anything else."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return message.get("id") if isinstance(message, dict) and "method" in message else None


def _failed(id: Any, failure: ServerFailure) -> dict[str, Any]:
    error = {"code": FAILED, "message": failure.message, "data": failure.error()}
    return {"jsonrpc": "2.0", "id": id, "error": error}


def _kept(response: httpx2.Response) -> dict[str, str]:
    return {name: response.headers[name] for name in _KEPT if name in response.headers}
