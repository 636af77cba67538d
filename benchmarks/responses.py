"""What the events of a response cost, in one process, without the mesh.

    python -m benchmarks.responses [--tokens 20000]

Prints a Markdown table: CPU microseconds for each token of a provider's stream, the best of five runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from caravan_agents.responses.assembly import ResponseObject
from caravan_agents.responses.chat import chat_body
from caravan_agents.responses.events import EventWriter
from caravan_agents.responses.messages import to_messages
from caravan_agents.responses.request import read_request

WORDS = ["Hello", " world", " it", "'s", " me", "\n", " café", ' "q"']
TOOLS = [{"type": "function", "name": "weather"}, {"type": "custom", "name": "shout"}]
BODY = orjson.dumps({"model": "m", "input": "Hello", "instructions": "Be brief.", "tools": TOOLS, "stream": True})
RUNS = 5

Delta = Callable[[int], dict[str, Any]]


def event(delta: dict[str, Any], created: int = 1700000000) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": created, "model": "m"}
    return b"data: " + orjson.dumps({**head, "choices": [choice]}) + b"\n\n"


def call(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    return {"tool_calls": [{"index": index, "id": f"call_{index}" if name else None, "function": function}]}


def streams(tokens: int) -> Iterator[tuple[str, list[bytes]]]:
    """Names, and what each read brings."""
    text = [event({"content": WORDS[i % len(WORDS)]}) for i in range(tokens)]
    yield "text", text
    yield "text, 16 tokens a read", [b"".join(text[i : i + 16]) for i in range(0, tokens, 16)]
    yield "text, chunks that all differ", [event({"content": WORDS[i % len(WORDS)]}, i) for i in range(tokens)]
    yield "reasoning", [event({"reasoning_content": WORDS[i % len(WORDS)]}) for i in range(tokens)]
    begun = [event(call(index, "", "weather")) for index in range(2)]
    yield "one function call", begun[:1] + [event(call(0, '"a')) for _ in range(tokens)]
    yield "two calls, interleaved", begun + [event(call(i % 2, '"a')) for i in range(tokens)]
    yield (
        "a custom tool's call",
        [event(call(0, '{"input":"', "shout"))] + [event(call(0, "word ")) for _ in range(tokens)],
    )


def run(reads: list[bytes]) -> float:
    """CPU seconds of one stream."""
    writer = EventWriter(ResponseObject("resp_0", 1700000000, read_request(BODY)))
    writer.start()
    writer.begin()
    begin = time.process_time()
    for data in reads:
        writer.feed(data)
    return time.process_time() - begin


def around() -> float:
    """CPU seconds of a response without a token: reading the request, four events with the object, and the end."""
    begin = time.process_time()
    request = read_request(BODY)
    chat_body(request, to_messages(request.input, request.instructions))
    writer = EventWriter(ResponseObject("resp_0", 1700000000, request))
    writer.start()
    writer.begin()
    writer.feed(event({"content": "Hello"}))
    writer.end_turn()
    writer.finish("completed")
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=20_000)
    tokens = parser.parse_args().tokens
    print("| stream | CPU-µs a token |\n| --- | --- |")
    for name, reads in streams(tokens):
        best = min(run(reads) for _ in range(RUNS))
        print(f"| {name} | {best / tokens * 1e6:.2f} |")
    whole = sorted(around() for _ in range(200))
    print(f"\nA response of one token: {whole[len(whole) // 2] * 1e6:.0f} CPU-µs.")


if __name__ == "__main__":
    main()
