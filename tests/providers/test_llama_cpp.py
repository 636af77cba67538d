"""The bundled chat model, really loaded: one thread, few tokens."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from caravan_contracts.errors import (
    CaravanError,
    ContextLengthExceeded,
    InvalidJSON,
    InvalidRequest,
    ModelNotFound,
    Unavailable,
)
from caravan_contracts.inference import Verb
from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.llama_cpp import LlamaCpp
from caravan_inference.providers.llama_cpp.engine import Generation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.providers.contract import ProviderContract, Recorder, make_call, streamed, text_of, whole

pytest.importorskip("xllamacpp")
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.model]

MODEL = "SmolLM2-135M-Instruct"
CONTEXT = 512


def make(**config: Any) -> LlamaCpp:
    settled = {"context_length": CONTEXT, "parallel": 2, "threads": 1, **config}
    return LlamaCpp(ProviderOptions("local", "inline::llama-cpp", 256, settled))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider() -> AsyncIterator[LlamaCpp]:
    made = make()
    await made.start()
    yield made
    await made.close()


def user(text: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 8, **more}


async def ask(provider: LlamaCpp, body: dict[str, Any], verb: Verb = Verb.CHAT) -> dict[str, Any]:
    answer, _ = await whole(provider, make_call(verb, MODEL, body))
    return answer


async def refused(provider: LlamaCpp, body: dict[str, Any] | bytes, verb: Verb = Verb.CHAT) -> CaravanError:
    with pytest.raises(CaravanError) as caught:
        await provider.run(make_call(verb, MODEL, body), Recorder())
    return caught.value


class TestContract(ProviderContract):
    model = MODEL
    verbs = frozenset({Verb.CHAT, Verb.COMPLETIONS})


async def test_it_says_how_much_it_can_read_and_how_many_at_once(provider: LlamaCpp) -> None:
    [model] = await provider.models()
    assert model.metadata == {"context_length": CONTEXT}
    assert provider.options.slots == 2


async def test_it_knows_the_capital_of_france(provider: LlamaCpp) -> None:
    answer = await ask(provider, user("What is the capital of France?"))
    assert "Paris" in answer["choices"][0]["message"]["content"]


async def test_n_answers_have_their_own_index_and_the_prompt_counts_once(provider: LlamaCpp) -> None:
    one = await ask(provider, user("Say a word.", max_tokens=3))
    two = await ask(provider, user("Say a word.", max_tokens=3, n=2, temperature=1, seed=3))
    assert [choice["index"] for choice in two["choices"]] == [0, 1]
    assert two["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"]
    assert two["usage"]["completion_tokens"] == 6


async def test_a_seed_gives_the_same_text_again(provider: LlamaCpp) -> None:
    body = user("Tell me about the sea.", temperature=1.2, seed=7)
    texts = {(await ask(provider, body))["choices"][0]["message"]["content"] for _ in range(3)}
    assert len(texts) == 1


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1, max_size=40), seed=st.integers(0, 2**40), length=st.integers(1, 6))
async def test_stream_and_whole_agree_for_any_prompt(provider: LlamaCpp, text: str, seed: int, length: int) -> None:
    body = user(text, seed=seed, max_completion_tokens=length)
    answer = await ask(provider, body)
    events, result = await streamed(provider, make_call(Verb.CHAT, MODEL, body, stream=True))
    assert text_of(events) == answer["choices"][0]["message"]["content"]
    assert result.summary.finish_reason == answer["choices"][0]["finish_reason"]


async def test_it_stops_at_a_stop_text_and_leaves_it_out(provider: LlamaCpp) -> None:
    full = (await ask(provider, user("What is the capital of France?")))["choices"][0]["message"]["content"]
    word = full.split()[2]
    answer = await ask(provider, user("What is the capital of France?", stop=[word]))
    [choice] = answer["choices"]
    assert choice["message"]["content"] == full[: full.index(word)]
    assert choice["finish_reason"] == "stop"


async def test_an_answer_cut_by_max_tokens_says_length(provider: LlamaCpp) -> None:
    answer = await ask(provider, user("Tell me a long story.", max_tokens=2))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


async def test_logprobs_come_as_openai_writes_them(provider: LlamaCpp) -> None:
    answer = await ask(provider, user("Hi", max_tokens=2, logprobs=True, top_logprobs=2))
    rows = answer["choices"][0]["logprobs"]["content"]
    assert "".join(row["token"] for row in rows) == answer["choices"][0]["message"]["content"]
    assert all(set(row) == {"token", "logprob", "bytes", "top_logprobs"} for row in rows)
    assert [len(row["top_logprobs"]) for row in rows] == [2, 2]
    bare = await ask(provider, user("Hi", max_tokens=2, logprobs=True))
    assert bare["choices"][0]["logprobs"]["content"][0]["top_logprobs"] == []


async def test_completions_have_their_own_logprobs_echo_and_several_prompts(provider: LlamaCpp) -> None:
    body = {"prompt": "One, two,", "max_tokens": 2, "temperature": 0, "logprobs": 1}
    [choice] = (await ask(provider, body, Verb.COMPLETIONS))["choices"]
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == choice["text"]
    assert logprobs["text_offset"] == [0, len(logprobs["tokens"][0])]
    assert [len(top) for top in logprobs["top_logprobs"]] == [1, 1]
    several = {"prompt": ["One, two,", "The sun"], "max_tokens": 2, "temperature": 0, "echo": True}
    answer = await ask(provider, several, Verb.COMPLETIONS)
    assert [c["index"] for c in answer["choices"]] == [0, 1]
    assert answer["choices"][1]["text"].startswith("The sun")


async def test_json_schema_output_follows_the_schema(provider: LlamaCpp) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Rome", "Oslo"]}, "people": {"type": "integer", "maximum": 99}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    answer = await ask(provider, user("Tell me a story.", response_format=form, max_tokens=50))
    made = orjson.loads(answer["choices"][0]["message"]["content"])
    assert set(made) == {"city", "people"}
    assert made["city"] in ("Rome", "Oslo")
    assert isinstance(made["people"], int)


async def test_json_object_output_begins_one(provider: LlamaCpp) -> None:
    answer = await ask(provider, user("Tell me a story.", response_format={"type": "json_object"}))
    assert answer["choices"][0]["message"]["content"].lstrip().startswith("{")


async def test_a_prompt_too_long_says_by_how_much(provider: LlamaCpp) -> None:
    error = await refused(provider, user("word " * 2 * CONTEXT))
    assert isinstance(error, ContextLengthExceeded)
    assert error.param == "messages"
    assert str(CONTEXT) in error.message
    assert any(int(part) > 2 * CONTEXT for part in error.message.split() if part.isdigit())


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (user([{"type": "image_url", "image_url": {"url": "data:,"}}]), "messages[0].content[0]"),
        (user("x", temperature="hot"), "temperature"),
        (user("x", temperature=3), "temperature"),
        (user("x", n=17), "n"),
        (user("x", max_tokens=0), "max_tokens"),
        (user("x", stop=[""]), "stop"),
        (user("x", top_logprobs=2), "top_logprobs"),
        (user("x", functions=[{"name": "f"}]), "functions"),
        (user("x", modalities=["audio"]), "modalities"),
        (user("x", response_format={"type": "yaml"}), "response_format.type"),
        (user("x", response_format={"type": "json_schema"}), "response_format"),
        (
            user("x", response_format={"type": "json_schema", "json_schema": {"schema": {"type": "banana"}}}),
            "response_format",
        ),
        ({"messages": []}, "messages"),
        ({}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ],
)
async def test_what_chat_cannot_do_is_refused_by_name(provider: LlamaCpp, body: dict[str, Any], param: str) -> None:
    error = await refused(provider, body)
    assert isinstance(error, InvalidRequest)
    assert error.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({}, "prompt"),
        ({"prompt": "x", "suffix": "y"}, "suffix"),
        ({"prompt": "x", "best_of": 3}, "best_of"),
        ({"prompt": ["x"] * 9, "n": 2}, "prompt"),
    ],
)
async def test_what_completions_cannot_do_is_refused_by_name(
    provider: LlamaCpp, body: dict[str, Any], param: str
) -> None:
    error = await refused(provider, body, Verb.COMPLETIONS)
    assert isinstance(error, InvalidRequest)
    assert error.param == param


async def test_a_body_that_is_no_json_is_refused(provider: LlamaCpp) -> None:
    assert isinstance(await refused(provider, b"{"), InvalidJSON)


async def test_it_embeds_nothing_and_serves_no_other_model(provider: LlamaCpp) -> None:
    assert (await refused(provider, {"input": "x"}, Verb.EMBEDDINGS)).param == "model"
    with pytest.raises(ModelNotFound):
        await provider.run(make_call(Verb.CHAT, "another", user("x")), Recorder())


@pytest.mark.parametrize("prompt", ["word " * 400, "Tell me a very long story."], ids=["reading", "writing"])
async def test_a_cancelled_call_frees_the_engine_at_its_next_step(
    provider: LlamaCpp, prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    refused: list[Generation] = []
    on_chunk = Generation.on_chunk

    def noting(generation: Generation, chunk: bytes) -> bool:
        loop.call_soon_threadsafe(begun.set)
        stop = on_chunk(generation, chunk)
        if stop:
            refused.append(generation)
        return stop

    monkeypatch.setattr(Generation, "on_chunk", noting)
    body = user(prompt, max_tokens=100, logit_bias={"2": -100}, seed=1)
    tasks = [asyncio.create_task(whole(provider, make_call(Verb.CHAT, MODEL, body))) for _ in range(2)]
    await begun.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    await asyncio.gather(*(ask(provider, user("Hi", max_tokens=1)) for _ in tasks))
    assert 1 <= len(refused) <= 2, "each is told once, at its next step, and does no more of them"
    assert len({id(generation) for generation in refused}) == len(refused)


async def test_the_event_loop_never_waits_for_the_model(provider: LlamaCpp) -> None:
    async def longest_turn(stop: asyncio.Event) -> float:
        loop, worst = asyncio.get_running_loop(), 0.0
        while not stop.is_set():
            due = loop.time() + 0.005
            await asyncio.wait([asyncio.create_task(stop.wait())], timeout=0.005)
            worst = max(worst, loop.time() - due)
        return worst

    stop, began = asyncio.Event(), time.monotonic()
    watch = asyncio.create_task(longest_turn(stop))
    await asyncio.gather(*(ask(provider, user("word " * 20, max_tokens=8)) for _ in range(6)))
    took = time.monotonic() - began
    stop.set()
    assert await watch < took / 3, "one of its calls held the loop up"


async def test_tokens_are_written_as_they_come(provider: LlamaCpp) -> None:
    out = Recorder()
    body = user("Count from one to twenty.", max_tokens=12)
    await provider.run(make_call(Verb.CHAT, MODEL, body, stream=True), out)
    assert len(out.writes) > 6
    assert out.times[-1] - out.times[0] > 0.01


async def test_signals_stay_with_the_worker() -> None:
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, heard.set)
    try:
        made = make(context_length=128, parallel=1)
        await made.start()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(heard.wait(), 30)
            answer = await ask(made, user("Hi", max_tokens=1))
            assert answer["choices"]
        finally:
            await made.close()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_a_closed_provider_gives_its_memory_back_and_refuses() -> None:
    made = make(context_length=2048, parallel=4)
    before = resident()
    await made.start()
    loaded = resident()
    await refused(made, user("word " * 3000))
    await made.close()
    assert resident() - before < (loaded - before) / 2
    assert isinstance(await refused(made, user("x")), Unavailable)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_file_that_is_no_model_is_refused_at_the_start(tmp_path: Any) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"nothing")
    with pytest.raises(InvalidRequest, match="no GGUF"):
        await make(model_path=str(tmp_path / "bad.gguf")).start()
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    with pytest.raises(Unavailable, match="could not load"):
        await make(model_path=str(tmp_path / "cut.gguf")).start()
    with pytest.raises(InvalidRequest, match="cannot be read"):
        await make(model_path=str(tmp_path / "none.gguf")).start()
