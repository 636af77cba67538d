"""Responses over a WebSocket through a running mesh: with the official SDK, and with a plain client."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from openai import OpenAI
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA, BOB
from tests.responses.machine import Machine
from tests.upstream.scripted import ScriptedUpstream

pytestmark = pytest.mark.usefixtures("mesh")
ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
WEATHER: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}


def opened(mesh: RunningMesh, key: str = ADA, path: str = "/v1/responses", **more: Any) -> ClientConnection:
    url = mesh.url.replace("http", "ws", 1) + path
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return connect(url, additional_headers=headers, proxy=None, open_timeout=10, **more)


@pytest.fixture
def socket(mesh: RunningMesh) -> Iterator[ClientConnection]:
    with opened(mesh) as made:
        yield made


def events(socket: ClientConnection) -> list[dict[str, Any]]:
    """Those of one response."""
    made: list[dict[str, Any]] = []
    while not made or made[-1]["type"] not in ENDS:
        made.append(json.loads(socket.recv(timeout=20)))
    return made


def create(socket: ClientConnection, input: Any, model: str = "up/plain", **fields: Any) -> dict[str, Any]:
    """The last event of the answer."""
    socket.send(json.dumps({"type": "response.create", "model": model, "input": input, **fields}))
    return events(socket)[-1]


def said(upstream: ScriptedUpstream) -> list[tuple[str, Any]]:
    return [(message["role"], message.get("content")) for message in upstream.requests[-1].body["messages"]]


def test_the_official_sdk_asks_twice_on_one_connection(client: OpenAI, upstream: ScriptedUpstream) -> None:
    with client.responses.connect() as connection:
        connection.response.create(model="up/plain", input="one", store=False)
        first: Any = None
        pieces = []
        for event in connection:
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
            if event.type == "response.completed":
                first = event.response
                break
        assert first.output_text == "".join(pieces) == "w0 w1 w2 w3 "
        connection.response.create(model="up/plain", input="two", previous_response_id=first.id)
        second: Any = next(event for event in connection if event.type == "response.completed")
        assert second.response.previous_response_id == first.id
    assert said(upstream) == [("user", "one"), ("assistant", "w0 w1 w2 w3 "), ("user", "two")]


def test_the_events_are_those_of_a_stream(socket: ClientConnection, http: httpx.Client) -> None:
    socket.send(json.dumps({"type": "response.create", "model": "up/plain", "input": "hello"}))
    machine = Machine()
    for event in events(socket):
        machine.take(f"event: {event['type']}\ndata: {json.dumps(event)}".encode())
    assert machine.terminal is not None and machine.terminal["status"] == "completed"
    assert http.get(f"/v1/responses/{machine.id}").json() == machine.terminal, "it is stored as always"


def test_an_agent_uses_its_tools_in_a_chain_that_is_not_stored(
    socket: ClientConnection, http: httpx.Client, upstream: ScriptedUpstream
) -> None:
    first = create(socket, 'weather {"city":"Paris"}', "up/agent", tools=[WEATHER], store=False)["response"]
    call = first["output"][-1]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    chain = {"tools": [WEATHER], "store": False}
    second = create(socket, [result], "up/agent", previous_response_id=first["id"], **chain)["response"]
    assert second["output"][-1]["content"][0]["text"] == "told: sunny"
    assert second["previous_response_id"] == first["id"]
    fork = create(socket, "say again", "up/agent", previous_response_id=second["id"], **chain)["response"]
    assert [role for role, _ in said(upstream)] == ["user", "assistant", "tool", "assistant", "user"]
    for made in (first, second, fork):
        assert http.get(f"/v1/responses/{made['id']}").status_code == 404


def test_a_chain_goes_on_from_what_is_stored_and_on_another_connection_only_that(
    mesh: RunningMesh, socket: ClientConnection, client: OpenAI, upstream: ScriptedUpstream
) -> None:
    stored = client.responses.create(model="up/plain", input="one").id
    here = create(socket, "two", previous_response_id=stored, store=False)["response"]["id"]
    assert create(socket, "three", previous_response_id=here)["response"]["previous_response_id"] == here
    assert [text for role, text in said(upstream) if role == "user"] == ["one", "two", "three"]
    with opened(mesh) as other:
        error = create(other, "x", previous_response_id=here)
        assert (error["type"], error["status"], error["error"]["code"]) == ("error", 400, "previous_response_not_found")
        assert error["error"].keys() == {"message", "type", "param", "code"}
        assert create(other, "x", previous_response_id=stored)["type"] == "response.completed"
    with opened(mesh, BOB) as stranger:
        assert create(stranger, "x", previous_response_id=stored)["error"]["code"] == "previous_response_not_found"


def test_what_is_told_beforehand_is_the_beginning_of_what_is_asked(
    socket: ClientConnection, http: httpx.Client, upstream: ScriptedUpstream
) -> None:
    asked = len(upstream.requests)
    body = {"type": "response.create", "model": "up/plain", "input": "the rules", "tools": [WEATHER], "generate": False}
    socket.send(json.dumps(body))
    machine = Machine()
    for event in events(socket):
        machine.take(f"event: {event['type']}\ndata: {json.dumps(event)}".encode())
    assert machine.terminal is not None and machine.terminal["output"] == [] and machine.terminal["tools"] == [WEATHER]
    assert len(upstream.requests) == asked
    assert http.get(f"/v1/responses/{machine.id}").status_code == 404
    made = create(socket, "the question", previous_response_id=machine.id)["response"]
    assert made["previous_response_id"] == machine.id
    assert said(upstream) == [("user", "the rules"), ("user", "the question")]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("{", None),
        ("[]", None),
        ('{"model":"up/plain","input":"x"}', "type"),
        ('{"type":"response.steer","input":"x"}', "type"),
        ('{"type":"response.create","model":"up/plain","input":"x","background":true}', "background"),
        ('{"type":"response.create","model":"up/plain","input":"x","stream_id":"a"}', "stream_id"),
        ('{"type":"response.create","model":"up/plain","input":"x","temperature":9}', "temperature"),
        ('{"type":"response.create","model":"up/plain","input":"x","previous_response_id":7}', "previous_response_id"),
        ('{"type":"response.create","model":"nobody/nothing","input":"x"}', "model"),
    ],
)
def test_an_error_names_what_is_wrong_and_the_connection_stays(
    socket: ClientConnection, message: str, param: str | None
) -> None:
    socket.send(message)
    error = events(socket)[-1]
    assert error["type"] == "error" and error["status"] in (400, 404)
    assert error["error"]["param"] == param and error["error"]["message"] and error["error"]["code"]
    assert create(socket, "still here?")["type"] == "response.completed"


def test_requests_that_come_at_once_are_answered_in_turn(socket: ClientConnection) -> None:
    for number in range(5):
        body = {"type": "response.create", "model": "up/slow-20", "input": f"{number}", "metadata": {"n": f"{number}"}}
        socket.send(json.dumps(body))
    answers = [events(socket) for _ in range(5)]
    assert [told[-1]["response"]["metadata"]["n"] for told in answers] == [f"{number}" for number in range(5)]
    assert all(told[0]["type"] == "response.created" for told in answers)


def test_who_may_not_ask_may_not_open_one(mesh: RunningMesh) -> None:
    for key in ("", "wrong"):
        with pytest.raises(InvalidStatus) as caught, opened(mesh, key):
            pass
        answer = caught.value.response
        assert answer.status_code == 401 and answer.headers["x-request-id"].startswith("req_")
        assert json.loads(answer.body or b"")["error"]["code"]


def test_elsewhere_there_is_none(mesh: RunningMesh, http: httpx.Client) -> None:
    for path in ("/v1/chat/completions", "/v1/responses/x", "/"):
        with pytest.raises(InvalidStatus), opened(mesh, path=path):
            pass
    with opened(mesh, path="/v1/openai/v1/responses") as older:
        assert create(older, "hi")["type"] == "response.completed"
    offered = {"Upgrade": "h2c", "Connection": "Upgrade"}
    assert http.get("/v1/responses", headers=offered).json()["object"] == "list", "an offer that is passed over"


def test_a_message_may_be_as_large_as_a_body_and_no_larger(mesh: RunningMesh) -> None:
    def send(size: int) -> dict[str, Any]:
        with opened(mesh, max_size=None) as socket:
            return create(socket, "x" * size)

    assert send(1_000_000)["type"] == "response.completed"
    with pytest.raises(ConnectionClosed):
        send(33 * 1024 * 1024)


def test_a_client_that_leaves_stops_its_model(mesh: RunningMesh, upstream: ScriptedUpstream) -> None:
    socket = opened(mesh)
    body = {"type": "response.create", "model": "up/slow-200", "input": "x", "max_output_tokens": 100}
    socket.send(json.dumps(body))
    while json.loads(socket.recv(timeout=20))["type"] != "response.output_text.delta":
        pass
    asked = upstream.asked("slow-200")[-1]
    assert asked.open
    socket.close()
    mesh.until(lambda: not asked.open)
    assert asked.left


@pytest.mark.long
def test_a_worker_that_dies_leaves_no_false_end_and_the_connection_stays(mesh: RunningMesh) -> None:
    with opened(mesh) as socket:
        body = {"type": "response.create", "model": "up/slow-50", "input": "x", "max_output_tokens": 200}
        socket.send(json.dumps(body))
        while json.loads(socket.recv(timeout=20))["type"] != "response.output_text.delta":
            pass
        mesh.until(lambda: max(mesh.slots_used("agents").values()) > 0)
        mesh.kill9(mesh.busiest("agents"))
        last = events(socket)[-1]
        if last["type"] == "error":
            assert last["status"] >= 500 and last["error"]["code"]
        else:
            assert last["response"]["output"][0]["content"][0]["text"].endswith("w199 ")
        assert create(socket, "and now?")["type"] == "response.completed"
    mesh.until(mesh.all_ready)


@pytest.mark.long
def test_a_gateway_that_leaves_finishes_the_answer_first(mesh: RunningMesh) -> None:
    with opened(mesh) as busy, opened(mesh) as idle:
        body = {"type": "response.create", "model": "up/slow-50", "input": "x", "max_output_tokens": 60}
        busy.send(json.dumps(body))
        while json.loads(busy.recv(timeout=20))["type"] != "response.output_text.delta":
            pass
        for name in ("gateway-1", "gateway-2"):
            os.kill(mesh.pid(name), signal.SIGTERM)
        began = time.monotonic()
        with pytest.raises(ConnectionClosed) as caught:
            idle.recv(timeout=10)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1012
        assert time.monotonic() - began < 2.5
        assert events(busy)[-1]["type"] == "response.completed"
        with pytest.raises(ConnectionClosed) as caught:
            busy.recv(timeout=10)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1012
    mesh.until(mesh.all_ready)
