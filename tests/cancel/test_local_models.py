"""Real small models in a worker: a client that leaves and a deadline that passes free the engine, too."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2 as httpx
import pytest

from tests.cancel.books import Books
from tests.cancel.callers import http_caller
from tests.mesh.running import CHATS, RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.model, pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(180)]

SOON = 10.0
"""Seconds for an answer of one token, or one text, by an engine that is free; what is given up takes minutes."""
CHAT = "/v1/chat/completions"
STACK = """
providers:
  - {{id: up, type: "remote::openai-compatible", config: {{base_url: "{url}"}}}}
  - {{id: local, type: "inline::llama-cpp", config: {{threads: 1, parallel: 1, context_length: 4096}}}}
  - {{id: minilm, type: "inline::onnx-embeddings", config: {{threads: 1, parallel: 1}}}}
"""


@pytest.fixture(scope="module")
def local(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    stack = STACK.format(url=upstream.url)
    made = RunningMesh(tmp_path_factory.mktemp("local"), upstream, CHATS, local_model=True, stack=stack)
    made.start()
    made.until(lambda: {"local/SmolLM2-135M-Instruct", "minilm/all-MiniLM-L6-v2"} <= set(made.model_ids()))
    yield made
    made.stop()


@pytest.fixture
async def books(local: RunningMesh) -> AsyncIterator[Books]:
    async with httpx.AsyncClient(timeout=5) as http:
        yield Books(local, http)


def chat(tokens: int, stream: bool = False) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": "local/SmolLM2-135M-Instruct", "temperature": 0, "max_tokens": tokens}
    asked["messages"] = [{"role": "user", "content": "Tell me a very long story."}]
    return {**asked, "stream": stream, "logit_bias": {"2": -100}, "ignore_eos": True}


def embeddings(texts: int) -> dict[str, Any]:
    return {"model": "minilm/all-MiniLM-L6-v2", "input": ["word " * 200] * texts}


LONG = {
    "chat": (CHAT, chat(3500)),
    "chat-streaming": (CHAT, chat(3500, stream=True)),
    "embeddings": ("/v1/embeddings", embeddings(2000)),
}
SHORT = {CHAT: chat(1), "/v1/embeddings": embeddings(1)}


async def answers_soon(url: str, path: str) -> None:
    """The one slot is free, and so is what is behind it."""
    async with http_caller(url) as caller:
        caller.ask(path, SHORT[path])
        assert (await caller.answer(SOON)).status == 200


@pytest.mark.parametrize("name", LONG)
async def test_a_client_that_leaves(local: RunningMesh, books: Books, name: str) -> None:
    path, body = LONG[name]
    async with http_caller(local.url) as caller:
        caller.ask(path, body)
        if body.get("stream"):
            await caller.word()
        await taken(books)
        caller.leave()
        await books.agree({}, SOON)
    await answers_soon(local.url, path)


@pytest.mark.parametrize("name", LONG)
async def test_a_deadline_that_passes(local: RunningMesh, books: Books, name: str) -> None:
    path, body = LONG[name]
    async with http_caller(local.url) as caller:
        caller.ask(path, body, 2.0)
        answer = await caller.answer(2.0 + SOON)
    if body.get("stream"):
        assert b"[DONE]" not in answer.body
        error = json.loads(answer.events[-1])["error"]
    else:
        assert answer.status == 504
        error = json.loads(answer.body)["error"]
    assert error["code"] == "deadline_exceeded"
    await books.agree({}, SOON)
    await answers_soon(local.url, path)


async def taken(books: Books) -> None:
    end = time.monotonic() + 20
    while not any(name.startswith("caravan_slots_used") for name in await books.open()):
        assert time.monotonic() < end, "no slot was taken"
        await asyncio.sleep(0.02)
