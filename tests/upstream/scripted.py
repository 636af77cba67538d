"""A scripted upstream: an OpenAI-compatible server whose behaviour is the model's name.

    plain            `max_tokens` or `max_completion_tokens` tokens (default 4), then stop
    slow-50          the same, 50 ms before each token
    crlf, split      the same, with CRLF line ends; cut in the middle of events
    status-503       that status with an OpenAI error (429 with Retry-After: 2)
    pause-4          status 429 with Retry-After: 4
    html-500         that status with a page of HTML
    reset, hang      the connection is closed, or silent, before any header
    mute             status and headers, and of an answer that does not stream its first byte; then silence
    flood-64         an endless stream, 64 KiB in each event
    cut-3, silent-3  3 tokens, then the connection is closed, or silent
    inband-2         2 tokens, then an error event
    latedone         [DONE] comes 50 ms after what is before it, and the end of the answer as much later
    nodone, nofinish a stream without [DONE]; one that simply ends
    notjson          200 with something that is no JSON
    half             200 with the first half of a JSON object, whether a stream was asked for or not
    room-3           refuses more than 3 messages, as too long for the model
    big-500          an answer of 500 KiB
    tools, logprobs  what their name says
    work-3           three turns with calls of the first tool, then an answer: see `working`
    thinking         says what it thinks before its tokens
    refusing         says that it will not, in a refusal
    short, filtered  stops after its tokens because there may be no more; because of a filter
    mixed            calls the tool `weather`, speaks, and calls `clock`, in one answer
    lost-2           calls a tool that nobody has in its first two turns (lost-99: for ever), then speaks
    endless          calls the first tool that is offered for as long as any is
    stubborn         calls `shop__add` whatever is offered, for ever
    embed-64         vectors of 64 numbers, of the words of a text: see `embedding`; for "hanging bread" after a minute
    guard            judges as Llama Guard does: see `guarding`
    agent            calls the tools that the user names, then answers from their results: see `acting`

Every request is recorded, with what became of it; `open` counts those under way, `closed_early` those whose client
went away.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.upstream import embedding, odd, working
from tests.upstream.acting import act, pieces
from tests.upstream.guarding import judge

USAGE = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}

Answer = Callable[[web.Request, Any, str, int], Awaitable[web.StreamResponse]]


@dataclass
class Recorded:
    path: str
    headers: dict[str, str]
    body: Any
    open: bool = False
    """Whether it is under way."""
    left: bool = False
    """Whether its client went away before its end."""
    sent: int = 0
    """Events of a flood that its client took."""


_RECORDED = web.RequestKey("recorded", Recorded)


@dataclass
class ScriptedUpstream:
    models: list[str] = field(default_factory=lambda: ["plain", "llama3.2:3b", "text-embed", "some-reranker"])
    requests: list[Recorded] = field(default_factory=list)
    open: int = 0
    closed_early: int = 0
    port: int = 0
    host: str = "127.0.0.1"
    """Where it listens."""
    chats: tuple[str, ...] = ("/v1/chat/completions", "/v1/completions")
    """Where it answers as its model's name says."""
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def stop(self) -> None:
        assert self._loop is not None and self._stop is not None and self._thread is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @contextmanager
    def down(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    def asked(self, model: str) -> list[Recorded]:
        return [r for r in self.requests if isinstance(r.body, dict) and r.body.get("model") == model]

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=64 * 1024 * 1024, handler_args={"lingering_time": 0})
        app.router.add_get("/v1/models", self._list)
        for path in self.chats:
            app.router.add_post(path, self._chat)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_post("/v1/rerank", self._rerank)
        app.router.add_post("/rerank", self._rerank_tei)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, self.host, self.port, reuse_address=True)
        await site.start()
        self.port = runner.addresses[0][1]
        ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        rows = [{"id": m, "object": "model", "created": 1, "owned_by": "tests"} for m in self.models]
        return web.json_response({"object": "list", "data": rows})

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self._vectors)

    async def _vectors(self, request: web.Request, body: Any, name: str, number: int) -> web.StreamResponse:
        count = len(body["input"]) if isinstance(body["input"], list) else 1
        vectors = [[0.5, -0.25, float(i)] for i in range(count)]
        if name == "embed":
            if any("hanging bread" in text for text in body["input"]):
                await asyncio.sleep(60)
            vectors = [embedding.of(text, number) for text in body["input"]]
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        usage = {"prompt_tokens": 2, "total_tokens": 2}
        return web.json_response({"object": "list", "model": body["model"], "data": data, "usage": usage})

    async def _rerank(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self._ranking)

    async def _ranking(self, request: web.Request, body: Any, name: str, number: int) -> web.StreamResponse:
        """The longest document first, as vLLM says it."""
        rows = [
            {"index": i, "document": {"text": text}, "relevance_score": len(text) / 100}
            for i, text in enumerate(body["documents"])
        ]
        rows.sort(key=lambda row: -row["relevance_score"])
        usage = {"total_tokens": 9}
        return web.json_response(
            {"id": "score-1", "model": body["model"], "usage": usage, "results": rows[: body.get("top_n")]}
        )

    async def _rerank_tei(self, request: web.Request) -> web.Response:
        body = (await self._record(request)).body
        return web.json_response([{"index": i, "score": len(text) / 100} for i, text in enumerate(body["texts"])])

    async def _record(self, request: web.Request) -> Recorded:
        made = Recorded(request.path, dict(request.headers), json.loads(await request.read()))
        self.requests.append(made)
        return made

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self._text)

    async def _text(self, request: web.Request, body: Any, name: str, number: int) -> web.StreamResponse:
        return await (self._stream if body.get("stream") else self._whole)(request, body, name, number)

    async def _answer(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        recorded = await self._record(request)
        request[_RECORDED] = recorded
        body = recorded.body
        name, _, number = str(body["model"]).partition("-")
        self.open += 1
        recorded.open = True
        try:
            early = await self._refuse(request, name, number)
            if early is not None:
                return early
            return await answer(request, body, name, int(number) if number.isdigit() else 0)
        except (asyncio.CancelledError, ConnectionError):
            self.closed_early += name != "reset"
            recorded.left = True
            raise
        finally:
            recorded.open = False
            self.open -= 1

    async def _refuse(self, request: web.Request, name: str, number: str) -> web.StreamResponse | None:
        if name == "room" and len(request[_RECORDED].body["messages"]) > int(number):
            error = {"message": "too many tokens", "type": "invalid_request_error", "code": "context_length_exceeded"}
            return web.json_response({"error": error}, status=400)
        if name in ("status", "pause"):
            error = {"message": f"scripted {number}", "type": "scripted_type", "param": "x", "code": "scripted_code"}
            status, wait = (429, number) if name == "pause" else (int(number), "2")
            headers = {"Retry-After": wait} if status == 429 else {}
            return web.json_response({"error": error}, status=status, headers=headers)
        if name == "html":
            return web.Response(text="<html>Bad gateway</html>", status=int(number), content_type="text/html")
        if name == "notjson":
            return web.Response(text="hello", content_type="application/json")
        if name == "half":
            return web.Response(body=b'{"id":"chatcmpl-s","choices":[{"mess', content_type="application/json")
        if name == "reset" and request.transport is not None:
            request.transport.abort()
        if name == "mute":
            streams = request[_RECORDED].body.get("stream")
            kind = "text/event-stream" if streams else "application/json"
            begun = web.StreamResponse(headers={"Content-Type": kind})
            await begun.prepare(request)
            if not streams:
                await begun.write(b"{")
        if name in ("reset", "hang", "mute"):
            await asyncio.sleep(60)
        return None

    async def _whole(self, request: web.Request, body: Any, name: str, number: int) -> web.Response:
        if name == "slow":
            await asyncio.sleep(number / 1000 * self._count(body))
        text = "x" * number * 1024 if name == "big" else "".join(self._words(body))
        message: dict[str, Any] = {"role": "assistant", "content": text}
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
        if name == "tools":
            message.update(content=None, tool_calls=[CALL])
            choice["finish_reason"] = "tool_calls"
        if name == "agent":
            done = act(body)
            message["content"] = done.text or None
            if done.calls:
                message["tool_calls"] = list(done.calls)
                choice["finish_reason"] = "tool_calls"
        if name == "guard":
            message["content"] = judge(body)
        if name == "logprobs":
            choice["logprobs"] = {"content": [{"token": "w0", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
        if request.path.endswith("/v1/completions"):
            choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
        choices = [{**choice, "index": i} for i in range(body.get("n") or 1)]
        kind = "text_completion" if "text" in choice else "chat.completion"
        head = {"id": "chatcmpl-s", "object": kind, "created": 1, "model": body["model"]}
        return web.json_response({**head, "choices": choices, "usage": USAGE})

    async def _stream(self, request: web.Request, body: Any, name: str, number: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if name == "flood":
            await self._flood(request[_RECORDED], response, number)
        end = b"\r\n\r\n" if name == "crlf" else b"\n\n"
        events = list(self._events(body, name, number))
        if name == "split":
            raw = b"".join(e + end for e in events)
            for start in range(0, len(raw), 37):
                await response.write(raw[start : start + 37])
                await asyncio.sleep(0)
            return response
        for event in events:
            if name in ("slow", "work"):
                await asyncio.sleep(number / 1000 if name == "slow" else 0.1)
            if name == "latedone" and event.endswith(b"[DONE]"):
                await asyncio.sleep(0.05)
            await response.write(event + end)
        if name == "latedone":
            await asyncio.sleep(0.05)
        if name == "cut" and request.transport is not None:
            await asyncio.sleep(0.05)
            request.transport.abort()
        if name in ("cut", "silent"):
            await asyncio.sleep(60)
        return response

    async def _flood(self, recorded: Recorded, response: web.StreamResponse, size: int) -> None:
        delta = {"content": "x" * size * 1024}
        chunk = {"id": "chatcmpl-s", "object": "chat.completion.chunk", "created": 1, "model": "flood"}
        choice = {"index": 0, "delta": delta, "text": delta["content"], "finish_reason": None}
        event = b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"
        while True:
            await response.write(event)
            recorded.sent += 1
            await asyncio.sleep(0)

    def _events(self, body: Any, name: str, number: int) -> Iterator[bytes]:
        def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish}
            if request_is_text:
                choice = {"index": 0, "text": delta.get("content", ""), "finish_reason": finish}
            chunk = {"id": "chatcmpl-s", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
            return b"data: " + json.dumps({**chunk, "choices": [choice]}).encode()

        request_is_text = "prompt" in body
        calls = working.calls(body, number) if name == "work" else []
        if name == "tools":
            yield event({"role": "assistant", "tool_calls": [{"index": 0, **CALL}]})
            yield event({}, "tool_calls")
        elif calls:
            for index, call in enumerate(calls):
                yield event({"role": "assistant", "tool_calls": [{"index": index, **call}]})
            yield event({}, "tool_calls")
        elif name == "mixed":
            yield from (event(delta) for delta in odd.mixed())
            yield event({}, "tool_calls")
        elif calls := odd.calls(name, number, body):
            yield event({"role": "assistant", "tool_calls": [{"index": 0, **calls[0]}]})
            yield event({}, "tool_calls")
        elif name == "refusing":
            yield event({"role": "assistant", "refusal": "I "})
            yield event({"refusal": "will not."})
            yield event({}, "stop")
        elif name == "agent":
            done = act(body)
            yield event({"role": "assistant", "content": done.text or None})
            for index, call in enumerate(done.calls):
                for piece in pieces(call, index):
                    yield event({"tool_calls": [piece]})
            yield event({}, "tool_calls" if done.calls else "stop")
        else:
            if name == "thinking":
                yield event({"role": "assistant", "reasoning_content": "hm"})
            for i, word in enumerate(self._words(body)):
                if name in ("cut", "silent", "inband") and i == number:
                    if name == "inband":
                        yield b'data: {"error":{"message":"scripted in-band","type":"server_error","code":500}}'
                    return
                yield event({"content": word} if i else {"role": "assistant", "content": word})
            if name == "nofinish":
                return
            yield event({}, odd.FINISH.get(name, "stop"))
        if (body.get("stream_options") or {}).get("include_usage"):
            head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
            yield b"data: " + json.dumps({**head, "choices": [], "usage": USAGE}).encode()
        if name != "nodone":
            yield b"data: [DONE]"

    def _count(self, body: Any) -> int:
        return int(body.get("max_tokens") or body.get("max_completion_tokens") or 4)

    def _words(self, body: Any) -> list[str]:
        return [f"w{i} " for i in range(self._count(body))]
