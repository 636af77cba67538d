"""Ollama's own client, in front of the scripted upstream."""

from __future__ import annotations

import json
import sys

from ollama import Client, ResponseError

client = Client(host=sys.argv[1])
HELLO = [{"role": "user", "content": "hello"}]
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def weather(city: str) -> str:
    """The weather.

    Args:
      city: where
    """
    return f"sunny in {city}"


def agent() -> str:
    """A loop with a tool, as Ollama's guide has it."""
    messages = [{"role": "user", "content": 'weather {"city":"Oslo"}'}]
    answer = client.chat("up/agent", messages, tools=[weather])
    for call in answer.message.tool_calls or ():
        messages += [
            answer.message,
            {"role": "tool", "tool_name": call.function.name, "content": weather(**call.function.arguments)},
        ]
    return client.chat("up/agent", messages, tools=[weather]).message.content or ""


def refused(ask: object) -> list[object]:
    try:
        for _ in ask() if callable(ask) else ():
            pass
    except ResponseError as error:
        return [error.status_code, error.error]
    return []


def broken() -> list[object]:
    """What comes of a stream that breaks: its words, whether it was ever done, and its error."""
    said, done = [], False
    try:
        for piece in client.chat("up/cut-3", HELLO, stream=True):
            said.append(piece.message.content)
            done = done or bool(piece.done)
    except ResponseError as error:
        return ["".join(said), done, bool(error.error)]
    return ["".join(said), done]


whole = client.chat("up/plain", HELLO)
stream = list(client.chat("up/plain", HELLO, stream=True, options={"num_predict": 6, "temperature": 0.1}))
thinking = list(client.chat("up/thinking", HELLO, stream=True, think=True))
pulled = refused(lambda: client.pull("llama3", stream=True))
print(
    json.dumps(
        {
            "whole": [whole.message.content, whole.done, whole.done_reason, whole.prompt_eval_count, whole.eval_count],
            "a stream": ["".join(p.message.content or "" for p in stream), len(stream), stream[-1].done_reason],
            "its numbers": [stream[-1].prompt_eval_count, (stream[-1].total_duration or 0) > 0],
            "thinking": ["".join(p.message.thinking or "" for p in thinking), thinking[-1].done],
            "a short name": client.chat("llama3.2:3b", HELLO).message.content,
            "a picture": client.chat("up/plain", [{**HELLO[0], "images": [PICTURE]}]).message.content,
            "an object": client.chat("up/plain", HELLO, format={"type": "object"}).message.content,
            "a tool": agent(),
            "text": client.generate("up/plain", "hello", system="be brief").response,
            "a stream of text": "".join(p.response for p in client.generate("up/plain", "hello", stream=True)),
            "a raw prompt": client.generate("up/plain", "hello", raw=True).response,
            "a gap": client.generate("up/plain", "def f():", suffix="return 1").response,
            "loaded": client.generate("up/plain").done_reason,
            "vectors": [list(v) for v in client.embed("up/text-embed", ["a", "b"]).embeddings],
            "a vector": list(client.embeddings("up/text-embed", "a").embedding),
            "models": sorted(model.model or "" for model in client.list().models),
            "one model": client.show("up/plain").capabilities,
            "ready": "up/plain" in [model.model for model in client.ps().models],
            "nobody": refused(lambda: client.chat("nobody", HELLO, stream=True))[0],
            "a pull": [pulled[0], "provider" in str(pulled[1])],
            "a stream that breaks": broken(),
        }
    )
)
