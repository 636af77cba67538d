"""Responses in the background: queued, made, told of, ended before their time."""

from __future__ import annotations

import time
from typing import Any

import httpx2 as httpx
import openai
import pytest
from openai import OpenAI

from tests.responses.machine import follow
from tests.runs.waiting import ended
from tests.upstream.scripted import ScriptedUpstream

pytestmark = pytest.mark.usefixtures("mesh")


def test_it_is_queued_and_then_made(client: OpenAI) -> None:
    queued = client.responses.create(model="up/plain", input="hello", background=True)
    assert queued.status == "queued" and queued.background and queued.output == []
    made = ended(client, queued.id)
    assert made.status == "completed" and made.output_text and made.id == queued.id
    assert made.created_at == queued.created_at


def test_its_events_can_be_read_while_it_is_made_and_after(gateways: list[httpx.Client]) -> None:
    body = {"model": "up/slow-20", "input": "hello", "background": True, "stream": True, "max_output_tokens": 30}
    whole = gateways[0].post("/v1/responses", json=body).content
    machine = follow(whole)
    assert machine.terminal is not None and machine.terminal["status"] == "completed"
    assert b"event: response.queued\n" in whole
    for gateway in gateways:
        again = gateway.get(f"/v1/responses/{machine.id}", params={"stream": "true"}).content
        assert again == whole
        rest = gateway.get(f"/v1/responses/{machine.id}", params={"stream": "true", "starting_after": "5"}).content
        assert whole.endswith(rest) and b'"sequence_number":6,' in rest.partition(b"\n\n")[0]


def test_a_stream_in_the_foreground_is_kept_as_well(gateways: list[httpx.Client]) -> None:
    whole = gateways[0].post("/v1/responses", json={"model": "up/plain", "input": "hello", "stream": True}).content
    made = follow(whole).id
    assert gateways[1].get(f"/v1/responses/{made}", params={"stream": "true"}).content == whole


def test_it_is_ended_before_its_time(client: OpenAI, upstream: ScriptedUpstream) -> None:
    queued = client.responses.create(model="up/slow-100", input="hello", background=True, max_output_tokens=500)
    while client.responses.retrieve(queued.id).status != "in_progress" or not upstream.asked("slow-100"):
        time.sleep(0.02)
    cancelled = client.responses.cancel(queued.id)
    assert cancelled.status == "cancelled"
    assert client.responses.cancel(queued.id) == cancelled, "again, to the same effect"
    assert client.responses.retrieve(queued.id) == cancelled


def test_only_the_background_is_ended(client: OpenAI, stranger: OpenAI) -> None:
    made = client.responses.create(model="up/plain", input="hello")
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.cancel("resp_" + "0" * 48)
    with pytest.raises(openai.NotFoundError):
        stranger.responses.cancel(made.id)
    with pytest.raises(openai.NotFoundError):
        stranger.responses.retrieve(made.id, stream=True)


def test_what_fails_is_failed(client: OpenAI) -> None:
    queued = client.responses.create(model="up/status-400", input="hello", background=True)
    made = ended(client, queued.id)
    assert made.status == "failed" and made.error is not None and made.error.message


def test_a_conversation_in_the_background(client: OpenAI) -> None:
    conversation = client.conversations.create()
    queued = client.responses.create(model="up/plain", input="hello", background=True, conversation=conversation.id)
    assert ended(client, queued.id).status == "completed"
    assert [item.type for item in client.conversations.items.list(conversation.id)] == ["message", "message"]


@pytest.mark.parametrize(
    ("wrong", "param"),
    [({"store": False}, "background"), ({"previous_response_id": "resp_" + "0" * 48}, "previous_response_id")],
)
def test_what_is_wrong_is_told_at_once(client: OpenAI, wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.responses.create(model="up/plain", input="hello", background=True, **wrong)
    assert refused.value.status_code in (400, 404) and refused.value.param == param
