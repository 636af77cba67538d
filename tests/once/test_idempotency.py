"""The same request asked twice runs once: whenever the second comes, and to whichever gateway."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable

import pytest
from openai import AsyncOpenAI, ConflictError

from tests.mesh.running import RunningMesh
from tests.once.doors import DONE, Doors, chat
from tests.stored.upstream import NumberedUpstream


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


def calls(upstream: NumberedUpstream, text: str) -> int:
    """How often the upstream was asked this."""
    return sum(text in json.dumps(one.body) for one in upstream.requests)


def left(upstream: NumberedUpstream, text: str) -> int:
    """How many of those it was not let finish."""
    return sum(one.left for one in upstream.requests if text in json.dumps(one.body))


async def eventually(true: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("where", [1, 2], ids=["same gateway", "other gateway"])
async def test_before_the_first_token(doors: Doors, upstream: NumberedUpstream, key: str, where: int) -> None:
    first, second = await doors.open(1), await doors.open(where)
    body = chat(key, "up/slow-400", max_tokens=2, stream=True)
    running = asyncio.create_task(first.whole(body, key))
    await eventually(lambda: calls(upstream, key) == 1)
    (one, said), (other, told) = await asyncio.gather(running, second.whole(body, key))
    assert one == other and one.endswith(DONE)
    assert calls(upstream, key) == 1
    assert (said["x-caravan-idempotency"], told["x-caravan-idempotency"]) == ("run", "attached")
    for headers in (said, told):
        assert (headers["x-caravan-target"], headers["x-caravan-attempts"]) == ("up/slow-400", "1")
    assert said["x-request-id"] != told["x-request-id"]


async def test_in_the_middle_and_after_the_end(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    first, same, other = await doors.open(1), await doors.open(1), await doors.open(2)
    body = chat(key, "up/slow-40", max_tokens=30, stream=True)
    async with first.stream(body, key) as stream:
        await stream.until(b"w5 ")
        attached = await asyncio.gather(same.whole(body, key), other.whole(body, key))
        one = await stream.rest()
    assert one.endswith(DONE) and b"w29 " in one
    assert [text for text, _ in attached] == [one, one]
    for number in (1, 2):
        later, headers = await (await doors.open(number)).whole(body, key)
        assert later == one
        assert headers["x-caravan-idempotency"] == "attached"
        assert headers["x-caravan-target"] == "up/slow-40"
    assert calls(upstream, key) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", chat("{}")),
        ("/v1/chat/completions", chat("{}", "up/tools")),
        ("/v1/completions", {"model": "up/plain", "prompt": "{}"}),
        ("/v1/embeddings", {"model": "up/text-embed", "input": "{}"}),
        ("/v1/rerank", {"model": "up/some-reranker", "query": "{}", "documents": ["a", "bb"]}),
        ("/v1alpha/inference/rerank", {"model": "up/some-reranker", "query": "{}", "items": ["a", "bb"]}),
        ("/v1/openai/v1/chat/completions", chat("{}")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_every_route(doors: Doors, upstream: NumberedUpstream, key: str, path: str, body: object) -> None:
    asked = json.loads(json.dumps(body).replace("{}", key))
    answers = [await (await doors.open(number)).post(asked, key, path) for number in (1, 2, 1)]
    assert [answer.status_code for answer in answers] == [200, 200, 200], answers[0].text
    assert answers[0].content == answers[1].content == answers[2].content
    assert [answer.headers["x-caravan-idempotency"] for answer in answers] == ["run", "attached", "attached"]
    assert calls(upstream, key) == 1


async def test_twenty_at_once_are_one_call(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    open_doors = [await doors.open(1 + number % 2) for number in range(20)]
    body = chat(key, "up/slow-30", max_tokens=10, stream=True)
    got = await asyncio.gather(*(door.whole(body, key) for door in open_doors))
    assert len({text for text, _ in got}) == 1 and got[0][0].endswith(DONE)
    assert [headers["x-caravan-idempotency"] for _, headers in got].count("run") == 1
    assert calls(upstream, key) == 1


async def test_another_body_is_refused(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    first, other = await doors.open(1), await doors.open(2)
    body = chat(key, "up/slow-100", max_tokens=8)
    running = asyncio.create_task(first.post(body, key))
    await eventually(lambda: calls(upstream, key) == 1)
    for door in (await doors.open(1), other):
        refused = await door.post({**body, "max_tokens": 9}, key)
        assert refused.status_code == 409
        assert refused.json()["error"]["code"] == "idempotency_key_reused"
        assert refused.headers["x-should-retry"] == "false"
        assert int(refused.headers["openai-processing-ms"]) >= 0
    turned = json.dumps(dict(reversed(body.items())), indent=3).encode()
    same = await other.post(turned, key)
    assert same.content == (await running).content
    assert (await other.post({**body, "max_tokens": 9}, key)).status_code == 409, "also after its end"
    keys = json.dumps({"up_api_key": "of my own"})
    assert (await other.post(body, key, X_OGX_Provider_Data=keys)).status_code == 409, "other provider keys"
    assert calls(upstream, key) == 1


async def test_a_key_belongs_to_its_tenant(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    body = chat(key)
    mine = await (await doors.open(1, "key-ada")).post(body, key)
    ours = await (await doors.open(2, "key-eve")).post(body, key)
    theirs = await (await doors.open(1, "key-bob")).post({**body, "max_tokens": 2}, key)
    assert mine.content == ours.content
    assert theirs.status_code == 200 and theirs.headers["x-caravan-idempotency"] == "run"
    sent = {one.headers.get("Idempotency-Key") for one in upstream.requests if key in json.dumps(one.body)}
    assert len(sent) == 2 and key not in sent, "what the provider sees of it is not what tenants may both choose"


async def test_the_first_leaves_and_another_stays(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    body = chat(key, "up/slow-50", max_tokens=40, stream=True)
    first, second, third = await doors.open(1), await doors.open(2), await doors.open(2)
    early = upstream.closed_early
    async with first.stream(body, key) as stream:
        await stream.until(b"w3 ")
        staying = asyncio.create_task(second.whole(body, key))
        async with third.stream(body, key) as other:
            await other.until(b"w3 ")
    text, _ = await staying
    assert text.endswith(DONE) and b"w39 " in text
    assert upstream.closed_early == early
    assert calls(upstream, key) == 1


async def test_nobody_is_left(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    body = chat(key, "up/slow-50", max_tokens=400, stream=True)
    first, second = await doors.open(1), await doors.open(2)
    async with first.stream(body, key) as stream, second.stream(body, key) as other:
        await stream.until(b"w3 ")
        await other.until(b"w3 ")
    await eventually(lambda: left(upstream, key) == 1)
    again, _ = await (await doors.open(2)).whole({**body, "max_tokens": 3}, key)
    assert again.endswith(DONE), "what was given up is not remembered, nor is its body"


async def test_a_plain_request_that_nobody_waits_for(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    body = chat(key, "up/slow-100", max_tokens=300)
    waiting = asyncio.create_task((await doors.open(1)).post(body, key))
    await eventually(lambda: calls(upstream, key) == 1)
    waiting.cancel()
    await asyncio.wait({waiting})
    await eventually(lambda: left(upstream, key) == 1)


async def test_failures_are_not_answers(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    for model, status in (("up/status-400", 400), ("up/status-503", 503)):
        asked = 0
        for number in (1, 2):
            answer = await (await doors.open(number)).post(chat(key, model), f"{key}-{status}")
            assert answer.status_code >= 400
            assert answer.headers["openai-processing-ms"]
            assert calls(upstream, key) > asked, "it ran again"
            asked = calls(upstream, key)


async def test_a_cut_stream_is_no_answer(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    body = chat(key, "up/cut-3", stream=True)
    first, second = await doors.open(1), await doors.open(2)
    got = await asyncio.gather(first.whole(body, key), second.whole(body, key))
    for text, _ in got:
        assert b"w2 " in text and b'"error"' in text and DONE not in text
    before = calls(upstream, key)
    again, headers = await second.whole(body, key)
    assert DONE not in again and headers["x-caravan-idempotency"] == "run"
    assert calls(upstream, key) == before + 1


async def test_an_answer_too_large_to_keep(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    body = chat(key, "up/big-17000")
    first = await (await doors.open(1)).post(body, key)
    assert first.status_code == 200 and len(first.content) > 17_000 * 1024
    asked = calls(upstream, key)
    again = await (await doors.open(2)).post(body, key)
    assert again.status_code == 200 and again.headers["x-caravan-idempotency"] == "run", "given, and not kept"
    assert calls(upstream, key) > asked


@pytest.mark.parametrize("bad", ["x" * 256, "tab\there"])
async def test_what_is_no_key(doors: Doors, bad: str) -> None:
    refused = await (await doors.open(1)).post(chat("x"), bad)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "Idempotency-Key"


async def test_its_own_time_is_over(doors: Doors, upstream: NumberedUpstream, key: str) -> None:
    """Each waits as long as its own header says, whoever was first."""
    one, other = await doors.open(1), await doors.open(2)
    body = chat(key, "up/slow-200", max_tokens=20)
    first = asyncio.create_task(one.post(body, key, X_Caravan_Timeout="2.5"))
    await eventually(lambda: calls(upstream, key) == 1)
    second = await other.post(body, key)
    assert (await first).status_code == 504
    assert second.status_code == 200
    assert calls(upstream, key) == 1


async def test_the_official_client(mesh: RunningMesh, upstream: NumberedUpstream, key: str) -> None:
    async with AsyncOpenAI(base_url=f"{mesh.url}/v1", api_key="key-ada", max_retries=3, timeout=30) as client:
        once = {"Idempotency-Key": key}

        async def ask(text: str) -> str:
            made = await client.chat.completions.create(
                model="up/slow-50", messages=[{"role": "user", "content": text}], extra_headers=once
            )
            return made.id

        assert len(set(await asyncio.gather(*(ask(key) for _ in range(5))))) == 1
        with pytest.raises(ConflictError):
            await ask(key + " and more")
        impatient = client.with_options(timeout=0.5, max_retries=5)
        made = await impatient.chat.completions.create(
            model="up/slow-100",
            messages=[{"role": "user", "content": key + " again"}],
            max_tokens=2,
            extra_headers={"Idempotency-Key": key + "-2"},
        )
        assert made.choices[0].finish_reason == "stop"
    assert calls(upstream, key + '"') == 1
