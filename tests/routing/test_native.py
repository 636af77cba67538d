"""Requests in Anthropic's words: who is asked, what follows on a failure, and that no guardrail is left out."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
import pytest
from caravan_bus.guarding.guard import Guarding
from caravan_bus.inference import Asked, InferenceClient
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts.context import UNGUARDED, Principal, RequestContext
from caravan_contracts.errors import (
    CaravanError,
    InvalidRequest,
    ModelNotFound,
    UpstreamBroke,
    UpstreamFailed,
    UpstreamRefused,
)
from caravan_contracts.inference import Summary, Usage, Verb
from caravan_contracts.registry import Resource

from tests.guarding.shields import Heard, Local, guardrail
from tests.routing.house import House, Pail, Script, fails

NATIVE = "remote::anthropic"
BOTH = {"a": NATIVE, "b": NATIVE}
EVENTS = [b'event: %d\ndata: {"type":"%d"}\n\n' % (at, at) for at in range(6)]


def asking(model: str = "r", **more: Any) -> bytes:
    body = {"model": model, "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}], "stream": True, **more}
    return orjson.dumps(body)


def context(principal: Principal | None = None, seconds: float = 20.0) -> RequestContext:
    return RequestContext("req_1", principal or Principal(), deadline=time.monotonic() + seconds)


async def ask(client: InferenceClient, model: str = "r", **more: Any) -> Asked:
    return await client.ask(Verb.MESSAGES, asking(model, **more), context())


async def pumped(client: InferenceClient, pail: Pail, piecewise: bool = False) -> Asked:
    asked = await ask(client)
    try:
        while piecewise and (data := await asked.stream.read()):
            pail.take(data)
        if not piecewise:
            pail.take(await asked.stream.read())
            pail.take(await asked.stream.pump(pail))
    finally:
        await client.finish(asked)
    return asked


def says(upto: int = len(EVENTS), error: CaravanError | None = None, pause: float = 0.0) -> Script:
    async def script(inbound: Inbound, sender: StreamSender) -> None:
        for event in EVENTS[:upto]:
            sender.write(event)
            await asyncio.sleep(pause)
        if error is not None:
            raise error
        sender.end(Summary("msg_1", "m", "end_turn", Usage(3, 4)))

    return script


def failed(status: int) -> UpstreamFailed:
    made = UpstreamFailed("Overloaded")
    made.status = status
    return made


async def two(house: House, first: Script, second: Script, kinds: dict[str, str], **route: Any) -> InferenceClient:
    await house.target("a", first)
    await house.target("b", second)
    return await house.client(kinds=kinds, **route)


async def takes(client: InferenceClient, body: bytes, principal: Principal | None = None) -> bool:
    return await client.takes(Verb.MESSAGES, body, context(principal))


async def test_a_request_is_passed_on_where_all_speak_it(house: House) -> None:
    client = await two(house, says(), says(), {"a": NATIVE, "b": "remote::openai"})
    assert await takes(client, asking("a/m"))
    assert not await takes(client, asking("b/m"))
    assert not await takes(client, asking("r"))
    for wrong in (b"{", b"[]", b"{}", asking("a/m", messages=None), asking("a/m", stream="yes")):
        assert not await takes(client, wrong)
    with pytest.raises(ModelNotFound):
        await takes(client, asking("nobody"))


async def test_a_provider_may_say_itself_what_it_speaks(house: House) -> None:
    client = await two(house, says(), says(), {"a": NATIVE, "b": "remote::vllm"})
    for name, kind, said in (("a", NATIVE, False), ("b", "remote::vllm", True)):
        body = {"provider_type": kind, "config": {"messages": said}}
        row = Resource(tenant="default", kind="provider", id=name, revision=2, source="api", created=1, body=body)
        client._view.catalog.apply([row])
    assert [await takes(client, asking(model)) for model in ("a/m", "b/m", "r")] == [False, True, False]


async def test_a_target_that_is_not_there_decides_nothing(house: House) -> None:
    client = await two(house, says(), says(), BOTH, targets=[{"model": "a/m"}, {"model": "gone/m"}])
    assert await takes(client, asking())


async def test_who_does_not_speak_it_is_not_asked(house: House) -> None:
    client = await two(house, says(), fails(failed(500)), {"a": NATIVE})
    with pytest.raises(InvalidRequest, match="messages: true") as raised:
        await ask(client, "b/m")
    assert raised.value.code == "wrong_model_type"
    pail = Pail()
    asked = await pumped(client, pail)
    assert (asked.stream.target, pail.data) == ("a/m", b"".join(EVENTS))
    assert asked.stream.summary == Summary("msg_1", "m", "end_turn", Usage(3, 4))
    assert house.asked["b"] == []


async def test_no_guardrail_is_left_out(house: House) -> None:
    client = await two(house, says(), says(), BOTH)
    client._guarding = Guarding(Local(), Heard())
    assert await takes(client, asking("a/m"))
    client._view.catalog.apply([guardrail("g", models=["a/*"], checks=[{"stages": ["output"], "shields": ["words"]}])])
    assert not await takes(client, asking("a/m"))
    assert not await takes(client, asking("r"))  # one of its targets is a/m
    assert await takes(client, asking("b/m"))
    for model in ("a/m", "r"):
        with pytest.raises(InvalidRequest) as raised:
            await ask(client, model)
        assert raised.value.code == "guardrail_cannot_read"
    assert house.asked == {"a": [], "b": []}
    assert await takes(client, asking("a/m"), Principal(roles=(UNGUARDED,)))


@pytest.mark.parametrize("error", [failed(500), failed(529), UpstreamBroke("cut")])
async def test_before_the_first_byte_the_next_target_is_asked(house: House, error: CaravanError) -> None:
    client = await two(house, fails(error), says(), BOTH, retry={"same_target": 0})
    pail = Pail()
    asked = await pumped(client, pail)
    assert (asked.stream.target, asked.stream.attempts, pail.data) == ("b/m", 2, b"".join(EVENTS))


async def test_a_prompt_that_is_too_long_goes_to_a_larger_target(house: House) -> None:
    long = UpstreamRefused("prompt is too long: 212345 tokens > 200000 maximum")
    sizes = [{"model": "a/m", "context_length": 200_000}, {"model": "b/m", "context_length": 1_000_000}]
    client = await two(house, fails(long), says(), BOTH, targets=sizes)
    pail = Pail()
    assert (await pumped(client, pail)).stream.target == "b/m"


@pytest.mark.parametrize("piecewise", [False, True])
async def test_after_the_first_byte_nobody_goes_on(house: House, piecewise: bool) -> None:
    client = await two(house, says(3, UpstreamBroke("cut")), says(), BOTH)
    pail = Pail()
    with pytest.raises(UpstreamBroke, match="cut"):
        await pumped(client, pail, piecewise)
    assert pail.data == b"".join(EVENTS[:3])
    assert house.asked["b"] == []


async def test_a_stream_that_has_begun_is_not_late(house: House) -> None:
    """The limit is for the first event; the texts of the others are not looked at."""
    client = await two(house, says(pause=0.2), says(), BOTH, timeouts={"first_token": 0.5})
    pail = Pail()
    await pumped(client, pail)
    assert pail.data == b"".join(EVENTS)


async def test_silence_in_the_middle_ends_a_stream(house: House) -> None:
    async def silent(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(EVENTS[0])
        await asyncio.Event().wait()

    client = await two(house, silent, says(), BOTH, timeouts={"between_tokens": 0.2})
    pail = Pail()
    with pytest.raises(UpstreamBroke) as raised:
        await pumped(client, pail)
    assert raised.value.code == "stream_stalled"
    assert (pail.data, house.asked["b"]) == (EVENTS[0], [])


async def test_a_rule_reads_the_words_of_both(house: House) -> None:
    rules = [{"when": {"prompt_characters_over": 50}, "targets": ["b/m"]}]
    client = await two(house, says(), says(), BOTH, rules=rules)
    for more, target in (({}, "a/m"), ({"system": "x" * 50}, "b/m"), ({"system": [{"text": "x" * 50}]}, "b/m")):
        asked = await ask(client, **more)
        assert asked.stream.target == target
        await client.finish(asked)
