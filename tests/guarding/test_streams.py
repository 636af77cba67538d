"""A stream that its guardrails look at: nothing leaves that should not, however it comes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from caravan_bus.guarding.guarded import Guarded
from caravan_bus.guarding.judging import Judge
from caravan_bus.guarding.policy import Policy
from caravan_bus.guarding.ruling import masked
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import UpstreamBroke
from caravan_contracts.inference import DONE_EVENT, Verb
from caravan_contracts.openai import RequestFacts
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guarding.shields import NOBODY, Heard, Judging, Local, guardrail, needed, places
from tests.guarding.streams import STREAM, Client, Scripted, call, chunk, cut, tokens, torn

SECRETS = ["moonbase", "open  sesame", "Zürich-Plan", "ada@example.com", "4111 1111 1111 1111"]
FILLERS = ["The answer is ", "ünïcode 😀 ", 'say "quote" \\ ', "moon", "open ", "42 ", "\n", "base ", "@ ", "4111 "]
MASK = guardrail(shields=["words", "pii"], action="mask", stages=["output", "tool_arguments"])
BLOCK = guardrail(shields=["words", "pii"], action="block", stages=["output", "tool_arguments"])


def guarded(
    reads: Sequence[bytes], policy: Policy, checker: Local | None = None, facts: RequestFacts = STREAM
) -> tuple[Guarded, Scripted, Heard]:
    inner, audit = Scripted(reads), Heard()
    judge = Judge(checker or Local(), audit, RequestContext("req_1"), "m")
    return Guarded(inner, policy, judge, Verb.CHAT, facts, (), lambda heard: None), inner, audit


async def read(stream: Guarded) -> bytes:
    made = b""
    async with asyncio.timeout(60):
        while data := await stream.read():
            made += data
            if stream.summary is not None:
                break
    return made


async def client(reads: Sequence[bytes], policy: Policy, checker: Local | None = None, **facts: Any) -> Client:
    stream, _, _ = guarded(reads, policy, checker, RequestFacts("m", True, facts.get("usage", False)))
    return Client(await read(stream))


def told(chance: random.Random) -> str:
    """A text that may have a secret in it, whole or in the making."""
    parts = [chance.choice(FILLERS) for _ in range(chance.randint(1, 12))]
    if chance.random() < 0.7:
        parts.insert(chance.randint(0, len(parts)), f" {chance.choice(SECRETS)} ")
    return "".join(parts)


def escaped(data: bytes) -> bytes:
    """The same JSON in ASCII."""
    return b"".join(
        c.encode() if c.isascii() else b"".join(b"\\u%04x" % int.from_bytes(p, "big") for p in _units(c))
        for c in data.decode()
    )


def _units(character: str) -> list[bytes]:
    data = character.encode("utf-16-be")
    return [data[at : at + 2] for at in range(0, len(data), 2)]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 4))])
@pytest.mark.parametrize("row", [BLOCK, MASK], ids=["block", "mask"])
async def test_no_chunking_of_a_thousand_leaks(row: Any, seed: int) -> None:
    policy, chance = needed(row), random.Random(seed)
    for _ in range(250):
        text = told(chance)
        longest = chance.choice((1, 2, 3, 7, 30, 10_000))
        data = b"".join([*tokens(cut(text, chance, longest)), DONE_EVENT])
        if chance.random() < 0.3:
            data = escaped(data)
        got = await client(torn(data, chance, chance.choice((1, 5, 64, 5000, 10**9))), policy)
        found = await places(text, "words", "pii")
        assert got.done
        if row is MASK or not found:
            assert got.content == masked(text, found), "what is harmless arrives as it was"
            assert got.finished == {0: "stop"}
        else:
            assert got.finished == {0: "content_filter"}
            assert text[: found[0].start].startswith(got.content)


@settings(deadline=None)
@given(st.data())
def test_choices_and_calls_that_come_mixed_are_each_as_they_should_be(data: st.DataObject) -> None:
    texts = [told(random.Random(data.draw(st.integers(0, 10**6)))) for _ in range(3)]
    chance = random.Random(data.draw(st.integers(0, 10**6)))
    lines = [tokens(cut(text, chance, 5), index) for index, text in enumerate(texts)]
    events: list[bytes] = []
    while any(lines):
        line = chance.choice([each for each in lines if each])
        events.append(line.pop(0))
    reads = torn(b"".join([*events, DONE_EVENT]), chance, 200)

    async def check() -> None:
        got = await client(reads, needed(MASK))
        for index, text in enumerate(texts):
            assert got.texts.get((index, "content"), "") == masked(text, await places(text, "words", "pii"))
        assert got.finished == dict.fromkeys(range(3), "stop")

    asyncio.run(check())


async def test_arguments_are_read_as_what_they_say() -> None:
    said = {"where": "the moonbase", "who": "ada@example.com", "why": 'an "Zürich-Plan"\n', "n": 1}
    chance = random.Random(1)
    for written in (orjson.dumps(said), escaped(orjson.dumps(said))):
        source = written.decode().replace("moonbase", r"moo\u006ebase")
        for longest in (1, 2, 5, 500):
            reads = [*call(cut(source, chance, longest)), chunk({}, 0, "tool_calls"), DONE_EVENT]
            got = await client(reads, needed(MASK))
            made = orjson.loads(got.texts[0, "tool", 0])
            assert made == {"where": "the [KEYWORD]", "who": "[EMAIL]", "why": 'an "[KEYWORD]"\n', "n": 1}
            blocked = await client(reads, needed(BLOCK))
            assert blocked.finished == {0: "content_filter"}
            assert "base" not in blocked.texts.get((0, "tool", 0), "")


async def test_what_ends_with_another_text_does_not_hold_it_back() -> None:
    policy = needed(MASK)
    inner = Scripted([*tokens(["I think of the open"], field="reasoning_content")[:2], chunk({"content": "It is "})])
    endless = asyncio.Event()
    read_on = inner.read

    async def hang() -> bytes:
        data = await read_on()
        if not data:
            await endless.wait()
        return data

    inner.read = hang  # type: ignore[method-assign]
    judge = Judge(Local(), Heard(), RequestContext("r"), "m")
    stream = Guarded(inner, policy, judge, Verb.CHAT, STREAM, (), lambda heard: None)
    seen = b""
    async with asyncio.timeout(30):
        while b"It is" not in seen:
            seen += await stream.read()
    assert Client(seen).texts[0, "reasoning_content"] == "I think of the open"
    stream.cancel()


async def test_events_without_text_pass_byte_for_byte() -> None:
    odd = b'data: {"id":"c",  "choices": [ {"index":0,"delta":{"role":"assistant"}} ], "x": 1.50}\n\n'
    usage = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1}}\n\n'
    reads = [b": ping\n\n", odd, chunk({"content": "Hi."}), chunk({}, 0, "stop"), usage, DONE_EVENT]
    stream, _, _ = guarded(reads, needed(MASK))
    assert await read(stream) == b"".join(reads)


async def test_a_block_ends_the_stream_and_the_model() -> None:
    reads = [*tokens(["This is ", "fine. ", "The moon", "base ", "is here"]), DONE_EVENT]
    stream, inner, _ = guarded(reads, needed(BLOCK), facts=RequestFacts("m", True, True))
    got = Client(await read(stream))
    assert got.content in "This is fine. The "
    assert got.finished == {0: "content_filter"}
    assert got.extension == {"guardrail": "g", "shield": "words", "categories": {"keyword": 1.0}}
    assert got.usage is not None
    assert got.done
    assert inner.cancelled
    assert stream.summary is not None
    assert stream.summary.finish_reason == "content_filter"


async def test_a_caller_is_told_no_more_than_it_may() -> None:
    row = guardrail(visible=False)
    got = await client([*tokens(["a moonbase."]), DONE_EVENT], needed(row))
    assert (got.finished, got.extension, got.usage) == ({0: "content_filter"}, None, None)


@pytest.mark.parametrize(("on_failure", "finish"), [("closed", "content_filter"), ("open", "stop")])
async def test_silence_is_what_the_policy_says(on_failure: str, finish: str) -> None:
    checker = Local()
    checker.error = NOBODY
    row = guardrail(on_failure=on_failure)
    stream, _, audit = guarded([*tokens(["a moonbase."]), DONE_EVENT], needed(row), checker)
    got = Client(await read(stream))
    assert got.finished == {0: finish}
    assert got.content == ("a moonbase." if finish == "stop" else "")
    assert {(fact.error, fact.shield, fact.on_failure) for fact in audit.facts} == {
        (NOBODY.message, "words", on_failure)
    }


async def test_a_shield_that_never_answers_is_waited_for_its_time_alone() -> None:
    checker = Local()
    checker.wait = asyncio.Event()
    got = await client([*tokens(["Hello."]), DONE_EVENT], needed(guardrail(timeout=0.05)), checker)
    assert got.finished == {0: "content_filter"}


async def test_a_shield_of_another_name_is_none() -> None:
    got = await client([*tokens(["Hello."]), DONE_EVENT], needed(guardrail(shields=["words", "gone"])))
    assert got.finished == {0: "content_filter"}


async def test_a_mask_without_a_place_is_a_block() -> None:
    row = guardrail(shields=["judge"], action="mask")
    got = await client([*tokens(["Good. ", "That is bad", ". More."]), DONE_EVENT], needed(row), Judging())
    assert got.finished == {0: "content_filter"}
    assert "bad" not in got.content


async def test_what_a_shield_settles_leaves_before_the_rest_comes() -> None:
    inner = Scripted([])
    more: asyncio.Queue[bytes] = asyncio.Queue()
    inner.read = more.get  # type: ignore[method-assign]
    judge = Judge(Judging(), Heard(), RequestContext("r"), "m")
    row = guardrail(shields=["judge"])
    stream = Guarded(inner, needed(row), judge, Verb.CHAT, STREAM, (), lambda heard: None)
    more.put_nowait(chunk({"role": "assistant", "content": "One. Tw"}))
    assert Client(await stream.read()).content == "One."
    more.put_nowait(chunk({"content": "o. Three"}))
    assert Client(await stream.read()).content == " Two."
    stream.cancel()


async def test_memory_is_bounded_and_the_stream_waits() -> None:
    checker = Local()
    checker.wait = asyncio.Event()
    piece = "word " * 200
    reads = [chunk({"content": piece})] * 2000
    stream, inner, _ = guarded([*reads, chunk({}, 0, "stop"), DONE_EVENT], needed(guardrail(timeout=60)), checker)
    reading = asyncio.create_task(read(stream))
    before = -1
    while before != inner.taken:
        before = inner.taken
        for _ in range(50):
            await asyncio.sleep(0)
    assert inner.taken * len(reads[0]) < 512 * 1024
    checker.wait.set()
    assert Client(await reading).content == piece * 2000


async def test_a_shield_that_settles_nothing_does_not_stop_the_stream() -> None:
    text = "no end " * 60_000
    got = await client(
        [*tokens(cut(text, random.Random(1), 4000)), DONE_EVENT], needed(guardrail(shields=["j"])), Judging()
    )
    assert got.content == text


async def test_one_giant_frame_is_no_other_than_many() -> None:
    text = "x" * 500_000 + " moonbase " + "y" * 100_000
    got = await client([b"".join([*tokens([text]), DONE_EVENT])], needed(MASK))
    assert got.content == text.replace("moonbase", "[KEYWORD]")


async def test_probabilities_say_no_more_than_the_text() -> None:
    row = {"token": "moonbase", "logprob": -1.0, "bytes": None, "top_logprobs": [{"token": "zürich-plan"}]}
    reads = [
        chunk({"content": "moonbase"}, logprobs={"content": [row]}),
        chunk({"content": " is"}, logprobs={"content": [{**row, "token": " is"}]}),
        chunk({"content": " it"}, logprobs={"content": [{**row, "token": " moonbase"}]}),
        chunk({}, 0, "stop"),
        DONE_EVENT,
    ]
    stream, _, _ = guarded(reads, needed(MASK))
    data = await read(stream)
    assert b"moonbase" not in data
    assert "zürich".encode() not in data
    (kept,) = Client(data).logprobs
    assert kept["content"][0]["token"] == " is"


@pytest.mark.parametrize("field", ["refusal", "reasoning_content", "reasoning", "thinking"])
async def test_every_text_of_a_model_is_its_output(field: str) -> None:
    stream, _, _ = guarded([*tokens(["the moonbase"], field=field), DONE_EVENT], needed(MASK))
    assert b"moonbase" not in await read(stream)
    blocks = [{"type": "thinking", "thinking": [{"type": "text", "text": "a moonbase"}]}]
    stream, _, _ = guarded([chunk({"content": blocks}), chunk({}, 0, "stop"), DONE_EVENT], needed(MASK))
    assert b"moonbase" not in await read(stream)


@pytest.mark.parametrize("event", [b"data: {no json\n\n", b"data: [1]\n\n", b'data: {"choices":[1]}\n\n'])
async def test_what_cannot_be_read_does_not_pass(event: bytes) -> None:
    stream, _, _ = guarded([chunk({"content": "Hi"}), event], needed(MASK))
    with pytest.raises(UpstreamBroke):
        await read(stream)


async def test_a_stream_that_breaks_breaks_here_too() -> None:
    stream, inner, _ = guarded([chunk({"content": "Hello. "})], needed(MASK))
    good = inner.read

    async def breaks() -> bytes:
        data = await good()
        if not data:
            inner.summary = None
            raise UpstreamBroke("it broke")
        return data

    inner.read = breaks  # type: ignore[method-assign]
    with pytest.raises(UpstreamBroke):
        await read(stream)
