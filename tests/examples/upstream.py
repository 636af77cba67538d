"""An OpenAI-compatible server that always says the same, word by word when it streams. Prints its port."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from aiohttp import web

MODEL = "scripted"
WHOLE = "A caravan is a group of travellers who cross the desert together."
STREAMED = "Camels carry water – 120 litres of it – and take their time."
USAGE = {"prompt_tokens": 7, "completion_tokens": 13, "total_tokens": 20}


def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    """One SSE event."""
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices}
    return b"data: " + json.dumps(chunk | more, ensure_ascii=False).encode() + b"\n\n"


async def chat(request: web.Request) -> web.StreamResponse:
    """POST /v1/chat/completions."""
    asked = await request.json()
    if not asked.get("stream"):
        message = {"role": "assistant", "content": WHOLE}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": choices}
        return web.json_response(answer | {"usage": USAGE})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for word in STREAMED.split(" "):
        text = word if word == "Camels" else " " + word
        await response.write(event([{"index": 0, "delta": {"content": text}, "finish_reason": None}]))
        await asyncio.sleep(0)  # each word is a read of its own at the worker, most of the time
    await response.write(event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    if (asked.get("stream_options") or {}).get("include_usage"):
        await response.write(event([], usage=USAGE))
    await response.write(b"data: [DONE]\n\n")
    return response


async def models(_: web.Request) -> web.Response:
    """GET /v1/models."""
    return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "tests"}]})


def main() -> None:
    """Serve on a free port of the loopback until killed."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", models)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    web.run_app(app, sock=listener, print=None)


if __name__ == "__main__":
    main()
