"""Responses as a program with a bare NATS client has them: plain messages, no headers needed."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from tests.client.plain import Plain, Refused, text
from tests.client.test_responses import words
from tests.upstream.scripted import ScriptedUpstream
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def user(plain_users: dict[str, Plain]) -> Plain:
    return plain_users["plain"]


async def test_a_response_is_one_body_or_events(user: Plain) -> None:
    asked = {"model": "up/plain", "input": "x", "max_output_tokens": 16}
    made = await user.whole("respond", asked)
    assert made["status"] == "completed" and made["output"][0]["content"][0]["text"] == words(16)
    events = await user.events("respond", {**asked, "stream": True})
    assert text(events) == words(16)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"


async def test_one_in_the_background_is_followed_from_any_number_on(user: Plain) -> None:
    asked = {"model": "up/slow-20", "input": "x", "max_output_tokens": 30, "background": True}
    queued = await user.whole("respond", asked)
    events = await user.events("follow", {"id": queued["id"]})
    assert text(events) == words(30)
    assert await user.events("follow", {"id": queued["id"], "first": 7}) == events[7:]
    made = await user.whole("recall", {"operation": "get", "id": queued["id"]})
    assert made["status"] == "completed"
    given = await user.whole("recall", {"operation": "input_items", "id": queued["id"]})
    assert given["data"][0]["content"][0]["text"] == "x"
    assert queued["id"] in [row["id"] for row in (await user.whole("recall", {"operation": "list"}))["data"]]
    assert (await user.whole("recall", {"operation": "delete", "id": queued["id"]}))["deleted"] is True


async def test_a_response_that_was_named_is_gone_on_with(user: Plain) -> None:
    """As after the death of the worker that relayed it."""
    asked = {"model": "up/slow-20", "input": "x", "max_output_tokens": 30, "stream": True}
    name = f"resp_{secrets.token_hex(24)}"
    events = await user.events("respond", asked, {"Caravan-Response": name})
    assert events[0]["response"]["id"] == name
    assert await user.events("respond", asked, {"Caravan-Response": name, "Caravan-After": "12"}) == events[12:]


@pytest.mark.parametrize(
    ("verb", "body", "headers", "status"),
    [
        ("respond", {"model": "up", "input": "x"}, {}, 404),
        ("respond", [], {}, 400),
        ("respond", {"model": "up/plain", "input": "x"}, {"Caravan-Principal": "{}"}, 403),
        ("respond", {"model": "up/plain", "input": "x"}, {"Caravan-Response": "r", "Caravan-After": "x"}, 400),
        ("respond", {"model": "up/plain", "input": "x"}, {"Caravan-Response": "a b"}, 404),
        ("recall", {"operation": "get", "id": "resp_" + "0" * 48}, {}, 404),
        ("recall", {"operation": "steal"}, {}, 400),
        ("follow", {"id": "resp_" + "0" * 48}, {}, 404),
        ("follow", {"first": -1}, {}, 400),
    ],
)
async def test_errors_have_a_status(user: Plain, verb: str, body: Any, headers: dict[str, str], status: int) -> None:
    with pytest.raises(Refused) as told:
        await user.whole(verb, body, headers or None)
    assert told.value.status == status, told.value.error
    assert told.value.error["message"]


async def test_another_tenant_is_told_nothing_and_cannot_ask_as_somebody_else(plain_users: dict[str, Plain]) -> None:
    mine, outsider = plain_users["plain"], plain_users["outsider"]
    asked = {"model": "up/plain", "input": "secret", "max_output_tokens": 16}
    made = await mine.whole("respond", asked)
    for verb, body in (
        ("recall", {"operation": "get", "id": made["id"]}),
        ("recall", {"operation": "delete", "id": made["id"]}),
        ("follow", {"id": made["id"]}),
    ):
        with pytest.raises(Refused) as told:
            await outsider.whole(verb, body)
        assert told.value.status == 404
    again = {"Caravan-Response": made["id"], "Caravan-After": "0"}
    other = await outsider.whole("respond", {**asked, "input": "mine"}, again)
    assert other["id"] == made["id"], "its own of that name: names are a tenant's"
    given = await outsider.whole("recall", {"operation": "input_items", "id": made["id"]})
    assert given["data"][0]["content"][0]["text"] == "mine"
    posing = Plain(outsider.client, "plain", "default")
    asking = asyncio.create_task(posing.whole("recall", {"operation": "get", "id": made["id"]}))
    await asyncio.wait({asking}, timeout=1)
    assert not asking.done(), "the server lets it publish on no such subject"
    asking.cancel()


async def test_whoever_stops_listening_ends_it(user: Plain, upstream: ScriptedUpstream) -> None:
    asked = {"model": "up/slow-100", "input": "x", "max_output_tokens": 300, "stream": True}
    async for piece in user.ask("respond", asked):
        if b"output_text.delta" in piece:
            break
    await until(lambda: upstream.open == 0, 5)
