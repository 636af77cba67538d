"""The contract of a transport: the in-memory twin and NATS must agree on every line of it."""

from __future__ import annotations

import asyncio

import pytest
from caravan_bus.transport import Message, decode_headers, encode_headers
from hypothesis import given
from hypothesis import strategies as st

from tests.bus.lines import Line


async def test_a_message_reaches_every_subscriber_in_order(line: Line) -> None:
    one, two = await line.connect(), await line.connect()
    heard: dict[str, list[bytes]] = {"a": [], "b": []}
    done = asyncio.Event()

    def hear(name: str, message: Message) -> None:
        heard[name].append(message.data)
        if len(heard["a"]) == 100 and len(heard["b"]) == 100:
            done.set()

    await two.subscribe("t.*", lambda m: hear("a", m))
    await two.subscribe("t.>", lambda m: hear("b", m))
    await two.flush()
    for i in range(100):
        one.publish("t.x", str(i).encode())
    await asyncio.wait_for(done.wait(), 30)
    assert heard["a"] == heard["b"] == [str(i).encode() for i in range(100)]


async def test_a_queue_group_hears_each_message_once(line: Line) -> None:
    sender, left, right = await line.connect(), await line.connect(), await line.connect()
    heard: list[int] = []
    done = asyncio.Event()

    def hear(message: Message) -> None:
        heard.append(int(message.data))
        if len(heard) == 50:
            done.set()

    for member in (left, right):
        await member.subscribe("work", hear, "workers")
        await member.flush()
    for i in range(50):
        sender.publish("work", str(i).encode())
    await asyncio.wait_for(done.wait(), 30)
    assert sorted(heard) == list(range(50))


async def test_a_request_nobody_serves_is_answered_at_once(line: Line) -> None:
    transport = await line.connect()
    answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    await transport.subscribe("_INBOX.tester.x.*", answer.set_result)
    await transport.flush()
    transport.publish("nobody.home", b"{}", "_INBOX.tester.x.1", encode_headers({"A": "b"}))
    message = await asyncio.wait_for(answer, 30)
    assert message.no_responders
    assert message.headers["Status"] == "503"


async def test_headers_and_reply_travel(line: Line) -> None:
    transport = await line.connect()
    got: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    await transport.subscribe("h", got.set_result)
    await transport.flush()
    transport.publish("h", b"body", "back.here", encode_headers({"Caravan-Call": '["a","b/c"]', "traceparent": "00-x"}))
    message = await asyncio.wait_for(got, 30)
    assert (message.data, message.reply) == (b"body", "back.here")
    assert dict(message.headers) == {"Caravan-Call": '["a","b/c"]', "traceparent": "00-x"}


async def test_too_large_a_message_is_refused_where_it_is_sent(line: Line) -> None:
    transport = await line.connect()
    with pytest.raises(ValueError, match="limit"):
        transport.publish("big", b"x" * (transport.max_payload + 1))


async def test_after_a_restart_of_the_server_subscriptions_work_again(line: Line) -> None:
    transport = await line.connect()
    back = asyncio.Event()
    transport.on_reconnect(back.set)
    got: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    await transport.subscribe("s", lambda m: got.done() or got.set_result(m))
    await transport.flush()
    await line.kill()
    while transport.connected:
        await asyncio.sleep(0.01)
    transport.publish("s", b"lost: the line is down")
    await line.start()
    assert await transport.wait_connected(10)
    await asyncio.wait_for(back.wait(), 30)
    transport.publish("s", b"heard")
    assert (await asyncio.wait_for(got, 30)).data == b"heard"


async def test_unsubscribed_means_silence(line: Line) -> None:
    transport = await line.connect()
    heard: list[bytes] = []
    subscription = await transport.subscribe("s", lambda m: heard.append(m.data))
    await transport.flush()
    await subscription.unsubscribe()
    await transport.flush()
    transport.publish("s", b"x")
    await transport.flush()
    assert heard == []


_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=20)


@given(st.dictionaries(_TEXT, _TEXT, max_size=5))
def test_headers_survive_the_wire(headers: dict[str, str]) -> None:
    assert decode_headers(encode_headers(headers)) == headers


def test_a_header_cannot_be_forged_by_a_line_break() -> None:
    with pytest.raises(ValueError, match="line break"):
        encode_headers({"A": "x\r\nCaravan-Principal: admin"})
