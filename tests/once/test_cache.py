"""Answers kept for equal requests: who may have them, and when nobody may."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest

from tests.mesh.running import RunningMesh
from tests.once.doors import DONE, Doors, chat
from tests.stored.upstream import NumberedUpstream

USE = {"X_Caravan_Cache": "use"}


@pytest.fixture
def text() -> str:
    return uuid.uuid4().hex


def calls(upstream: NumberedUpstream, text: str) -> int:
    return sum(text in json.dumps(one.body) for one in upstream.requests)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", chat("{}")),
        ("/v1/chat/completions", chat("{}", "up/tools")),
        ("/v1/completions", {"model": "up/plain", "prompt": "{}"}),
        ("/v1/embeddings", {"model": "up/text-embed", "input": "{}"}),
        ("/v1/rerank", {"model": "up/some-reranker", "query": "{}", "documents": ["a", "bb"]}),
        ("/v1alpha/inference/rerank", {"model": "up/some-reranker", "query": "{}", "items": ["a", "bb"]}),
    ],
    ids=["chat", "tools", "completions", "embeddings", "rerank", "alpha rerank"],
)
async def test_plain_answers(doors: Doors, upstream: NumberedUpstream, text: str, path: str, body: object) -> None:
    asked = json.loads(json.dumps(body).replace("{}", text))
    first = await (await doors.open(1)).post(asked, path=path, **USE)
    again = await (await doors.open(2)).post(asked, path=path, **USE)
    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.headers["x-caravan-cache"], again.headers["x-caravan-cache"]) == ("miss", "hit")
    assert first.content == again.content
    assert calls(upstream, text) == 1
    assert again.headers["x-caravan-target"] == first.headers["x-caravan-target"] == asked["model"]
    assert (first.headers["x-caravan-attempts"], again.headers["x-caravan-attempts"]) == ("1", "0")
    assert again.headers["openai-processing-ms"]


@pytest.mark.parametrize("model", ["up/plain", "up/tools", "up/slow-20"])
async def test_streams(doors: Doors, upstream: NumberedUpstream, text: str, model: str) -> None:
    body = chat(text, model, stream=True, stream_options={"include_usage": True})
    first, said = await (await doors.open(1)).whole(body, **USE)
    again, told = await (await doors.open(2)).whole(body, **USE)
    assert (said["x-caravan-cache"], told["x-caravan-cache"]) == ("miss", "hit")
    assert told["content-type"].startswith("text/event-stream")
    assert first == again and first.endswith(DONE)
    plain = await (await doors.open(1)).post(chat(text, model), **USE)
    assert plain.headers["x-caravan-cache"] == "miss", "a plain answer is another one"
    assert calls(upstream, text) == 2


async def test_what_is_the_same_request(doors: Doors, upstream: NumberedUpstream, text: str) -> None:
    door = await doors.open(1)
    body = chat(text, temperature=0.5)
    assert (await door.post(body, **USE)).headers["x-caravan-cache"] == "miss"
    turned = json.dumps(dict(reversed(body.items())), indent=2).encode()
    same: list[Any] = [turned, {**body, "user": "someone"}, {**body, "stream": False}, {**body, "seed": None}]
    for one in same:
        assert (await door.post(one, **USE)).headers["x-caravan-cache"] == "hit"
    for other in ({**body, "temperature": 0.4}, {**body, "seed": 1}, {**body, "metadata": {"a": "b"}}):
        assert (await door.post(other, **USE)).headers["x-caravan-cache"] == "miss"


async def test_it_is_never_used_unasked(doors: Doors, upstream: NumberedUpstream, text: str) -> None:
    door = await doors.open(1)
    for _ in range(2):
        answer = await door.post(chat(text))
        assert "x-caravan-cache" not in answer.headers
        assert (answer.headers["x-caravan-target"], answer.headers["x-caravan-attempts"]) == ("up/plain", "1")
    assert calls(upstream, text) == 2


async def test_models_and_routes_that_say_so(doors: Doors, upstream: NumberedUpstream, text: str) -> None:
    door = await doors.open(1)
    outcomes = [(await door.post(chat(text, "kept"))).headers["x-caravan-cache"] for _ in range(2)]
    assert outcomes == ["miss", "hit"]
    passed = await door.post(chat(text, "kept"), X_Caravan_Cache="bypass")
    assert passed.headers["x-caravan-cache"] == "bypass"
    never = [(await door.post(chat(text, "never"), **USE)).headers["x-caravan-cache"] for _ in range(2)]
    assert never == ["bypass", "bypass"]
    assert (await door.post(chat(text, "brief"))).headers["x-caravan-cache"] == "miss"
    assert (await door.post(chat(text, "brief"))).headers["x-caravan-cache"] == "hit"
    async with asyncio.timeout(30):  # its answers live for a second
        while (await door.post(chat(text, "brief"))).headers["x-caravan-cache"] == "hit":
            await asyncio.sleep(0.1)


async def test_each_tenant_has_its_own(doors: Doors, upstream: NumberedUpstream, text: str) -> None:
    ada, eve, bob = [await doors.open(1, f"key-{name}") for name in ("ada", "eve", "bob")]
    assert (await ada.post(chat(text), **USE)).headers["x-caravan-cache"] == "miss"
    assert (await bob.post(chat(text), **USE)).headers["x-caravan-cache"] == "miss"
    assert (await eve.post(chat(text), **USE)).headers["x-caravan-cache"] == "hit"


async def test_failures_are_not_kept(doors: Doors, upstream: NumberedUpstream, text: str) -> None:
    door = await doors.open(1)
    for model in ("up/status-400", "broken"):
        for _ in range(2):
            assert (await door.post(chat(text, model), **USE)).status_code >= 400
    assert calls(upstream, text) >= 4
    for model in ("up/cut-3", "up/inband-2", "up/nofinish"):
        for _ in range(2):
            broken, headers = await door.whole(chat(text + model, model, stream=True), **USE)
            assert DONE not in broken and headers["x-caravan-cache"] == "miss"


async def test_an_answer_that_was_left_is_not_kept(doors: Doors, upstream: NumberedUpstream, text: str) -> None:
    body = chat(text, "up/slow-30", max_tokens=20, stream=True)
    async with (await doors.open(1)).stream(body, **USE) as stream:
        await stream.until(b"w2 ")
    whole, headers = await (await doors.open(2)).whole(body, **USE)
    assert headers["x-caravan-cache"] == "miss" and whole.endswith(DONE)


async def test_requests_that_pass_it_by(doors: Doors, upstream: NumberedUpstream, text: str) -> None:
    door = await doors.open(1)
    keys = json.dumps({"up_api_key": "mine"})
    for _ in range(2):
        stored = await door.post(chat(text, "kept", store=True))
        own = await door.post(chat(text, "kept"), X_OGX_Provider_Data=keys)
        once = await door.post(chat(text, "kept"), uuid.uuid4().hex)
        for answer in (stored, own, once):
            assert answer.status_code == 200 and answer.headers["x-caravan-cache"] == "bypass"
    assert calls(upstream, text) == 6
    refused = await door.post(chat(text), X_Caravan_Cache="perhaps")
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "X-Caravan-Cache"


@pytest.mark.chaos
async def test_without_redis_models_are_asked(
    doors: Doors, mesh: RunningMesh, upstream: NumberedUpstream, text: str
) -> None:
    door = await doors.open(1)
    body = chat(text, "kept")
    assert (await door.post(body)).headers["x-caravan-cache"] == "miss"
    mesh.kill9("valkey")
    seen = set()
    async with asyncio.timeout(30):
        while True:
            answer = await door.post(body)
            assert answer.status_code == 200
            seen.add(answer.headers["x-caravan-cache"])
            if "bypass" in seen and answer.headers["x-caravan-cache"] == "hit":
                break
            await asyncio.sleep(0.02)
