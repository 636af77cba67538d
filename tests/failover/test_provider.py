"""The scripted providers do what their script says: a check is as good as its faults are real."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2 as httpx
import pytest

from caravan.failover_check.attempts import Attempts
from caravan.failover_check.provider import FaultyProvider
from caravan.failover_check.scripts import TEXT, Refusal, Reset, Step, Words


@asynccontextmanager
async def serving(*steps: Step) -> AsyncIterator[tuple[httpx.AsyncClient, Attempts]]:
    attempts = Attempts()
    provider = FaultyProvider("b", {"m": steps}, attempts)
    await provider.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{provider.port}/v1", timeout=2) as client:
        try:
            yield client, attempts
        finally:
            await provider.stop()


def body(prefix: str = "", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Count."}]
    messages += [{"role": "assistant", "content": prefix}] if prefix else []
    return {"model": "m", "messages": messages, **more}


def events(text: str) -> list[str]:
    return [part.removeprefix("data: ") for part in text.split("\n\n") if part]


async def read(client: httpx.AsyncClient, texts: list[str]) -> None:
    async with client.stream("POST", "/chat/completions", json=body(stream=True)) as answer:
        async for part in answer.aiter_text():
            texts.append(part)


async def test_a_stream_is_whole_and_its_times_are_noted() -> None:
    async with serving(Words()) as (client, attempts):
        got = await client.post("/chat/completions", json=body(stream=True, stream_options={"include_usage": True}))
    rows = events(got.text)
    assert rows[-1] == "[DONE]"
    chunks = [json.loads(row) for row in rows[:-1]]
    assert "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"]) == TEXT
    assert chunks[-1]["usage"] == {"prompt_tokens": 11, "completion_tokens": 60, "total_tokens": 71}
    (attempt,) = attempts.of("m")
    assert 0.4 < attempt.last_sent - attempt.first_sent < 5 and not attempt.prefilled


async def test_a_beginning_is_gone_on_from_or_refused() -> None:
    async with serving(Words()) as (client, attempts):
        got = (await client.post("/chat/completions", json=body("".join(Words().words()[:40])))).json()
        assert got["choices"][0]["message"]["content"] == "".join(Words().words()[40:])
        assert got["usage"] == {"prompt_tokens": 51, "completion_tokens": 20, "total_tokens": 71}
        assert attempts.of("m")[0].prefilled
    async with serving(Words(prefill=False)) as (client, _):
        refused = await client.post("/chat/completions", json=body("w0 "))
        assert refused.status_code == 400 and refused.json()["error"]["code"] == "prefill_refused"
        assert (await client.post("/chat/completions", json=body())).status_code == 200


async def test_steps_follow_one_another_and_the_last_one_stays() -> None:
    async with serving(Refusal(429, headers={"retry-after": "2"}), Refusal(500), Words()) as (client, attempts):
        got = [await client.post("/chat/completions", json=body()) for _ in range(4)]
    assert [answer.status_code for answer in got] == [429, 500, 200, 200]
    assert got[0].headers["retry-after"] == "2"
    assert len(attempts.of("m")) == 4


async def test_a_connection_is_reset_before_and_in_an_answer() -> None:
    async with serving(Reset(), Words(cut_after=3)) as (client, attempts):
        with pytest.raises(httpx.ReadError):
            await client.post("/chat/completions", json=body(stream=True))
        texts: list[str] = []
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await read(client, texts)
    text = "".join(texts)
    assert text.count('"content"') == 3 and "[DONE]" not in text
    assert len(attempts.of("m")) == 2


async def test_a_bad_event_stands_between_the_words() -> None:
    async with serving(Words(bad_event=10, done=False)) as (client, _):
        rows = events((await client.post("/chat/completions", json=body(stream=True))).text)
    with pytest.raises(json.JSONDecodeError):
        json.loads(rows[9])
    assert len([row for row in rows if '"content"' in row]) == 60 and "[DONE]" not in rows


async def test_one_that_is_down_refuses_and_comes_back_at_the_same_port() -> None:
    provider = FaultyProvider("a", {}, Attempts())
    await provider.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{provider.port}/v1", timeout=2) as client:
        assert (await client.get("/models")).json()["data"][0]["id"] == "ready"
        await provider.stop()
        with pytest.raises(httpx.TransportError):
            await client.get("/models")
        await provider.start()
        assert (await client.get("/models")).status_code == 200
    await provider.stop()
