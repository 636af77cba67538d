"""The byte-forwarding provider at a server that speaks Anthropic's Messages API itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, ClassVar

import orjson
import pytest
import pytest_asyncio
from caravan_bus.routing.retry import Fault, fault_of
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, InvalidRequest, UpstreamBroke
from caravan_contracts.inference import Verb
from caravan_inference.providers.base import Call, ProviderOptions
from caravan_inference.providers.openai_compatible import OpenAICompatible

from tests.providers.contract import SHOWN, ProviderContract, Recorder, make_call, whole
from tests.upstream.anthropic import TOO_LONG, ScriptedAnthropic

in_module = pytest.mark.asyncio(loop_scope="module")
HI: dict[str, Any] = {"max_tokens": 4, "messages": [{"role": "user", "content": "hello"}]}
PLAIN_VERSION = "2023-06-01"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def upstream() -> AsyncIterator[ScriptedAnthropic]:
    made = ScriptedAnthropic()
    made.start()
    yield made
    made.stop()


async def started(upstream: ScriptedAnthropic, kind: str = "anthropic", **config: Any) -> OpenAICompatible:
    settings = {"base_url": f"{upstream.url}/v1", "api_key": "secret", **config}
    made = OpenAICompatible(ProviderOptions("up", f"remote::{kind}", 8, settings))
    await made.start()
    return made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def provider(upstream: ScriptedAnthropic) -> AsyncIterator[OpenAICompatible]:
    made = await started(upstream)
    yield made
    await made.close()


@in_module
class TestContract(ProviderContract):
    model = "plain"
    verbs: ClassVar[frozenset[Verb]] = frozenset({Verb.MESSAGES})


def call(model: str, *, stream: bool = False, context: RequestContext | None = None, **more: Any) -> Call:
    made = make_call(Verb.MESSAGES, model, {**HI, **more}, stream=stream)
    return made if context is None else replace(made, context=context)


async def sent(upstream: ScriptedAnthropic, provider: OpenAICompatible, context: RequestContext) -> dict[str, str]:
    """The headers that the upstream gets."""
    await whole(provider, call("plain", context=context))
    return upstream.requests[-1].headers


@in_module
async def test_the_body_arrives_as_it_was_written(upstream: ScriptedAnthropic, provider: OpenAICompatible) -> None:
    body = (
        b'{"messages": [{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"E+/="},'
        b'{"type":"tool_use","id":"t","name":"n","input":{"model":"some/name-of-the-client","n":1.0}}]}],\n'
        b' "model" : "some/name-of-the-client","max_tokens":4, "new_field":{"cache_control":{"ttl":"1h"}}}'
    )
    await whole(provider, make_call(Verb.MESSAGES, "plain", body))
    assert upstream.raw[-1] == body.replace(b'"model" : "some/name-of-the-client"', b'"model" : "plain"')


@in_module
async def test_version_and_betas_are_those_of_the_client(
    upstream: ScriptedAnthropic, provider: OpenAICompatible
) -> None:
    plain = await sent(upstream, provider, RequestContext("r"))
    assert (plain["anthropic-version"], plain["x-api-key"]) == (PLAIN_VERSION, "secret")
    assert "authorization" not in plain and "anthropic-beta" not in plain
    own = RequestContext("r").with_anthropic("2024-01-01", "one-2025, two")
    got = await sent(upstream, provider, own)
    assert (got["anthropic-version"], got["anthropic-beta"]) == ("2024-01-01", "one-2025,two")
    configured = await started(upstream, headers={"Anthropic-Beta": "house", "ANTHROPIC-VERSION": "2020"})
    house = await sent(upstream, configured, RequestContext("r"))
    guest = await sent(upstream, configured, own)
    await configured.close()
    assert (house["anthropic-beta"], house["anthropic-version"]) == ("house", "2020")
    assert (guest["anthropic-beta"], guest["anthropic-version"]) == ("one-2025,two", "2024-01-01")


@in_module
async def test_other_servers_get_the_key_where_they_look_for_it(upstream: ScriptedAnthropic) -> None:
    other = await started(upstream, "vllm", messages=True)
    got = await sent(upstream, other, RequestContext("r"))
    await other.close()
    assert got["authorization"] == "Bearer secret" and "x-api-key" not in got
    assert got["anthropic-version"] == PLAIN_VERSION


@pytest.mark.parametrize("text", ["a b", "a\r\nx-api-key: b", "ä", "a" * 1025, "a;b"])
def test_headers_that_are_not_plain_are_refused(text: str) -> None:
    for version, beta in ((text, ""), ("", text)):
        with pytest.raises(InvalidRequest, match="anthropic-"):
            RequestContext("r").with_anthropic(version, beta)
    with pytest.raises(InvalidRequest, match="anthropic-beta"):
        RequestContext.from_headers({"anthropic-beta": text})


def test_headers_travel_over_the_bus() -> None:
    context = RequestContext("r").with_anthropic(PLAIN_VERSION, "a,b-1")
    read = RequestContext.from_headers(context.to_headers())
    assert (read.anthropic_version, read.anthropic_beta) == (PLAIN_VERSION, "a,b-1")
    loose = RequestContext("r").with_anthropic("", "a,  b-1,,\tc,")
    assert loose.anthropic_beta == "a,b-1,c"
    plain = RequestContext("r")
    assert plain.with_anthropic(PLAIN_VERSION, " , ") is plain


@in_module
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "fault", "status"),
    [
        ("toolong", Fault.TOO_LONG, 400),
        ("status-400", Fault.REFUSED, 400),
        ("status-429", Fault.LIMITED, 429),
        ("status-500", Fault.BROKEN, 500),
        ("status-529", Fault.BROKEN, 529),
    ],
)
async def test_errors_keep_their_status_and_say_what_follows(
    provider: OpenAICompatible, model: str, fault: Fault, status: int, stream: bool
) -> None:
    with pytest.raises(CaravanError) as raised:
        await provider.run(call(model, stream=stream), Recorder())
    assert (fault_of(raised.value), raised.value.status) == (fault, status)
    assert raised.value.retry_after == (2 if status in (429, 529) else None)
    if fault is Fault.TOO_LONG:
        assert raised.value.message == TOO_LONG


@in_module
@pytest.mark.parametrize("model", ["cut-2", "inband-2", "nostop", "noend"])
async def test_a_stream_without_its_end_is_broken(provider: OpenAICompatible, model: str) -> None:
    out = Recorder()
    with pytest.raises(UpstreamBroke):
        await provider.run(call(model, stream=True), out)
    got = b"".join(out.writes)
    assert got.startswith(b"event: message_start") and b"message_stop" not in got and b'"error"' not in got


@in_module
async def test_an_error_event_before_all_others_may_be_asked_elsewhere(provider: OpenAICompatible) -> None:
    out = Recorder()
    with pytest.raises(UpstreamBroke) as raised:
        await provider.run(call("early", stream=True), out)
    assert not out.writes
    assert (fault_of(raised.value), raised.value.status) == (Fault.BROKEN, 529)


@in_module
async def test_a_call_that_is_given_up_frees_its_upstream(
    upstream: ScriptedAnthropic, provider: OpenAICompatible
) -> None:
    before = upstream.closed_early
    task = asyncio.create_task(provider.run(call("slow-50", stream=True, max_tokens=1000), out := Recorder()))
    async with asyncio.timeout(30):
        while not out.writes:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        while upstream.closed_early == before:
            await asyncio.sleep(0.01)


@in_module
async def test_an_answer_keeps_its_bytes_but_for_the_model(provider: OpenAICompatible) -> None:
    out = Recorder()
    result = await provider.run(call("tools"), out)
    told = orjson.loads(out.all(result))
    assert told["model"] == SHOWN and told["content"][1]["input"] == {"city": "Paris"}
    assert b'"type": "message"' in out.all(result)  # as its server writes it
    assert result.summary.finish_reason == "tool_use"
