"""A scripted upstream of another kind: Anthropic's Messages API, whose behaviour is the model's name.

    plain            `max_tokens` words (at most 4), then end_turn
    slow-50          the same, 50 ms before each
    tools            a text, then a tool call in two pieces
    status-529       that status with an Anthropic error (429 with Retry-After: 2)
    toolong          the refusal of a prompt that is too long
    hang             silence before any header
    cut-2            2 words, then the connection is closed
    inband-2         2 words, then an error event (overloaded_error)
    nostop           a stream that ends without a stop reason
    noend            one that ends without message_stop
    early            an error event before any other
    signed           a thought, and its signature, then the words
    pages            what `pages` has for the text of the last message: bytes, as they are read

Every request is recorded; `open` counts streams under way, `closed_early` those whose client went away.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.upstream.scripted import Recorded

USAGE = {"input_tokens": 7, "output_tokens": 4, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 0}
ERRORS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
          413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}  # fmt: skip
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "EqQBCgIYAhIM+/=="}
TOO_LONG = "prompt is too long: 212345 tokens > 200000 maximum"


@dataclass
class ScriptedAnthropic:
    models: list[str] = field(default_factory=lambda: ["plain", "claude-embed-x"])
    requests: list[Recorded] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    """Their bodies as they came."""
    pages: dict[str, list[bytes]] = field(default_factory=dict)
    open: int = 0
    closed_early: int = 0
    port: int = 0
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def stop(self) -> None:
        assert self._loop is not None and self._stop is not None and self._thread is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=64 * 1024 * 1024, handler_args={"lingering_time": 0})
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/messages", self._messages)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = runner.addresses[0][1]
        ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        if request.headers.get("x-api-key") == "wrong":
            return self._error(401, "invalid x-api-key")
        if "authorization" in request.headers and "x-api-key" not in request.headers:
            return self._error(401, "x-api-key header is required")
        if "x-api-key" in request.headers and "anthropic-version" not in request.headers:
            return self._error(400, "anthropic-version: header is required")
        rows = [
            {"type": "model", "id": m, "display_name": m, "created_at": "2026-01-01T00:00:00Z"} for m in self.models
        ]
        page = {"data": rows, "has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]}
        return web.json_response(page)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        self.raw.append(await request.read())
        body = json.loads(self.raw[-1])
        self.requests.append(Recorded(request.path, {k.lower(): v for k, v in request.headers.items()}, body))
        name, _, number = str(body["model"]).partition("-")
        if name == "status":
            return self._error(int(number), f"scripted {number}")
        if name == "toolong":
            return self._error(400, TOO_LONG)
        self.open += 1
        try:
            if name == "hang":
                await asyncio.sleep(60)
            if body.get("stream"):
                return await self._stream(request, body, name, int(number or 0))
            if name == "slow":
                await asyncio.sleep(int(number) / 1000 * len(words(body)))
            return web.json_response(self._message(body, name))
        except (asyncio.CancelledError, ConnectionError):
            self.closed_early += 1
            raise
        finally:
            self.open -= 1

    def _error(self, status: int, message: str) -> web.Response:
        body = {"type": "error", "error": {"type": ERRORS[status], "message": message}, "request_id": "req_1"}
        headers = {"Retry-After": "2"} if status in (429, 529) else {}
        return web.json_response(body, status=status, headers=headers)

    def _message(self, body: Any, name: str) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": "".join(words(body))}]
        if "output_config" in body:
            content = [{"type": "text", "text": '{"city":"Paris"}'}]
        if name == "tools":
            content.append({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}})
        if name == "signed":
            content.insert(0, THOUGHT)
        stop = "tool_use" if name == "tools" else "end_turn"
        return {**head(body), "content": content, "stop_reason": stop, "stop_sequence": None, "usage": USAGE}

    async def _stream(self, request: web.Request, body: Any, name: str, number: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for page in self.pages[body["messages"][-1]["content"]] if name == "pages" else ():
            await response.write(page)
            await asyncio.sleep(0)
        if name == "pages":
            return response
        for event in events(body, name, number):
            if name == "slow":
                await asyncio.sleep(number / 1000)
            kind = event["type"].encode()
            await response.write(b"event: " + kind + b"\ndata: " + json.dumps(event).encode() + b"\n\n")
        if name == "cut" and request.transport is not None:
            await asyncio.sleep(0.05)
            request.transport.abort()
            await asyncio.sleep(60)
        return response


def words(body: Any) -> list[str]:
    return [f"w{i} " for i in range(min(4, body["max_tokens"]) if body["max_tokens"] < 100 else body["max_tokens"])]


def head(body: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}


def events(body: Any, name: str, number: int) -> Iterator[dict[str, Any]]:
    if name == "early":
        yield OVERLOADED
        return
    begun = {**head(body), "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**begun, "usage": {**USAGE, "output_tokens": 1}}}
    at = 0
    if name == "signed":
        yield from thought()
        at = 1
    yield {"type": "content_block_start", "index": at, "content_block": {"type": "text", "text": ""}}
    yield {"type": "ping"}
    for i, word in enumerate(words(body)):
        if name in ("cut", "inband") and i == number:
            if name == "inband":
                yield OVERLOADED
            return
        yield {"type": "content_block_delta", "index": at, "delta": {"type": "text_delta", "text": word}}
    yield {"type": "content_block_stop", "index": at}
    if name == "tools":
        call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
        yield {"type": "content_block_start", "index": 1, "content_block": call}
        for piece in ('{"city":', '"Paris"}'):
            delta = {"type": "input_json_delta", "partial_json": piece}
            yield {"type": "content_block_delta", "index": 1, "delta": delta}
        yield {"type": "content_block_stop", "index": 1}
    if name == "nostop":
        return
    stop = {"stop_reason": "tool_use" if name == "tools" else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": USAGE}
    if name != "noend":
        yield {"type": "message_stop"}


def thought() -> Iterator[dict[str, Any]]:
    yield {"type": "content_block_start", "index": 0, "content_block": {**THOUGHT, "thinking": "", "signature": ""}}
    for name in ("thinking", "signature"):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": f"{name}_delta", name: THOUGHT[name]}}
    yield {"type": "content_block_stop", "index": 0}
