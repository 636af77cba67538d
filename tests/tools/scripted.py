"""An MCP server that does what a test says, over streamable HTTP: the protocol's package would not let it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from tests.outbound.servers import serving

Step = Callable[[web.BaseRequest, Any], Awaitable[web.StreamResponse]]


def result(message: Any, value: Any, **headers: str) -> web.Response:
    data = orjson.dumps({"jsonrpc": "2.0", "id": message["id"], "result": value})
    return web.Response(body=data, content_type="application/json", headers=headers)


def refused(message: Any, code: int, text: str) -> web.Response:
    error = {"code": code, "message": text}
    data = orjson.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error})
    return web.Response(body=data, content_type="application/json")


def one(name: str = "go", **more: Any) -> dict[str, Any]:
    """A tool as a server lists it."""
    return {"name": name, "inputSchema": {"type": "object"}, **more}


class Scripted:
    """`list` and `call` answer what their methods ask; everything else is as it should be."""

    def __init__(self, *tools: dict[str, Any], list: Step | None = None, call: Step | None = None) -> None:
        self._steps: dict[str, Step] = {"tools/list": list or self._list, "tools/call": call or self._call}
        self._tools = tools or (one(),)
        self.asked: list[str] = []
        self.url = ""

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST":
            self.asked.append(request.method)
            return web.Response(status=405)
        message = orjson.loads(await request.read())
        method = message["method"]
        self.asked.append(method)
        if method == "initialize":
            info = {"name": "scripted", "version": "1"}
            return result(message, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info})
        if "id" not in message:
            return web.Response(status=202)
        step = self._steps.get(method)
        return refused(message, -32601, "no such method") if step is None else await step(request, message)

    async def _list(self, request: web.BaseRequest, message: Any) -> web.StreamResponse:
        return result(message, {"tools": list(self._tools)})

    async def _call(self, request: web.BaseRequest, message: Any) -> web.StreamResponse:
        return result(message, {"content": [{"type": "text", "text": "done"}]})


@asynccontextmanager
async def running(script: Scripted) -> AsyncIterator[str]:
    """Its address."""
    async with serving(script) as port:  # type: ignore[arg-type]
        script.url = f"http://127.0.0.1:{port}/mcp"
        yield script.url


async def events(request: web.BaseRequest, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
    """An answer as server-sent events; broken off without its end when the pieces end."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    try:
        async for piece in pieces:
            await response.write(piece)
    except ConnectionError:
        pass  # the client has had enough, which is what the test is about
    return response


class OldScripted(Scripted):
    """The same over SSE, as servers spoke before: answers come on the stream of a GET."""

    def __init__(self, *tools: dict[str, Any], call: Step | None = None) -> None:
        super().__init__(*tools, call=call)
        self.streams: list[web.StreamResponse] = []
        self.refuse_posts = False

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET":
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(b"event: endpoint\ndata: /messages\n\n")
            self.streams.append(response)
            assert request.transport is not None
            while not request.transport.is_closing():
                await asyncio.sleep(0.02)
            return response
        if request.path != "/messages":
            return web.Response(status=405)
        if self.refuse_posts:
            self.refuse_posts = False
            return web.Response(status=500)
        answer = await super().__call__(request)
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes) and answer.body:
            await self.say(answer.body)
        return web.Response(status=202)

    async def say(self, data: bytes) -> None:
        """On the stream that was opened last."""
        try:
            await self.streams[-1].write(b"event: message\ndata: " + data + b"\n\n")
        except ConnectionError:
            pass  # the client has left
