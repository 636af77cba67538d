"""The `mcp` package: one connection to one server.

Imported when the first server is asked (:func:`caravan_agents.tools.mcp.links.load`): it brings a web framework with
it, 40 MB in each process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, TypeVar

import httpx2
import orjson
from caravan_bus.outbound import Guard
from caravan_bus.tasks import cancel_and_wait
from caravan_contracts.errors import CaravanError
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import CONNECTION_CLOSED, Implementation
from pydantic import ValidationError

from caravan_agents.tools.mcp.failures import ServerFailure, TimedOut, TooLarge
from caravan_agents.tools.mcp.listing import MAX_PAGES, MAX_RAW, Listed
from caravan_agents.tools.mcp.options import McpOptions
from caravan_agents.tools.mcp.servers import Server
from caravan_agents.tools.mcp.transport import FAILED, AnsweringTransport, ListeningTransport, failure_of_http

Kind = Literal["streamable_http", "sse"]
T = TypeVar("T")
_LEAVE_SECONDS: Final = 3.0
_CAUSE_SECONDS: Final = 0.5
_CONNECT_SECONDS: Final = 10.0
_LISTED: Final = {"name", "description", "input_schema", "annotations"}
_MAX_TEXT: Final = 2000
_CLIENT: Final = Implementation(name="caravan", version="1")

log = logging.getLogger(__name__)
logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it logs what strangers answer, with tracebacks
logging.getLogger("client").setLevel(logging.CRITICAL)


class Wire:
    """Open once, use from any task, close once. It lives in a task of its own: when it breaks, that task ends and
    nobody else's."""

    def __init__(self, server: Server, guard: Guard, options: McpOptions, kind: Kind) -> None:
        self._server = server
        self._options = options
        self._kind = kind
        self._answering = AnsweringTransport(guard, options.read_bytes, server.param)
        self._listening = ListeningTransport(guard, options.read_bytes, server.param)
        self._transport = self._listening if kind == "sse" else self._answering
        self._ready = asyncio.Event()
        self._leave = asyncio.Event()
        self._client: Client | None = None
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether another call may be made."""
        gone = self._closed or self._answering.ended or self._listening.lost.is_set()
        return self._task is not None and not self._task.done() and not gone

    @property
    def status(self) -> int:
        """Of the last refusal over HTTP; 0 when there was none."""
        return self._answering.status

    async def open(self) -> None:
        """Connect, and agree on a version of the protocol. Raises ServerFailure, and the guard's InvalidRequest."""
        self._task = asyncio.create_task(self._live(), name=f"mcp {self._server.label}")
        waiting = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(waiting)
        if self._client is None:
            raise self._failure(self._task.exception())

    async def list(self) -> list[Listed]:
        """All pages, as the server says them. Raises ServerFailure."""
        made: list[Listed] = []
        cursor: str | None = None
        seen: set[str] = set()
        size, most = 0, self._options.read_listing_bytes
        for _ in range(MAX_PAGES):
            self._transport.restart(most)
            page = await self._asked(self._open_client().list_tools(cursor=cursor))
            for tool in page.tools:
                said = tool.model_dump(mode="json", by_alias=True, include=_LISTED)
                said["input_schema"] = said.pop("inputSchema", None)
                size += _size(said)
                made.append(said)
            cursor = page.next_cursor
            if size > most:
                raise TooLarge(most)
            if len(made) > MAX_RAW:
                raise ServerFailure(f"it lists more than {MAX_RAW} tools", "mcp_protocol_error", -32603)
            if not cursor:
                return made
            if cursor in seen:
                break
            seen.add(cursor)
        raise ServerFailure("its list of tools does not end", "mcp_protocol_error", -32603)

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result, as the protocol has it. Raises ServerFailure; after a :class:`TimedOut` the connection may be
        stuck."""
        self._transport.restart(self._options.read_bytes)
        seconds = self._options.call_seconds
        try:
            async with asyncio.timeout(seconds):
                result = await self._asked(self._open_client().call_tool(name, arguments))
        except TimeoutError:
            raise TimedOut(seconds) from None
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)

    async def close(self) -> None:
        """Say good-bye, if the server listens; never raises, never takes long."""
        self._leave.set()
        if self._task is None:
            return
        if self._client is not None:
            await asyncio.wait({self._task}, timeout=_LEAVE_SECONDS)
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=_LEAVE_SECONDS)
        if self._task.done() and not self._task.cancelled():
            self._task.exception()  # whoever asked was told

    async def _live(self) -> None:
        async with Client(self._streams(), mode=self._mode(), cache=None, client_info=_CLIENT) as client:
            # what a server says of its answers is not believed: a check of them would run its patterns in our loop
            client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]
            self._client = client
            self._ready.set()
            await self._leave.wait()

    def _mode(self) -> str:
        return "auto" if self._kind == "streamable_http" else "legacy"

    @asynccontextmanager
    async def _streams(self) -> AsyncIterator[Any]:
        url, most = self._server.url, self._options.read_bytes
        await self._transport.pin(url)
        if self._kind == "streamable_http":
            async with (
                self._http() as http,
                streamable_http_client(url, http_client=http, max_sse_event_size=most) as streams,
            ):
                yield streams
        else:
            async with sse_client(url, httpx_client_factory=self._http) as streams:
                yield streams

    def _http(self, headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
        """Without a time for reading: whoever asks has one of its own."""
        return httpx2.AsyncClient(
            transport=self._transport,
            headers=dict(self._server.headers),
            timeout=httpx2.Timeout(self._options.list_seconds, connect=_CONNECT_SECONDS, read=None),
            trust_env=False,
        )

    def _open_client(self) -> Client:
        if self._client is None or not self.alive:
            raise self._failure(None)
        return self._client

    async def _asked(self, asking: Coroutine[Any, Any, T]) -> T:
        task, lost = asyncio.create_task(asking), asyncio.create_task(self._listening.lost.wait())
        try:
            await asyncio.wait({task, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ServerFailure("the connection broke off")
            return task.result()
        except Exception as error:  # whatever strangers make the package raise is their failure
            raise await self._said(error) from error
        finally:
            lost.cancel()
            task.cancel()  # which tells the server, if it is still under way
            await asyncio.wait({task, lost}, timeout=_LEAVE_SECONDS)

    async def _said(self, error: Exception) -> Exception:
        """What is behind an error: when the connection broke, what its task ended with."""
        if _closed(error):
            self._closed = True
            if self._task is not None:
                await asyncio.wait({self._task}, timeout=_CAUSE_SECONDS)
                if self._task.done() and not self._task.cancelled():
                    return self._failure(self._task.exception() or error)
        return self._failure(error)

    def _failure(self, error: BaseException | None) -> Exception:
        if self._listening.too_long:
            return TooLarge(self._listening.most)
        return failure_of(error)


def _size(tool: Listed) -> int:
    """Bytes of a tool as JSON; what is none of ours (numbers of many digits, half characters) is emptied."""
    try:
        return len(orjson.dumps(tool))
    except orjson.JSONEncodeError:
        tool.update(name="", input_schema=None, description=None, annotations=None)
        return 0


async def _unchecked(name: str, result: Any) -> None:
    """In place of a check of an answer against a schema that came from the same server."""


def _closed(error: BaseException) -> bool:
    """Whether the connection is gone; servers use the code for errors of their own as well."""
    return isinstance(error, MCPError) and (error.code, error.message) == (CONNECTION_CLOSED, "Connection closed")


def failure_of(error: BaseException | None) -> Exception:
    """An error of the package or of its clients as one that may be told."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, CaravanError | ServerFailure):
        return error
    if isinstance(error, MCPError):
        return _protocol_failure(error)
    if isinstance(error, httpx2.HTTPError):
        return failure_of_http(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        return ServerFailure(
            f"its answer does not follow the protocol: {where}: {first['msg']}", "mcp_protocol_error", -32600
        )
    if error is not None:
        log.info("an MCP server ended its connection with %s: %s", type(error).__name__, error)
    return ServerFailure("the connection broke off")


def _protocol_failure(error: MCPError) -> ServerFailure:
    if _closed(error):
        return ServerFailure("the connection broke off")
    text = str(error.message)[:_MAX_TEXT] or "it refused"
    if error.code == FAILED and isinstance(error.data, dict) and error.data.get("type") == "http_error":
        code = error.data.get("code")
        return ServerFailure(text, code=code if isinstance(code, int) else 502)
    return ServerFailure(text, "mcp_protocol_error", error.code)
