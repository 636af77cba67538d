"""WebSockets of a gateway: how one opens, how long it stays, and what it remembers."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
import uvicorn
from caravan_contracts.errors import NotFound
from caravan_gateway import connection
from caravan_gateway.auth import Authenticator
from caravan_gateway.edge import Edge
from caravan_gateway.settings import Settings
from caravan_gateway.socket import chains, handshake, responses
from caravan_gateway.socket.chains import Chains
from caravan_gateway.socket.reading import Events, PreviousNotFound, envelope
from caravan_gateway.socket.responses import Bounds, ResponsesSocket
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.gateway.test_connection import echo
from tests.waiting import until

PATH = "/v1/responses"
HEAD = (
    b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@asynccontextmanager
async def serving(
    bounds: Bounds, own_pages_only: bool = False, runs: Any = None
) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    """A gateway's HTTP side; nobody is behind it."""
    app = ResponsesSocket(runs, Authenticator(None), Settings(), own_pages_only, bounds)
    listener = sockets.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    edge = Edge({}, echo, 5, sockets={PATH: app})
    config = uvicorn.Config(
        edge,
        http=connection.Connection,
        ws=handshake.make,
        ws_max_size=4096,
        lifespan="off",
        log_config=None,  # type: ignore[arg-type]
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1], server
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait_for(task, 30)


def dial(port: int, **more: Any) -> connect:
    return connect(f"ws://127.0.0.1:{port}{PATH}", proxy=None, **more)


LONG = Bounds(idle=30, lifetime=60, request=5)


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [(Bounds(0.1, 60, 5), "nothing was asked"), (Bounds(30, 0.1, 5), "open another")],
)
async def test_one_that_is_not_used_or_too_old_is_closed(bounds: Bounds, reason: str) -> None:
    async with serving(bounds) as (port, _), dial(port) as client:
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(client.recv(), 30)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1000
    assert reason in caught.value.rcvd.reason


async def test_a_ping_is_answered() -> None:
    async with serving(LONG) as (port, _), dial(port) as client:
        await asyncio.wait_for(await client.ping(), 30)


async def test_a_page_from_elsewhere_may_not_open_one() -> None:
    async with serving(LONG, own_pages_only=True) as (port, _):
        with pytest.raises(InvalidStatus) as caught:
            async with dial(port, origin="https://pages.example"):
                pass
        assert caught.value.response.status_code == 403
        async with dial(port, origin="http://localhost:3000") as client:
            await asyncio.wait_for(await client.ping(), 30)


@pytest.mark.parametrize("cut", [0, 4, 8, 20, 60, 83, 90, 98, len(HEAD) - 2])
async def test_a_head_may_come_in_pieces(cut: int) -> None:
    async with serving(LONG) as (port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if cut:
            writer.write(HEAD[:cut])
            read = server.server_state.connections
            await until(lambda: any(getattr(one, "_head_bytes", 0) == cut for one in read))
        writer.write(HEAD[cut:])
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer and b"x-request-id: req_" in answer


class Endless:
    """Answers whatever is asked without end."""

    def __init__(self) -> None:
        self.finished = asyncio.Event()
        self.summary = None

    async def respond(self, *_: object) -> Endless:
        return self

    @property
    def stream(self) -> Endless:
        return self

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return b'event: x\ndata: {"type":"x","text":"' + b"x" * 100_000 + b'"}\n\n'

    async def finish(self) -> None:
        self.finished.set()


async def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "LAST_SECONDS", 0.2)
    runs = Endless()
    async with serving(Bounds(30, 60, 0.2), runs=runs) as (port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(HEAD)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        text = b'{"type":"response.create","model":"m","input":"x"}'
        writer.write(b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text)  # masked with zeros
        await asyncio.wait_for(runs.finished.wait(), 30)
        await until(lambda: not server.server_state.connections)
        writer.close()


async def test_a_message_over_the_limit_ends_it() -> None:
    async with serving(LONG) as (port, _), dial(port) as client:
        await client.send("x" * 5000)
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(client.recv(), 30)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009


async def test_one_on_which_nothing_is_asked_is_closed_when_the_gateway_leaves() -> None:
    async with serving(LONG) as (port, server), dial(port) as client:
        server.should_exit = True
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(client.recv(), 30)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1012


@pytest.mark.parametrize(
    ("head", "taken"),
    [
        (HEAD, True),
        (HEAD.replace(b"/v1/responses ", b"/v1/responses?a=b "), True),
        (HEAD.replace(b"/v1/responses ", b"/v1/openai/v1/responses "), True),
        (HEAD[:-60], True),
        (HEAD.replace(b"/v1/responses ", b"/v1/responses/x "), False),
        (HEAD.replace(b"GET", b"POST"), False),
        (HEAD.replace(b"WebSocket", b"h2c"), False),
        (HEAD.replace(b"upgrade:", b"x:") + b"\r\nupgrade: websocket\r\n", False),
        (HEAD[:20], True),
        (HEAD[:10], False),
    ],
)
def test_an_offer_is_taken_where_there_is_a_socket(head: bytes, taken: bool) -> None:
    assert handshake.offered(head) is taken


def test_a_chain_is_put_before_what_is_asked() -> None:
    memory = Chains()
    memory.keep("resp_1", {"input": "one"}, [{"type": "message", "id": "msg_1"}])
    sent = memory.joined({"previous_response_id": "resp_1", "input": "two", "store": False})
    assert sent["previous_response_id"] is None
    assert [item.get("content", item.get("id")) for item in sent["input"]] == ["one", "msg_1", "two"]
    memory.keep("resp_2", sent, [])
    assert len(memory.joined({"previous_response_id": "resp_2"})["input"]) == 3
    memory.keep("resp_3", {"previous_response_id": "resp_stored", "input": []}, [])
    assert memory.joined({"previous_response_id": "resp_3"})["previous_response_id"] == "resp_stored"
    asked = {"previous_response_id": "resp_0"}
    assert memory.joined(asked) is asked, "not known here: the server may know it"


def test_what_a_connection_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Chains()
    for number in range(100):
        memory.keep(f"resp_{number}", {"input": "x"}, [])
    assert len(memory) == chains.MAX_KEPT and "resp_99" in memory and "resp_1" not in memory
    monkeypatch.setattr(chains, "MAX_BYTES", 1000)
    memory.keep("resp_large", {"input": "x" * 2000}, [])
    assert len(memory) == 0


@given(st.lists(st.text(min_size=1, max_size=20), max_size=8), st.integers(1, 17))
def test_events_are_found_however_the_bytes_are_cut(texts: list[str], size: int) -> None:
    import orjson

    told = [orjson.dumps({"text": text}) for text in texts]
    whole = b"".join(b"event: a\ndata: " + data + b"\n\n" for data in told)
    events = Events()
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert [event for piece in pieces for event in events.feed(piece)] == told


def test_a_previous_response_that_is_not_there_has_a_code_of_its_own() -> None:
    assert PreviousNotFound.code in envelope(NotFound("there is none", param="previous_response_id"))
    assert PreviousNotFound.code not in envelope(NotFound("there is none", param="model"))
