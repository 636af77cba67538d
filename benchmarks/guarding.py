"""What guardrails add to the first token and to the whole of a stream, in a real mesh with the light shields.

    python -m benchmarks.guarding [--rounds 60] [--tokens 100] [--pause 5] [--at-once 4]

The same scripted model under four names, each with other guardrails, asked in turn within one run: ratios are what
counts on a shared machine. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks.errors import BenchmarkError
from benchmarks.mesh import START_TIMEOUT, command

PATIENCE = 60.0
NAMES = {
    "none": "no guardrail",
    "input": "input: keywords and personal data, block",
    "output": "output: keywords and personal data, mask",
    "both": "both",
}
STACK = """
providers:
  - {{id: up, type: remote::openai-compatible, config: {{base_url: "{url}"}}}}
shields:
  - {{id: words, type: inline::keywords, params: {{words: [moonbase, open sesame]}}}}
  - {{id: private, type: inline::pii}}
guardrails:
  - {{id: asked, models: ["*/input", "*/both"], checks: [{{stages: [input], shields: [words, private]}}]}}
  - {{id: said, models: ["*/output", "*/both"],
      checks: [{{stages: [output], shields: [words, private], action: mask}}]}}
"""


@dataclass(frozen=True)
class Load:
    """How much is asked."""

    rounds: int
    tokens: int
    pause: float
    """Seconds before each token."""
    at_once: int


@dataclass(frozen=True)
class Taken:
    """Seconds of one request."""

    first: float
    whole: float


@asynccontextmanager
async def model(load: Load) -> AsyncIterator[str]:
    """The URL of an upstream that says words at a steady pace."""

    async def models(request: web.Request) -> web.Response:
        rows = [{"id": name, "object": "model", "created": 1, "owned_by": "benchmark"} for name in NAMES]
        return web.json_response({"object": "list", "data": rows})

    async def chat(request: web.Request) -> web.StreamResponse:
        name = (await request.json())["model"]
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for number in range(load.tokens):
            await asyncio.sleep(load.pause)
            choice = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
            await answer.write(_event(name, choice))
        await answer.write(_event(name, {"index": 0, "delta": {}, "finish_reason": "stop"}) + b"data: [DONE]\n\n")
        return answer

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def _event(name: str, choice: dict[str, object]) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": name, "choices": [choice]}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


async def ask(session: aiohttp.ClientSession, url: str, name: str, number: int) -> Taken:
    """One stream; the question is new each time. Raises BenchmarkError."""
    messages = [{"role": "user", "content": f"Question {number}: what is there to say?"}]
    body = {"model": f"up/{name}", "messages": messages, "stream": True}
    began, first, text = time.perf_counter(), 0.0, b""
    async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
        async for data in answer.content.iter_any():
            text += data
            if not first and b'"content":"w' in text:
                first = time.perf_counter() - began
    if not first or not text.endswith(b"data: [DONE]\n\n"):
        raise BenchmarkError(f"{name}: {text[-300:]!r}")
    return Taken(first, time.perf_counter() - began)


async def until_listed(session: aiohttp.ClientSession, url: str) -> None:
    """Wait for the models."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with session.get(f"{url}/v1/models") as answer:
                if "up/both" in await answer.text():
                    return
            await asyncio.sleep(0.2)


async def measure(url: str, load: Load) -> dict[str, list[Taken]]:
    """Every name once in each round, so many rounds at once."""
    taken: dict[str, list[Taken]] = {name: [] for name in NAMES}
    numbers = iter(range(10**9))

    async def rounds(session: aiohttp.ClientSession, count: int) -> None:
        for _ in range(count):
            for name, found in taken.items():
                found.append(await ask(session, url, name, next(numbers)))

    async with aiohttp.ClientSession() as session:
        await until_listed(session, url)
        await rounds(session, 3)
        for found in taken.values():
            found.clear()
        await asyncio.gather(*(rounds(session, load.rounds // load.at_once) for _ in range(load.at_once)))
    return taken


async def run(load: Load) -> dict[str, list[Taken]]:
    """In a mesh of its own."""
    with tempfile.TemporaryDirectory(prefix="caravan-guarding-") as folder:
        data, stack = Path(folder) / "data", Path(folder) / "caravan.yaml"
        async with model(load) as url:
            stack.write_text(STACK.format(url=url))
            scale = "inference=1,agents=0,files=0,vector=0"
            args = ("up", "--port", "0", "--detach", "--no-local-model", "--config", str(stack), "--scale", scale)
            await asyncio.to_thread(command, data, START_TIMEOUT, *args)
            try:
                status = json.loads(await asyncio.to_thread(command, data, START_TIMEOUT, "status", "--json"))
                return await measure(str(status["urls"]["gateway"]), load)
            finally:
                await asyncio.to_thread(command, data, START_TIMEOUT, "down")


def table(taken: dict[str, list[Taken]]) -> str:
    """Medians in milliseconds, and how they compare with none."""
    lines = [
        "| Guardrails | First token (ms) | p95 | × | Whole stream (ms) | × |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    base_first = statistics.median(each.first for each in taken["none"])
    base_whole = statistics.median(each.whole for each in taken["none"])
    for name, found in taken.items():
        firsts = sorted(each.first for each in found)
        first, whole = statistics.median(firsts), statistics.median(each.whole for each in found)
        late = firsts[int(len(firsts) * 0.95)]
        lines.append(
            f"| {NAMES[name]} | {first * 1000:.1f} | {late * 1000:.1f} | {first / base_first:.2f} "
            f"| {whole * 1000:.0f} | {whole / base_whole:.2f} |"
        )
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """``python -m benchmarks.guarding``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--pause", type=float, default=5.0, help="milliseconds before each token")
    parser.add_argument("--at-once", type=int, default=4)
    given = parser.parse_args(args)
    load = Load(given.rounds, given.tokens, given.pause / 1000, given.at_once)
    print(table(asyncio.run(run(load))))


if __name__ == "__main__":
    main()
