"""A gateway that ends before an answer does says so in the words of whoever listens."""

from __future__ import annotations

import json

import pytest
from caravan_contracts.errors import CaravanError
from caravan_gateway.asgi import Event
from caravan_gateway.cutting import cut_off
from caravan_gateway.dialects.anthropic.routes import Messages

from tests.dialects.anthropic.making import events


class Client:
    """Takes what an ASGI server would: a beginning once, and nothing behind the end."""

    def __init__(self, begun: bool, complete: bool = False) -> None:
        self.begun, self.complete = begun, complete
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    async def send(self, event: Event) -> None:
        if self.complete or (event["type"] == "http.response.start" and self.begun):
            raise RuntimeError("Unexpected ASGI message")
        if event["type"] == "http.response.start":
            self.begun, self.status, self.headers = True, event["status"], dict(event["headers"])
        else:
            self.body += event["body"]


def in_messages(error: CaravanError) -> bytes:
    return Messages().event(error, None)


async def test_an_answer_that_has_not_begun_is_an_error() -> None:
    client, other = Client(begun=False), Client(begun=False)
    await cut_off(client.send)
    assert (client.status, json.loads(client.body)["error"]["code"]) == (503, "server_shutdown")
    await cut_off(other.send, Messages().error, in_messages)
    told = json.loads(other.body)
    assert (other.status, told["error"]["type"]) == (503, "overloaded_error")
    assert told["request_id"].encode() == other.headers[b"x-request-id"]
    assert other.headers[b"retry-after"] == b"1" and other.headers[b"connection"] == b"close"


async def test_a_stream_ends_with_an_event() -> None:
    client, other = Client(begun=True), Client(begun=True)
    await cut_off(client.send)
    assert json.loads(client.body.removeprefix(b"data: "))["error"]["code"] == "server_shutdown"
    await cut_off(other.send, Messages().error, in_messages)
    [event] = events(other.body)
    assert (event["type"], event["error"]["type"]) == ("error", "overloaded_error")


@pytest.mark.parametrize("dialect", [None, Messages()])
async def test_behind_the_end_nothing_is_said(dialect: Messages | None) -> None:
    client = Client(begun=True, complete=True)
    await (cut_off(client.send) if dialect is None else cut_off(client.send, dialect.error, in_messages))
    assert client.body == b""
