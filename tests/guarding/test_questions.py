"""What a request says: judged while its model is asked, masked before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from caravan_bus.guarding.guard import Guarding
from caravan_bus.guarding.guarded import Guarded
from caravan_bus.inference import Asked, InferenceClient
from caravan_bus.routing.failover import Failover
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts.context import UNGUARDED, Principal, RequestContext
from caravan_contracts.errors import ContentFiltered, InvalidRequest
from caravan_contracts.inference import DONE_EVENT, Summary, Usage, Verb
from caravan_contracts.registry import Resource

from tests.bus.lines import MemoryLine
from tests.guarding.shields import NOBODY, Heard, Local, guardrail
from tests.guarding.streams import Client, tokens
from tests.routing.house import House

HI = {"role": "user", "content": "Hi"}
BAD = {"role": "user", "content": "Where is the moonbase?"}


class Place:
    """One model, and a client whose guardrails can be changed."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.checker = Local()
        self.audit = Heard()
        self.asked = asyncio.Event()
        self.said: list[str] = ["All is well."]

    async def answer(self, inbound: Inbound, sender: StreamSender) -> None:
        self.asked.set()
        summary = Summary("c", "m", "stop", Usage(3, 4))
        if inbound.spec.stream:
            sender.write(b"".join(tokens(self.said)))
            sender.end(summary, DONE_EVENT)
            return
        message = {"role": "assistant", "content": "".join(self.said)}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        sender.end(summary, orjson.dumps({"id": "c", "choices": choices}))

    async def client(self, *guardrails: Resource) -> InferenceClient:
        await self.house.target("a", self.answer)
        made = await self.house.client()
        made._guarding = Guarding(self.checker, self.audit)
        made._view.catalog.apply(guardrails)
        return made


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    line = MemoryLine()
    await line.start()
    house = House(line)
    yield Place(house)
    await house.close()
    await line.close()


async def ask(client: InferenceClient, *messages: dict[str, Any], who: Principal | None = None, **more: Any) -> Asked:
    body = {"model": "r", "messages": list(messages or (HI,)), "stream": True, **more}
    return await client.ask(Verb.CHAT, orjson.dumps(body), RequestContext("req_1", who or Principal()))


async def first(client: InferenceClient, *messages: dict[str, Any], stream: bool) -> bytes:
    asked = await ask(client, *messages, stream=stream)
    return await (asked.stream.read() if stream else asked.stream.read_all(10_000))


async def answer(client: InferenceClient, *messages: dict[str, Any], **more: Any) -> str:
    asked = await ask(client, *messages, **more)
    data = b""
    try:
        while more := await asked.stream.read():
            data += more
    finally:
        await client.finish(asked)
    return Client(data).content


async def test_nothing_is_made_where_no_guardrail_concerns_a_request(place: Place) -> None:
    client = await place.client()
    asked = await ask(client)
    assert isinstance(asked.stream, Failover)
    await client.finish(asked)
    client._view.catalog.apply([guardrail(models=["other/*"])])
    asked = await ask(client)
    assert isinstance(asked.stream, Failover)
    await client.finish(asked)
    client._view.catalog.apply([guardrail(models=["a/*"])])
    asked = await ask(client)
    assert isinstance(asked.stream, Guarded)
    await client.finish(asked)
    asked = await ask(client, who=Principal(roles=(UNGUARDED,)))
    assert isinstance(asked.stream, Failover), "what a shield asks is not judged"
    await client.finish(asked)


async def test_the_model_is_asked_before_the_verdict_and_its_answer_waits(place: Place) -> None:
    client = await place.client(guardrail(stages=["input"]))
    place.checker.wait = asyncio.Event()
    asked = await ask(client)
    reading = asyncio.create_task(asked.stream.read())
    async with asyncio.timeout(30):
        await place.asked.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert not reading.done()
    place.checker.wait.set()
    assert await reading
    await client.finish(asked)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_blocked_question_is_an_error_that_says_why(place: Place, stream: bool) -> None:
    client = await place.client(guardrail("house", stages=["input"], message="Not here."))
    with pytest.raises(ContentFiltered) as caught:
        await first(client, BAD, stream=stream)
    error = caught.value
    assert (error.status, error.code, error.message) == (400, "content_filter", "Not here.")
    told = {"guardrail": "house", "shield": "words", "categories": {"keyword": 1.0}}
    assert error.to_body()["error"]["caravan"] == told
    assert ContentFiltered.from_wire(error.to_wire()).details == told
    client._view.catalog.apply([guardrail("house", stages=["input"], visible=False)])
    with pytest.raises(ContentFiltered) as caught:
        await answer(client, BAD)
    assert "caravan" not in caught.value.to_body()["error"]


async def test_a_block_cancels_the_model(place: Place) -> None:
    cancelled = asyncio.Event()

    async def endless(inbound: Inbound, sender: StreamSender) -> None:
        place.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    place.answer = endless  # type: ignore[method-assign]
    client = await place.client(guardrail(stages=["input"]))
    place.checker.wait = asyncio.Event()
    asking = asyncio.create_task(answer(client, BAD))
    async with asyncio.timeout(30):
        await place.asked.wait()
        place.checker.wait.set()
        with pytest.raises(ContentFiltered):
            await asking
        await cancelled.wait()


async def test_a_mask_is_applied_before_the_model_is_asked(place: Place) -> None:
    client = await place.client(guardrail(stages=["input"], shields=["words", "pii"], action="mask"))
    parts = [{"type": "text", "text": "Write to ada@example.com"}, {"type": "image_url", "image_url": {"url": "x"}}]
    await answer(client, {"role": "system", "content": "About moonbase."}, {"role": "user", "content": parts})
    (body,) = place.house.asked["a"]
    assert body["messages"][0]["content"] == "About [KEYWORD]."
    assert body["messages"][1]["content"] == [{**parts[0], "text": "Write to [EMAIL]"}, parts[1]]


async def test_a_result_of_a_tool_has_a_stage_of_its_own(place: Place) -> None:
    client = await place.client(guardrail(stages=["tool_results"]))
    assert await answer(client, BAD) == "All is well."
    with pytest.raises(ContentFiltered):
        await answer(
            client, HI, {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "moonbase"}]}
        )


async def test_what_was_judged_is_not_judged_again(place: Place) -> None:
    client = await place.client(guardrail(stages=["input"]))
    history = [HI, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "And now?"}]
    await answer(client, HI)
    await answer(client, *history)
    await answer(client, *history)
    assert [check.texts for check in place.checker.asked] == [["Hi"], ["And now?"]]
    client._view.catalog.apply([guardrail(stages=["input"], shields=["words", "pii"])])
    await answer(client, *history)
    assert place.checker.asked[-1].texts == ["Hi", "And now?"], "another shield knows nothing of it"
    assert await answer(client, *history, {"role": "assistant", "content": "Yes."}, HI) == "All is well."


async def test_silence_at_the_question_is_what_the_policy_says(place: Place) -> None:
    client = await place.client(guardrail(stages=["input"], on_failure="open"))
    place.checker.error = NOBODY
    assert await answer(client, BAD) == "All is well."
    assert [fact.error for fact in place.audit.facts] == [NOBODY.message]
    place.checker.error = None
    with pytest.raises(ContentFiltered):
        await answer(client, BAD)  # that nobody answered is not remembered
    client._view.catalog.apply([guardrail(stages=["input"])])
    place.checker.error = NOBODY
    with pytest.raises(ContentFiltered) as caught:
        await answer(client, HI)
    assert caught.value.details is not None
    assert caught.value.details["reason"] == "no_verdict"


async def test_an_observer_sees_all_and_stops_nothing(place: Place) -> None:
    client = await place.client(guardrail(stages=["input", "output"], action="observe"))
    place.said = ["To the moon", "base!"]
    assert await answer(client, BAD) == "To the moonbase!"
    async with asyncio.timeout(30):
        while len(place.checker.asked) < 2:
            await asyncio.sleep(0)
    assert [check.texts for check in place.checker.asked] == [["Where is the moonbase?"], ["To the moonbase!"]]


async def test_guardrails_of_the_request_are_named_in_it(place: Place) -> None:
    client = await place.client(guardrail("strict", stages=["input"], on_request=True))
    assert await answer(client, BAD) == "All is well."
    with pytest.raises(ContentFiltered):
        await answer(client, BAD, who=Principal().naming("strict"))
    with pytest.raises(InvalidRequest) as caught:
        await answer(client, HI, who=Principal().naming("strict, stirct"))
    assert "stirct" in caught.value.message
    assert Principal.decode(Principal().naming("strict").encode()).guardrails == ("strict",)


async def test_a_whole_answer_is_judged_as_a_stream_is(place: Place) -> None:
    client = await place.client(guardrail(action="mask"))
    place.said = ["the moon", "base"]
    asked = await ask(client, stream=False)
    made = orjson.loads(await asked.stream.read_all(10_000))
    assert made["choices"][0]["message"]["content"] == "the [KEYWORD]"
    client._view.catalog.apply([guardrail()])
    asked = await ask(client, stream=False)
    (choice,) = (made := orjson.loads(await asked.stream.read_all(10_000)))["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", None)
    assert made["caravan"]["guardrail"] == "g"
    assert asked.stream.summary is not None
    assert asked.stream.summary.finish_reason == "content_filter"


async def test_embeddings_are_judged_and_tokens_cannot_be(place: Place) -> None:
    client = await place.client(guardrail(stages=["embeddings"]))
    model = {"provider_id": "a", "provider_resource_id": "e", "model_type": "embedding"}
    row = Resource(tenant="default", kind="model", id="a/e", revision=2, source="api", created=1, body=model)
    client._view.catalog.apply([row])

    async def embed(value: Any) -> bytes:
        asked = await client.ask(
            Verb.EMBEDDINGS, orjson.dumps({"model": "a/e", "input": value}), RequestContext("req_1")
        )
        return await asked.stream.read_all(10_000)

    assert await embed(["one", "two"])
    with pytest.raises(ContentFiltered):
        await embed(["one", "the moonbase"])
    with pytest.raises(InvalidRequest) as caught:
        await embed([1, 2, 3])
    assert caught.value.param == "input"


async def test_a_long_text_is_judged_in_parts(place: Place) -> None:
    client = await place.client(guardrail(stages=["input"], action="mask"))
    text = "a" * 32_764 + " moonbase " + "b" * 70_000 + " zürich-plan"
    await answer(client, {"role": "user", "content": text})
    (body,) = place.house.asked["a"]
    assert body["messages"][0]["content"] == text.replace("moonbase", "[KEYWORD]").replace("zürich-plan", "[KEYWORD]")
    assert all(len(check.texts[0]) <= 32_768 for check in place.checker.asked)


async def test_another_policy_is_another_answer(place: Place) -> None:
    client = await place.client()
    context = RequestContext("req_1")
    seen = {client.guardrails("r", context)}
    for row in (
        guardrail("other", models=["else"]),
        guardrail(),
        guardrail(action="mask"),
        Resource(tenant="default", kind="shield", id="words", revision=9, source="api", created=1, body={"a": 1}),
    ):
        client._view.catalog.apply([row])
        seen.add(client.guardrails("r", context))
    assert len(seen) == 4, "a guardrail of other models is none"
    assert "" in seen
