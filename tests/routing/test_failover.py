"""A route over the bus, with workers that fail in every way: the whole answer, or the error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from caravan_bus.inference import Asked, InferenceClient
from caravan_bus.router import Outbound, RoutedStream, Router
from caravan_contracts.errors import (
    CaravanError,
    ContextLengthExceeded,
    RateLimited,
    UpstreamBroke,
    UpstreamFailed,
    UpstreamRefused,
)
from caravan_contracts.inference import Usage
from caravan_contracts.routes import Limits

from tests.routing import house as h
from tests.routing import sse
from tests.routing.house import ALL, House

Way = Callable[..., Awaitable[tuple[bytes, Asked]]]
both_ways = pytest.mark.parametrize("way", [h.pumped, h.read])


def failed(status: int, **more: Any) -> CaravanError:
    made = UpstreamFailed("it failed", **more)
    made.status = status
    return made


def whole(data: bytes) -> sse.Read:
    got = sse.read(data)
    assert got.text == ALL
    assert len(got.ids) == len(got.created) == got.roles == got.done == 1
    assert got.finishes == ["stop"]
    return got


# --- before the first byte -----------------------------------------------------------------------


@both_ways
async def test_the_first_target_answers(house: House, way: Way) -> None:
    await house.target("a", h.answers())
    await house.target("b", h.answers())
    data, asked = await way(await house.client())
    assert whole(data).models == ["a/m"]
    assert (asked.stream.attempts, asked.stream.target, asked.spec.provider) == (1, "a/m", "a")
    assert not house.asked["b"]


@both_ways
async def test_a_failure_is_tried_again_at_the_same_target(house: House, way: Way) -> None:
    await house.target("a", h.fails(failed(500)), h.answers())
    await house.target("b", h.answers())
    data, asked = await way(await house.client())
    assert whole(data).models == ["a/m"] and asked.stream.attempts == 2


@both_ways
async def test_then_the_next_one_answers(house: House, way: Way) -> None:
    await house.target("a", h.fails(failed(503)))
    await house.target("b", h.answers())
    data, asked = await way(await house.client())
    assert whole(data).models == ["b/m"]
    assert (asked.stream.attempts, asked.stream.target, asked.spec.provider) == (3, "b/m", "b")
    assert asked.stream.summary is not None and asked.stream.summary.usage == Usage(3, 12)


async def test_a_model_without_a_route_is_tried_once_more_and_keeps_its_name(house: House) -> None:
    await house.target("a", h.fails(failed(500)), h.answers())
    data, asked = await h.pumped(await house.client(), model="a/m")
    assert whole(data).models == ["a/m"] and asked.stream.attempts == 2


async def test_what_failed_first_is_told_when_all_failed(house: House) -> None:
    await house.target("a", h.fails(failed(500)))
    await house.target("b", h.fails(failed(503)))
    with pytest.raises(UpstreamFailed, match="it failed") as caught:
        await h.pumped(await house.client())
    assert caught.value.status == 500
    assert (len(house.asked["a"]), len(house.asked["b"])) == (2, 2)


async def test_a_silent_target_is_asked_once(house: House) -> None:
    await house.target("a", h.silent())
    await house.target("b", h.answers())
    client = await house.client(timeouts={"first_token": 0.2})
    began = time.monotonic()
    data, _ = await h.pumped(client)
    assert whole(data).models == ["b/m"] and time.monotonic() - began < 2
    assert len(house.asked["a"]) == 1
    async with asyncio.timeout(30):
        while house.cancelled != ["a"]:
            await asyncio.sleep(0.01)


@both_ways
async def test_a_role_is_not_a_first_token(house: House, way: Way) -> None:
    await house.target("a", h.breaks(0))
    await house.target("b", h.answers())
    data, _ = await way(await house.client(timeouts={"first_token": 0.3}))
    assert whole(data).models == ["a/m", "b/m"]


async def test_a_refusal_is_passed_on(house: House) -> None:
    refused = UpstreamRefused("against the policy", code="content_policy_violation")
    await house.target("a", h.fails(refused))
    await house.target("b", h.answers())
    with pytest.raises(UpstreamRefused, match="against the policy") as caught:
        await h.pumped(await house.client())
    assert caught.value.code == "content_policy_violation"
    assert (len(house.asked["a"]), len(house.asked["b"])) == (1, 0)


async def test_a_long_prompt_goes_to_the_larger_model(house: House) -> None:
    for name in "abc":
        await house.target(name, h.fails(ContextLengthExceeded("too long")) if name == "a" else h.answers())
    targets = [
        {"model": "a/m", "context_length": 10},
        {"model": "b/m", "context_length": 8},
        {"model": "c/m", "context_length": 20},
    ]
    data, asked = await h.pumped(await house.client(targets=targets))
    assert whole(data).models == ["c/m"] and asked.stream.attempts == 2


async def test_a_rate_limit_sends_this_and_the_next_requests_elsewhere(house: House) -> None:
    await house.target("a", h.fails(RateLimited("slow", retry_after=30)))
    await house.target("b", h.answers())
    client = await house.client()
    for _ in range(3):
        data, _ = await h.pumped(client)
        assert whole(data).models == ["b/m"]
    assert len(house.asked["a"]) == 1


async def test_a_short_retry_after_is_waited_for_when_nobody_else_is_there(house: House) -> None:
    await house.target("a", h.fails(RateLimited("slow", retry_after=0.2)), h.answers())
    client = await house.client()
    began = time.monotonic()
    data, _ = await h.pumped(client)
    assert whole(data).models == ["a/m"] and 0.2 <= time.monotonic() - began < 2


async def test_a_long_one_is_passed_on(house: House) -> None:
    await house.target("a", h.fails(RateLimited("slow", retry_after=30)))
    client = await house.client()
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await h.pumped(client)
        assert caught.value.retry_after is not None and 29 < caught.value.retry_after <= 30
    assert len(house.asked["a"]) == 1, "the second time nobody is asked"


async def test_rate_limits_without_a_time_end_soon(house: House) -> None:
    await house.target("a", h.fails(RateLimited("slow")))
    began = time.monotonic()
    with pytest.raises(RateLimited):
        await h.pumped(await house.client())
    assert len(house.asked["a"]) <= 4 and time.monotonic() - began < 3


async def test_an_answer_in_one_piece_is_asked_for_again(house: House) -> None:
    await house.target("a", h.fails(UpstreamBroke("cut")), h.silent())
    await house.target("b", h.answers())
    client = await house.client(timeouts={"first_token": 0.3})
    asked = await h.ask(client, stream=False)
    assert ALL.encode() in await asked.stream.read_all(1000)
    assert asked.stream.target == "b/m"
    await client.finish(asked)


async def test_a_target_without_a_worker_is_passed_over_at_once(house: House) -> None:
    await house.target("b", h.answers())
    client = await house.client(targets=[{"model": "gone/m"}, {"model": "b/m"}])
    rows = list(client._view.catalog.providers())
    client._view.catalog.apply([rows[0].model_copy(update={"id": "gone"})])
    model = client._view.catalog.models()[0]
    client._view.catalog.apply(
        [model.model_copy(update={"id": "gone/m", "body": {**model.body, "provider_id": "gone"}})]
    )
    began = time.monotonic()
    data, _ = await h.pumped(client)
    assert whole(data).models == ["b/m"] and time.monotonic() - began < 0.25


class Strict(Router):
    """Lets nobody through to provider `a`, as a bound of our own would."""

    async def send(self, request: Outbound) -> RoutedStream:
        if request.spec.provider == "a":
            raise RateLimited("this tenant has enough under way", retry_after=30)
        return await super().send(request)


async def test_a_429_of_our_own_sends_on_and_says_nothing_of_the_target(house: House) -> None:
    await house.target("a", h.answers())
    await house.target("b", h.answers())
    free = await house.client()
    router = free._router
    strict = InferenceClient(free._view, Strict(router._transport, router._inbox, router._table), state=house.states[0])
    assert whole((await h.pumped(strict))[0]).models == ["b/m"]
    assert whole((await h.pumped(free))[0]).models == ["a/m"]
    began = time.monotonic()
    with pytest.raises(RateLimited):
        await h.pumped(strict, model="a/m")
    assert time.monotonic() - began < 0.5


# --- after it ------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("after", [0, 1, 5, 12])
async def test_a_cut_stream_goes_on_by_prefill(house: House, way: Way, after: int) -> None:
    await house.target("a", h.breaks(after, UpstreamBroke("cut")))
    await house.target("b", h.goes_on())
    client = await house.client(kinds={"b": "remote::vllm"})
    data, asked = await way(client, stream_options={"include_usage": True})
    got = whole(data)
    assert got.models == ["a/m", "b/m"] and asked.stream.target == "b/m"
    if after:
        assert house.asked["b"][0]["messages"][-1] == {"role": "assistant", "content": "".join(h.TOKENS[:after])}
        assert got.usage == {"prompt_tokens": 3, "completion_tokens": after + 1, "total_tokens": 4 + after}
        assert asked.stream.summary is not None and asked.stream.summary.usage == Usage(3, after + 1)
    assert asked.stream.summary is not None and asked.stream.summary.response_id == "chatcmpl-1"


@both_ways
@pytest.mark.parametrize("after", [0, 1, 5, 12])
async def test_or_by_a_replay(house: House, way: Way, after: int) -> None:
    await house.target("a", h.breaks(after, UpstreamBroke("cut")))
    await house.target("b", h.answers([ALL[:20], ALL[20:]], "chatcmpl-2"))
    data, asked = await way(await house.client(), stream_options={"include_usage": True})
    got = whole(data)
    assert got.models == ["a/m", "b/m"]
    assert got.usage == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert asked.stream.summary is not None and asked.stream.summary.usage == Usage(3, 2)


@both_ways
async def test_a_target_that_refuses_prefill_begins_anew(house: House, way: Way) -> None:
    await house.target("a", h.breaks(5, UpstreamBroke("cut")))
    await house.target("b", h.fails(UpstreamRefused("no prefill here")), h.answers(id="chatcmpl-2"))
    data, _ = await way(await house.client(kinds={"b": "remote::vllm"}))
    assert whole(data).models == ["a/m", "b/m"]
    assert [len(body["messages"]) for body in house.asked["b"]] == [2, 1]


@both_ways
async def test_another_answer_is_never_shown(house: House, way: Way) -> None:
    await house.target("a", h.breaks(5, UpstreamBroke("the first one broke")))
    await house.target("b", h.answers(["word0 ", "something ", "else"]))
    with pytest.raises(UpstreamBroke, match="the first one broke") as caught:
        await way(await house.client())
    got = sse.read(caught.value.so_far)  # type: ignore[attr-defined]
    assert got.text == "".join(h.TOKENS[:5]) and not got.done and not got.finishes


@both_ways
async def test_a_stalled_stream_goes_on(house: House, way: Way) -> None:
    await house.target("a", h.breaks(5))
    await house.target("b", h.answers(id="chatcmpl-2"))
    began = time.monotonic()
    data, _ = await way(await house.client(timeouts={"between_tokens": 0.2}))
    assert whole(data).models == ["a/m", "b/m"] and time.monotonic() - began < 2
    assert house.cancelled[:1] == ["a"]


async def test_a_client_that_is_slow_is_no_stall(house: House) -> None:
    class Slow(h.Pail):
        def take(self, data: bytes) -> bool:
            super().take(data)
            return False

        async def room(self) -> None:
            await asyncio.sleep(0.04)

    await house.target("a", h.answers(pause=0.005))
    client = await house.client(timeouts={"between_tokens": 0.1})
    asked, pail = await h.ask(client), Slow()
    pail.take(await asked.stream.read())
    pail.take(await asked.stream.pump(pail))
    assert whole(pail.data).models == ["a/m"] and len(house.asked["a"]) == 1


@both_ways
async def test_two_breaks_in_one_stream(house: House, way: Way) -> None:
    await house.target("a", h.breaks(3, UpstreamBroke("cut")))
    await house.target("b", h.breaks(7, UpstreamBroke("cut"), id="chatcmpl-2"))
    await house.target("c", h.answers(id="chatcmpl-3"))
    data, _ = await way(await house.client())
    assert whole(data).models == ["a/m", "b/m", "c/m"]


async def test_a_stream_that_had_said_all_ends_well(house: House) -> None:
    async def no_end(inbound: Any, sender: Any) -> None:
        for event in sse.chat(h.TOKENS, model="a/m"):
            sender.write(event)
        await asyncio.sleep(0)
        raise UpstreamBroke("gone before its end")

    await house.target("a", no_end)
    await house.target("b", h.answers(["else"]))
    data, asked = await h.pumped(await house.client())
    assert whole(data).models == ["a/m"] and not house.asked["b"]
    assert asked.stream.summary is not None and asked.stream.summary.finish_reason == "stop"


async def test_a_lost_worker_is_replaced_by_another_of_the_same_target(house: House) -> None:
    async def stuck(inbound: Any, sender: Any) -> None:
        for event in sse.chat(h.TOKENS[:4], model="a/m", finish=None):
            sender.write(event)
        await asyncio.Event().wait()

    await house.target("a", stuck, h.answers(id="chatcmpl-2"))
    await house.target("a", stuck, h.answers(id="chatcmpl-2"), worker="w-other")
    await house.target("b", h.answers(["else"]))
    client = await house.client()
    asked, pail = await h.ask(client), h.Pail()
    pail.take(await asked.stream.read())
    running = asyncio.create_task(asked.stream.pump(pail))
    await asyncio.sleep(0.05)
    client._router._inbox.lose_worker(asked.stream.worker)
    # the answer to that request came from one script list per provider: the second one is the whole answer
    pail.take(await asyncio.wait_for(running, 30))
    assert whole(pail.data).models == ["a/m"]


async def test_nothing_goes_on_after_the_deadline(house: House) -> None:
    await house.target("a", h.breaks(5))
    await house.target("b", h.answers())
    began = time.monotonic()
    with pytest.raises(CaravanError) as caught:
        await h.pumped(await house.client(), timeout=0.5)
    assert caught.value.status == 504 and time.monotonic() - began < 2
    assert not house.asked["b"]


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_client_that_leaves_frees_its_worker(house: House, phase: str) -> None:
    await house.target("a", h.silent() if phase == "before" else h.breaks(3))
    client = await house.client(targets=[{"model": "a/m", "limits": {"max_concurrent": 1}}])
    reading = asyncio.create_task(h.pumped(client))
    async with asyncio.timeout(30):
        while not house.asked["a"]:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with asyncio.timeout(30):
        while house.cancelled != ["a"]:
            await asyncio.sleep(0.01)
    assert not client._state.loads.full("default/a/m", Limits(max_concurrent=1))


# --- many requests -------------------------------------------------------------------------------


async def test_a_broken_target_is_left_alone_and_asked_again_when_it_is_back(house: House) -> None:
    broken = [h.fails(failed(503))] * 3
    await house.target("a", *broken, h.answers())
    await house.target("b", h.answers())
    client = await house.client(
        breaker={"failures": 3, "open_seconds": 0.3}, retry={"same_target": 0}, timeouts={"first_token": 5}
    )
    for _ in range(6):
        data, _ = await h.pumped(client)
        assert whole(data).models == ["b/m"]
    assert len(house.asked["a"]) == 3
    async with asyncio.timeout(30):
        while whole((await h.pumped(client))[0]).models != ["a/m"]:
            await asyncio.sleep(0.02)
    assert len(house.asked["a"]) == 4
    assert whole((await h.pumped(client))[0]).models == ["a/m"]


async def test_replicas_agree_within_a_moment(house: House) -> None:
    await house.target("a", h.fails(failed(503)))
    await house.target("b", h.answers())
    route: dict[str, Any] = {"breaker": {"failures": 2}, "retry": {"same_target": 0}}
    one = await house.client(shared=True, **route)
    two = await house.client(shared=True, **route)
    for _ in range(2):
        await h.pumped(one)
    await asyncio.sleep(0.05)
    data, _ = await h.pumped(two)
    assert whole(data).models == ["b/m"] and len(house.asked["a"]) == 2


async def test_a_full_target_is_left_out_also_when_another_process_filled_it(house: House) -> None:
    await house.target("a", h.breaks(1), h.answers())
    await house.target("b", h.answers())
    targets = [{"model": "a/m", "limits": {"max_concurrent": 1}}, {"model": "b/m"}]
    one = await house.client(shared=True, targets=targets)
    two = await house.client(shared=True, targets=targets)
    held = await h.ask(one)
    await held.stream.read()
    assert whole((await h.pumped(one))[0]).models == ["b/m"]
    await asyncio.sleep(0.2)
    assert whole((await h.pumped(two))[0]).models == ["b/m"]
    await one.finish(held)
    await asyncio.sleep(0.2)
    assert whole((await h.pumped(two))[0]).models == ["a/m"]


async def test_when_all_are_full_the_client_is_told_when_to_come_back(house: House) -> None:
    await house.target("a", h.answers())
    client = await house.client(targets=[{"model": "a/m", "limits": {"requests_per_minute": 1}}])
    await h.pumped(client)
    with pytest.raises(RateLimited) as caught:
        await h.pumped(client)
    assert caught.value.retry_after is not None and 1 <= caught.value.retry_after <= 60


async def test_an_outage_is_not_met_with_more_traffic(house: House) -> None:
    await house.target("a", h.fails(failed(500)))

    async def one(client: InferenceClient) -> None:
        with pytest.raises(CaravanError):
            await h.pumped(client)

    client = await house.client(breaker={"failures": 1000})
    for _ in range(60):
        await one(client)
    assert 60 + 10 <= len(house.asked["a"]) <= 60 + 14


async def test_every_target_open_is_better_asked_than_not(house: House) -> None:
    await house.target("a", h.fails(failed(500)), h.answers())
    client = await house.client(breaker={"failures": 1}, retry={"same_target": 0})
    with pytest.raises(UpstreamFailed):
        await h.pumped(client)
    assert whole((await h.pumped(client))[0]).models == ["a/m"]
