"""An MCP server of the protocol's own package, in a thread, over streamable HTTP (``/mcp``) or SSE (``/sse``)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import EmbeddedResource, TextContent, TextResourceContents, ToolAnnotations
from starlette.types import ASGIApp, Receive, Scope, Send

CALLS: list[str] = []
"""Of the slow tools, as they begin."""
PIXEL = bytes.fromhex("89504e470d0a1a0a")


def server() -> MCPServer[Any]:
    made: MCPServer[Any] = MCPServer("shop", log_level="CRITICAL")
    calls: list[str] = []

    @made.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @made.tool(annotations=ToolAnnotations(idempotent_hint=True), structured_output=False)
    def remember(text: str) -> str:
        calls.append(text)
        return f"remembered {len(calls)}"

    @made.tool(structured_output=False)
    def fail() -> str:
        """Never works."""
        raise ToolError("the shop is closed")

    @made.tool(structured_output=False)
    def show() -> list[Any]:
        return [
            TextContent(type="text", text="look:"),
            Image(data=PIXEL, format="png"),
            EmbeddedResource(
                type="resource",
                resource=TextResourceContents(uri="file:///a.txt", text="inside", mime_type="text/plain"),
            ),
        ]

    @made.tool(structured_output=False)
    async def wait() -> str:
        await asyncio.sleep(30)
        return "late"

    @made.tool(structured_output=False)
    def say(letters: int) -> str:
        return "x" * letters

    @made.tool(structured_output=False)
    def header(ctx: Context[Any, Any]) -> str:
        """What the request brought."""
        return str(ctx.request_context.request.headers.get("authorization"))  # type: ignore[union-attr]

    @made.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
    async def look_long(text: str) -> str:
        CALLS.append(text)
        await asyncio.sleep(2)
        return f"seen {text}"

    @made.tool(structured_output=False)
    async def work_long(text: str) -> str:
        CALLS.append(text)
        await asyncio.sleep(2)
        return f"done {text}"

    return made


class Counted:
    """An application, and the paths it was asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked.append(f"{scope['method']} {scope['path']}")
        await self._app(scope, receive, send)


@contextmanager
def running(app: ASGIApp, port: int = 0) -> Iterator[int]:
    """The port of an application that runs in a thread; 0: any."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    taken.listen()  # whoever comes before the server waits in line
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1, ws="none", lifespan="on")
    made = uvicorn.Server(config)
    thread = threading.Thread(target=made.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    try:
        yield taken.getsockname()[1]
    finally:
        made.should_exit = True
        thread.join(10)
        taken.close()
        assert not thread.is_alive()
