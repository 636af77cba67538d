"""The line to NATS itself: lost, stuck, refused, and what others send over it."""

from __future__ import annotations

import asyncio
import os
import signal

import nats.errors
import pytest
from caravan_bus.nats import NatsOptions, NatsTransport, connect
from caravan_bus.transport import Message

from tests.bus.lines import Line, NatsLine
from tests.infrastructure.embedded import EmbeddedNats

MIB = 1024 * 1024


async def made(server: NatsLine) -> NatsTransport:
    transport = await server.connect()
    assert isinstance(transport, NatsTransport)
    return transport


def pid(server: NatsLine) -> int:
    if not isinstance(server.server, EmbeddedNats) or server.server.process is None:
        pytest.skip("only a child of the tests can be stopped")
    return server.server.process.pid


async def test_losing_the_line_is_told_and_so_is_its_return_to_each(line: Line) -> None:
    transport = await line.connect()
    told: list[str] = []
    transport.on_disconnect(lambda: told.append("gone"))

    def broken() -> None:
        raise RuntimeError("a defect")

    back = asyncio.Event()
    transport.on_disconnect(broken)
    transport.on_disconnect(lambda: told.append("gone, too"))
    transport.on_reconnect(broken)
    transport.on_reconnect(back.set)
    await line.kill()
    async with asyncio.timeout(30):
        while len(told) < 2:
            await asyncio.sleep(0.01)
    assert not transport.connected
    await line.start()
    await asyncio.wait_for(back.wait(), 30)
    assert told == ["gone", "gone, too"]


@pytest.mark.parametrize("closes_after", [0.0, 0.05])
async def test_a_refusal_in_the_middle_is_not_the_end(closes_after: float) -> None:
    """As when a reload took the user away, and the next one gave it back."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        first = connections == 1
        writer.write(b'INFO {"server_id":"x","version":"2.11.0","max_payload":1048576,"headers":true}\r\n')
        pings = 0
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
                pings += 1
            if first and line.startswith(b"SUB"):
                writer.write(b"-ERR 'Authorization Violation'\r\n")
                await writer.drain()
                asyncio.get_running_loop().call_later(closes_after, writer.close)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = await connect(NatsOptions(f"nats://127.0.0.1:{port}", "x"), patience=5)
    back = asyncio.Event()
    transport.on_reconnect(back.set)
    await transport.subscribe("a", lambda _: None)
    await asyncio.wait_for(back.wait(), 30)
    assert transport.connected
    await transport.close()
    server.close()


async def test_what_is_no_nats_is_not_the_end() -> None:
    """As when another program took NATS's port for a while."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(
            b"x" * 100_000 + b"\n"
            if connections == 2
            else b'INFO {"server_id":"x","version":"2.11.0","max_payload":1048576,"headers":true}\r\n'
        )
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            if line.startswith(b"SUB a ") and connections == 1:
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = await connect(NatsOptions(f"nats://127.0.0.1:{port}", "x"), patience=5)
    back = asyncio.Event()
    transport.on_reconnect(back.set)
    await transport.subscribe("a", lambda _: None)
    await asyncio.wait_for(back.wait(), 30)
    assert connections == 3
    await transport.close()
    server.close()


async def test_a_server_that_reads_nothing_holds_nobody_back_at_the_end(server: NatsLine) -> None:
    transport = await made(server)
    os.kill(pid(server), signal.SIGSTOP)
    try:
        for _ in range(16):
            transport.publish("a", bytes(MIB - 100))
        await asyncio.wait_for(transport.close(), 30)
    finally:
        os.kill(pid(server), signal.SIGCONT)


async def test_a_line_that_takes_nothing_any_more_is_left_for_a_new_one(server: NatsLine) -> None:
    transport = await made(server)
    gone, back = asyncio.Event(), asyncio.Event()
    transport.on_disconnect(gone.set)
    transport.on_reconnect(back.set)
    os.kill(pid(server), signal.SIGSTOP)
    try:
        for _ in range(16):
            transport.publish("a", bytes(MIB - 100))
        await asyncio.sleep(0)
        await transport.client._process_op_err(nats.errors.StaleConnectionError())  # as after three pings
        await asyncio.wait_for(gone.wait(), 30)
    finally:
        os.kill(pid(server), signal.SIGCONT)
    await asyncio.wait_for(back.wait(), 30)


async def test_what_was_said_as_the_line_broke_is_not_said_later(server: NatsLine) -> None:
    """Whoever asked has asked somebody else meanwhile."""
    listener, transport = await made(server), await made(server)
    heard: list[bytes] = []
    await listener.subscribe("a", lambda message: heard.append(message.data))
    await listener.flush()
    back = asyncio.Event()
    transport.on_reconnect(back.set)
    transport.publish("a", b"stale")
    await transport.client._process_op_err(nats.errors.StaleConnectionError())
    await asyncio.wait_for(back.wait(), 30)
    transport.publish("a", b"fresh")
    async with asyncio.timeout(30):
        while b"fresh" not in heard:
            await asyncio.sleep(0.01)
    assert heard == [b"fresh"]


async def test_a_member_that_leaves_its_group_takes_what_was_on_its_way_to_it(server: NatsLine) -> None:
    asker = await made(server)
    answers: set[str] = set()
    await asker.subscribe("_INBOX.a.*", lambda message: answers.add(message.subject))
    members = [await made(server) for _ in range(2)]
    asked = 0

    def echo(member: NatsTransport, message: Message) -> None:
        member.publish(message.reply, b"ok")

    leaver, stayer = members
    await stayer.subscribe("ask", lambda message: echo(stayer, message), "group")
    await stayer.flush()
    for _ in range(20):
        subscription = await leaver.subscribe("ask", lambda message: echo(leaver, message), "group")
        await leaver.flush()
        for _ in range(40):
            asker.publish("ask", b"", f"_INBOX.a.{asked}")
            asked += 1
        await asyncio.sleep(0)  # what was asked is written
        await subscription.unsubscribe()
        await asker.flush()
    async with asyncio.timeout(30):
        while len(answers) < asked:
            await asyncio.sleep(0.01)


async def test_what_is_said_at_once_after_connecting_leaves_at_once(line: Line) -> None:
    listener = await line.connect()
    heard = asyncio.Event()
    await listener.subscribe("a", lambda _: heard.set())
    await listener.flush()
    for _ in range(5):
        heard.clear()
        (await line.connect()).publish("a", b"")
        await asyncio.wait_for(heard.wait(), 30)


async def test_after_a_flush_everything_said_before_has_been_heard(line: Line) -> None:
    speaker, listener = await line.connect(), await line.connect()
    heard: list[bytes] = []
    await listener.subscribe("a", lambda message: heard.append(message.data))
    await listener.flush()
    for n in range(50):
        speaker.publish("a", b"%d" % n)
        await speaker.flush()
        await listener.flush()
        assert heard[-1] == b"%d" % n


async def raw(server: NatsLine) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that says what it likes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.server.url.rpartition(":")[2]))
    await reader.readline()
    writer.write(b'CONNECT {"verbose":false}\r\n')
    return reader, writer


@pytest.mark.parametrize("blank", [b"\x0b", b"\x0c"])
async def test_a_subject_with_blanks_in_it_reaches_no_other_subscription(server: NatsLine, blank: bytes) -> None:
    """NATS takes such subjects; a foreign user may fill in a part of its control subject as it likes."""
    transport = await made(server)
    inner: list[Message] = []
    outer: list[Message] = []
    for n in range(1, 5):
        await transport.subscribe(f"inner.{n}", inner.append)
    await transport.subscribe("ctl.*.bob", outer.append)
    await transport.flush()
    _, writer = await raw(server)
    subjects = [b"ctl.x%s%d%s.bob" % (blank, sid, blank) for sid in range(1, 5)]
    for subject in subjects:
        writer.write(b"PUB %s _INBOX.bob.1 2\r\nhi\r\n" % subject)
    await writer.drain()
    async with asyncio.timeout(30):
        while len(outer) < 4:
            await asyncio.sleep(0.01)
    assert not inner
    assert [message.subject.encode() for message in outer] == subjects
    writer.close()


async def test_a_subject_that_is_no_text_is_passed_over(server: NatsLine, caplog: pytest.LogCaptureFixture) -> None:
    transport = await made(server)
    heard: list[Message] = []
    await transport.subscribe("a.*", heard.append)
    await transport.flush()
    _, writer = await raw(server)
    writer.write(b"PUB a.\xff\xfe 2\r\nhi\r\n" * 3 + b"PUB a.b _INBOX.bob.\xff 2\r\nhi\r\nPUB a.c 2\r\nhi\r\n")
    await writer.drain()
    async with asyncio.timeout(30):
        while not heard:
            await asyncio.sleep(0.01)
    assert [message.subject for message in heard] == ["a.c"]
    assert "Traceback" not in caplog.text
    writer.close()
