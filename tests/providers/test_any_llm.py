"""any-llm's own SDKs against scripted upstreams over real HTTP; Anthropic's Messages API before all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from caravan_contracts.errors import (
    CaravanError,
    ClientGone,
    ContextLengthExceeded,
    DeadlineExceeded,
    InvalidRequest,
    RateLimited,
    UpstreamBroke,
    UpstreamFailed,
    UpstreamRefused,
)
from caravan_contracts.inference import Verb
from caravan_contracts.registry import ModelType
from caravan_inference.providers.any_llm import AnyLLM
from caravan_inference.providers.any_llm.clients import MAX_CLIENTS
from caravan_inference.providers.base import Call, ProviderOptions

from tests.providers.contract import ProviderContract, Recorder, make_call, read_events, streamed, text_of, whole
from tests.upstream.anthropic import ScriptedAnthropic
from tests.upstream.scripted import ScriptedUpstream
from tests.waiting import until

pytest.importorskip("any_llm")
in_module = pytest.mark.asyncio(loop_scope="module")
USER = {"messages": [{"role": "user", "content": "hi"}]}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedAnthropic]:
    made = ScriptedAnthropic()
    made.start()
    yield made
    made.stop()


def make(kind: str, url: str, **config: Any) -> AnyLLM:
    return AnyLLM(ProviderOptions("up", kind, 8, {"api_key": "house-key", "base_url": url, **config}))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider(upstream: ScriptedAnthropic) -> AsyncIterator[AnyLLM]:
    made = make("remote::any-llm-anthropic", upstream.url)
    await made.start()
    yield made
    await made.close()


async def refused(provider: AnyLLM, model: str, body: dict[str, Any] | None = None, **how: Any) -> CaravanError:
    with pytest.raises(CaravanError) as caught:
        await provider.run(make_call(Verb.CHAT, model, body or USER, **how), Recorder())
    return caught.value


@in_module
class TestContract(ProviderContract):
    model = "plain"
    verbs = frozenset({Verb.CHAT})


@in_module
async def test_it_lists_what_the_upstream_lists(provider: AnyLLM) -> None:
    listed = {model.id: model.model_type for model in await provider.models()}
    assert listed == {"plain": ModelType.LLM, "claude-embed-x": ModelType.EMBEDDING}


@in_module
async def test_the_request_is_said_in_the_upstream_s_words(provider: AnyLLM, upstream: ScriptedAnthropic) -> None:
    body = {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "max_completion_tokens": 3,
        "stop": ["END"],
        "tools": [TOOL],
        "tool_choice": "required",
        "seed": 5,
        "user": "anna",
        "store": True,
        "metadata": {"a": "b"},
        "response_format": {"type": "text"},
        "extra_headers": {"x-api-key": "stolen"},
        "timeout": 0.001,
    }
    await whole(provider, make_call(Verb.CHAT, "plain", body))
    made = upstream.requests[-1]
    assert made.path == "/v1/messages"
    assert made.headers["x-api-key"] == "house-key"
    assert made.body["max_tokens"] == 3
    assert made.body["stop_sequences"] == ["END"]
    assert made.body["messages"] == [{"role": "user", "content": "hi"}]
    assert "Be brief." in str(made.body["system"])
    assert made.body["tools"][0]["name"] == "weather"
    assert made.body["tool_choice"]["type"] == "any"
    assert not {"seed", "user", "store", "metadata", "extra_headers"} & set(made.body)


@in_module
async def test_tool_calls_are_openai_s(provider: AnyLLM) -> None:
    body = {**USER, "tools": [TOOL], "max_tokens": 2}
    answer, result = await whole(provider, make_call(Verb.CHAT, "tools", body))
    [call] = answer["choices"][0]["message"]["tool_calls"]
    assert (call["id"], call["type"], call["function"]["name"]) == ("toolu_1", "function", "weather")
    assert call["function"]["arguments"] in ('{"city":"Paris"}', '{"city": "Paris"}')
    assert answer["choices"][0]["finish_reason"] == result.summary.finish_reason == "tool_calls"

    events, result = await streamed(provider, make_call(Verb.CHAT, "tools", body, stream=True))
    pieces = [call for e in events for c in e["choices"] for call in c["delta"].get("tool_calls", [])]
    assert {piece["index"] for piece in pieces} == {0}
    assert (pieces[0]["id"], pieces[0]["function"]["name"]) == ("toolu_1", "weather")
    assert "".join(piece["function"]["arguments"] for piece in pieces) == '{"city":"Paris"}'
    assert text_of(events) == "w0 w1 "
    assert result.summary.finish_reason == "tool_calls"


@in_module
async def test_structured_output_is_asked_for_as_the_upstream_does(
    provider: AnyLLM, upstream: ScriptedAnthropic
) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    answer, _ = await whole(provider, make_call(Verb.CHAT, "plain", {**USER, "response_format": wanted}))
    assert answer["choices"][0]["message"]["content"] == '{"city":"Paris"}'
    assert upstream.requests[-1].body["output_config"]["format"]["type"] == "json_schema"
    error = await refused(provider, "plain", {**USER, "response_format": {"type": "json_object"}})
    assert isinstance(error, InvalidRequest)
    assert "json_object" in error.message


@in_module
async def test_usage_counts_cached_tokens_as_openai_does(provider: AnyLLM) -> None:
    answer, result = await whole(provider, make_call(Verb.CHAT, "plain", {**USER, "max_tokens": 4}))
    assert answer["usage"]["prompt_tokens"] == 9
    assert answer["usage"]["total_tokens"] == 13
    assert result.summary.usage is not None
    assert result.summary.usage.cached_tokens == 2


@in_module
@pytest.mark.parametrize(
    ("model", "kind", "status", "code"),
    [
        ("status-400", UpstreamRefused, 400, "upstream_refused"),
        ("status-401", UpstreamRefused, 401, "upstream_refused"),
        ("status-403", UpstreamRefused, 403, "upstream_refused"),
        ("status-404", UpstreamRefused, 404, "model_not_found"),
        ("status-413", UpstreamRefused, 413, "upstream_refused"),
        ("status-429", RateLimited, 429, "rate_limit_exceeded"),
        ("status-500", UpstreamFailed, 500, "upstream_error"),
        ("status-529", UpstreamFailed, 503, "upstream_error"),
        ("toolong", ContextLengthExceeded, 400, "context_length_exceeded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_keep_status_and_words(
    provider: AnyLLM, upstream: ScriptedAnthropic, model: str, kind: type[CaravanError], status: int, code: str,
    stream: bool,
) -> None:  # fmt: skip
    before = len(upstream.requests)
    error = await refused(provider, model, stream=stream)
    assert (type(error), error.status, error.code) == (kind, status, code)
    assert ("scripted" if model != "toolong" else "prompt is too long") in error.message
    assert "{" not in error.message
    assert error.retryable is (status >= 500)
    assert error.retry_after == (2 if model in ("status-429", "status-529") else None)
    assert len(upstream.requests) == before + 1, "the SDK tried again by itself"


@in_module
async def test_an_upstream_that_is_gone(provider: AnyLLM) -> None:
    lost = make("remote::any-llm-anthropic", "http://127.0.0.1:9")
    await lost.start()
    try:
        error = await refused(lost, "plain")
        assert (type(error), error.status, error.retryable) == (UpstreamFailed, 502, True)
        with pytest.raises(UpstreamFailed):
            await lost.models()
    finally:
        await lost.close()


@in_module
@pytest.mark.parametrize("model", ["cut-2", "inband-2", "nostop"])
async def test_a_stream_that_breaks_says_so(provider: AnyLLM, model: str) -> None:
    out = Recorder()
    with pytest.raises(UpstreamBroke) as caught:
        await provider.run(make_call(Verb.CHAT, model, {**USER, "max_tokens": 4}, stream=True), out)
    assert text_of(read_events(b"".join(out.writes))).startswith("w0 w1 ")
    if model == "inband-2":
        assert caught.value.status == 503
        assert "Overloaded" in caught.value.message


@in_module
async def test_words_leave_as_they_come(provider: AnyLLM) -> None:
    out = Recorder()
    await provider.run(make_call(Verb.CHAT, "slow-40", {**USER, "max_tokens": 4}, stream=True), out)
    assert len(out.writes) >= 4
    assert out.times[-1] - out.times[0] > 0.08


@in_module
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["hang", "slow-200"])
async def test_a_cancelled_call_closes_the_upstream(
    provider: AnyLLM, upstream: ScriptedAnthropic, model: str, stream: bool
) -> None:
    closed = upstream.closed_early
    call = make_call(Verb.CHAT, model, {**USER, "max_tokens": 200}, stream=stream)
    task = asyncio.create_task(provider.run(call, Recorder()))
    await until(lambda: upstream.open == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: upstream.open == 0)
    assert upstream.closed_early == closed + 1


@in_module
async def test_a_client_that_leaves_closes_the_upstream(provider: AnyLLM, upstream: ScriptedAnthropic) -> None:
    out = Recorder(credit=1)
    call = make_call(Verb.CHAT, "slow-20", {**USER, "max_tokens": 200}, stream=True)
    task = asyncio.create_task(provider.run(call, out))
    await until(lambda: out.writes)
    out.leave()
    with pytest.raises(ClientGone):
        await asyncio.wait_for(task, 30)
    await until(lambda: upstream.open == 0)


@in_module
@pytest.mark.parametrize(("model", "stream"), [("hang", False), ("hang", True), ("slow-100", True)])
async def test_the_deadline_holds(provider: AnyLLM, upstream: ScriptedAnthropic, model: str, stream: bool) -> None:
    began = time.monotonic()
    error = await refused(provider, model, {**USER, "max_tokens": 200}, stream=stream, seconds=0.3)
    assert isinstance(error, DeadlineExceeded)
    assert time.monotonic() - began < 2
    await until(lambda: upstream.open == 0)


@in_module
async def test_an_upstream_that_is_silent_too_long(upstream: ScriptedAnthropic) -> None:
    impatient = make("remote::any-llm-anthropic", upstream.url, timeouts={"read": 0.2})
    await impatient.start()
    try:
        error = await refused(impatient, "hang")
    finally:
        await impatient.close()
    assert (type(error), error.code) == (UpstreamFailed, "upstream_timeout")


@in_module
async def test_callers_bring_their_own_keys(provider: AnyLLM, upstream: ScriptedAnthropic) -> None:
    for credentials in ({"up_api_key": "annas"}, {"ANTHROPIC_API_KEY": "annas"}):
        call = make_call(Verb.CHAT, "plain", USER)
        await provider.run(Call(call.verb, call.spec, call.body, call.context, credentials), Recorder())
        assert upstream.requests[-1].headers["x-api-key"] == "annas"
    await whole(provider, make_call(Verb.CHAT, "plain", USER))
    assert upstream.requests[-1].headers["x-api-key"] == "house-key"


@in_module
async def test_callers_keys_do_not_pile_up(provider: AnyLLM, upstream: ScriptedAnthropic) -> None:
    slow = asyncio.create_task(provider.run(_with_key("slow-20", "first"), Recorder()))  # in use while it is pushed out
    await until(lambda: upstream.open == 1)
    for number in range(MAX_CLIENTS + 2):
        await provider.run(_with_key("plain", f"key-{number}"), Recorder())
    assert provider._clients is not None
    assert len(provider._clients._entries) == MAX_CLIENTS
    assert (await slow).summary.finish_reason == "stop"


def _with_key(model: str, key: str) -> Call:
    call = make_call(Verb.CHAT, model, {**USER, "max_tokens": 60 if model == "plain" else 120}, stream=True)
    return Call(call.verb, call.spec, call.body, call.context, {"up_api_key": key})


@in_module
async def test_without_any_key_the_caller_is_told(upstream: ScriptedAnthropic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    keyless = make("remote::any-llm-anthropic", upstream.url, api_key="")
    await keyless.start()
    try:
        error = await refused(keyless, "plain")
        assert (error.status, error.code) == (401, "missing_provider_key")
        assert "ANTHROPIC_API_KEY" in error.message
        assert (await keyless.run(_with_key("plain", "mine"), Recorder())).summary.finish_reason == "stop"
    finally:
        await keyless.close()


@in_module
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({**USER, "n": 2}, "n"),
        ({**USER, "functions": [{"name": "f"}]}, "functions"),
        ({**USER, "logprobs": True}, "logprobs"),
        ({"messages": []}, "messages"),
    ],
)
async def test_what_the_upstream_cannot_do_is_refused_by_name(
    provider: AnyLLM, body: dict[str, Any], param: str
) -> None:
    error = await refused(provider, "plain", body)
    assert (type(error), error.param) == (InvalidRequest, param)


@in_module
@pytest.mark.parametrize(
    ("verb", "body"),
    [
        (Verb.COMPLETIONS, {"prompt": "x"}),
        (Verb.EMBEDDINGS, {"input": "x"}),
        (Verb.RERANK, {"query": "q", "documents": ["a"]}),
    ],
)
async def test_what_it_has_not_is_refused(provider: AnyLLM, verb: Verb, body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await provider.run(make_call(verb, "plain", body), Recorder())


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def openai_kind() -> AsyncIterator[tuple[AnyLLM, ScriptedUpstream]]:
    upstream = ScriptedUpstream()
    upstream.start()
    made = make("remote::any-llm-openai", upstream.url)
    await made.start()
    yield made, upstream
    await made.close()
    upstream.stop()


@in_module
async def test_a_class_of_any_llm_with_embeddings(openai_kind: tuple[AnyLLM, ScriptedUpstream]) -> None:
    provider, upstream = openai_kind
    body = {"input": ["a", "b"], "dimensions": 3, "encoding_format": "float", "extra_headers": {"a": "b"}}
    answer, result = await whole(provider, make_call(Verb.EMBEDDINGS, "text-embed", body))
    assert [row["embedding"] for row in answer["data"]] == [[0.5, -0.25, 0.0], [0.5, -0.25, 1.0]]
    assert answer["usage"]["prompt_tokens"] == 2
    assert result.summary.usage is not None
    assert upstream.requests[-1].body["dimensions"] == 3
    with pytest.raises(InvalidRequest):
        await whole(provider, make_call(Verb.EMBEDDINGS, "text-embed", {"input": [1, 2]}))


@in_module
async def test_openai_s_own_fields_arrive_where_openai_s_api_is_spoken(
    openai_kind: tuple[AnyLLM, ScriptedUpstream],
) -> None:
    provider, upstream = openai_kind
    body = {**USER, "seed": 5, "user": "anna", "max_completion_tokens": 2}
    events, _ = await streamed(provider, make_call(Verb.CHAT, "plain", body, stream=True, include_usage=True))
    sent = upstream.requests[-1].body
    assert (sent["seed"], sent["user"], sent["stream_options"]) == (5, "anna", {"include_usage": True})
    assert text_of(events) == "w0 w1 "
    assert events[-1]["usage"]["completion_tokens"] == 4
