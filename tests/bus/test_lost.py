"""Workers, callers and lines that are lost, or only seem to be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from caravan_bus import presence as presence_module
from caravan_bus.nats import NatsTransport
from caravan_bus.presence import PresenceBeacon
from caravan_bus.router import RoutingOptions
from caravan_bus.slots import Slots
from caravan_bus.stream import inbox as inbox_module
from caravan_bus.stream import lingering as lingering_module
from caravan_bus.stream import server as server_module
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound, StreamServer
from caravan_bus.transport import Transport
from caravan_contracts import frames, subjects
from caravan_contracts.errors import CaravanError, InvalidRequest, Overloaded
from caravan_contracts.inference import Summary

from tests.bus.lines import NatsLine
from tests.bus.party import Party, request


async def forever(inbound: Inbound, sender: StreamSender) -> None:
    sender.write(b"first")
    await asyncio.Event().wait()


async def idle(server: StreamServer) -> None:
    async with asyncio.timeout(30):
        while server.active:
            await asyncio.sleep(0.01)


def slow_to_return(transport: Transport, seconds: float) -> None:
    """The next time its line breaks."""
    assert isinstance(transport, NatsTransport)
    client: Any = transport.client
    client._reconnect_to_server_handler = lambda servers, info: (servers[0], seconds)


async def test_a_cancel_that_was_lost_is_said_again(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PROBE_SECONDS", 0.1)
    monkeypatch.setattr(server_module, "_SWEEP", 0.05)
    _, server = await party.worker("w1", forever)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request(600))
    assert await stream.read() == b"first"
    back = asyncio.Event()
    caller.control.on_reconnect(back.set)
    await party.line.kill()
    stream.cancel()
    await party.line.start()
    await asyncio.wait_for(back.wait(), 30)
    await idle(server)


async def test_a_worker_that_leaves_costs_no_stream_its_end(party: Party) -> None:
    """That it left is heard on one line, the end of its last stream on the other."""
    go = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"first")
        await go.wait()
        sender.write(b"second")
        sender.end(Summary(), b"last")

    transport, server = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"first"
    if isinstance(caller.tokens, NatsTransport):
        line: Any = caller.tokens.client._line  # type: ignore[attr-defined]
        line.pause_reading()
        asyncio.get_running_loop().call_later(0.3, line.resume_reading)
    go.set()
    await asyncio.wait_for(server.drain(5), 30)
    await transport.flush()
    caller.table.gone("w1")
    async with asyncio.timeout(30):
        assert await stream.read_all(100) == b"secondlast"
    assert stream.summary is not None


@pytest.mark.parametrize("returns", ["before the end", "after the end"])
async def test_a_worker_that_leaves_while_the_line_is_gone_costs_no_stream_its_end(party: Party, returns: str) -> None:
    go = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"first")
        await go.wait()
        sender.end(Summary(), b"last")

    transport, server = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"first"
    draining = asyncio.create_task(server.drain(10))
    gone, back = asyncio.Event(), asyncio.Event()
    transport.on_disconnect(gone.set)
    transport.on_reconnect(back.set)
    await party.line.kill()
    await asyncio.wait_for(gone.wait(), 30)
    if returns == "after the end":
        go.set()
        await idle(server)
        await party.line.start()
    else:
        await party.line.start()
        await asyncio.wait_for(back.wait(), 30)
        go.set()
    async with asyncio.timeout(30):
        assert await stream.read() == b"last"
        await draining
    assert stream.summary is not None


async def test_who_returns_before_its_workers_takes_none_of_them_for_dead(party: Party) -> None:
    if not isinstance(party.line, NatsLine):
        pytest.skip("in memory all come back at once")
    go = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"first")
        await go.wait()
        sender.end(Summary(), b"last")

    transport, _ = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"first"
    slow_to_return(transport, 1.0)
    back = asyncio.Event()
    caller.control.on_reconnect(back.set)
    await party.line.kill()
    await party.line.start()
    await asyncio.wait_for(back.wait(), 30)
    assert not transport.connected
    another = asyncio.create_task(caller.router.send(request()))  # finds nobody at the worker, for now
    go.set()
    async with asyncio.timeout(30):
        assert await stream.read() == b"last"
        assert await (await another).read_all(100) == b"firstlast"


async def test_a_worker_whose_line_alone_broke_keeps_its_streams(party: Party) -> None:
    if not isinstance(party.line, NatsLine):
        pytest.skip("in memory all lines break at once")
    go = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"first")
        await go.wait()
        sender.end(Summary(), b"last")

    transport, _ = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"first"
    assert isinstance(transport, NatsTransport)
    gone = asyncio.Event()
    transport.on_disconnect(gone.set)
    await transport.client.force_reconnect()
    await asyncio.wait_for(gone.wait(), 30)
    another = asyncio.create_task(caller.router.send(request()))
    go.set()
    async with asyncio.timeout(30):
        assert await stream.read() == b"last"
        (await another).cancel()


async def test_of_a_worker_that_only_fell_silent_begun_streams_are_kept(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_module, "GONE_AFTER_SECONDS", 0.3)
    go = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        if inbound.message.data == b"silent":
            await asyncio.Event().wait()
        sender.write(b"first")
        await go.wait()
        sender.end(Summary(), b"last")

    _, server = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    begun = await caller.router.send(request())
    assert await begun.read() == b"first"
    silent = asyncio.create_task((await caller.router.send(request(body=b"silent"))).read())
    # w1 beats once a second: for a while it is silent for longer than is borne here
    async with asyncio.timeout(30):
        while server.active > 1:
            await asyncio.sleep(0.01)
    monkeypatch.undo()
    go.set()
    assert await begun.read() == b"last"
    silent.cancel()


async def test_a_worker_started_again_under_its_name_is_heard_at_once(party: Party) -> None:
    caller = await party.caller()
    first = PresenceBeacon(await party.line.connect(), "inference", "w1", Slots())
    second = PresenceBeacon(await party.line.connect(), "inference", "w1", Slots())
    for _ in range(3):
        first._slots.offer("old", 1)
        first.say()
    async with asyncio.timeout(30):
        while not caller.table.workers("old"):
            await asyncio.sleep(0.01)
    second._slots.offer("new", 1)
    second._seq += 10  # it took a hundredth of a second to start
    second.say()
    async with asyncio.timeout(30):
        while not caller.table.workers("new"):
            await asyncio.sleep(0.01)
    assert not caller.table.workers("old")
    first._state = presence_module.WorkerState.GONE
    first.say()  # late
    first._transport.publish(subjects.PRESENCE_WANTED, b"{}")
    await first._transport.flush()
    await caller.control.flush()
    assert caller.table.workers("new")


async def test_a_caller_started_again_under_its_name_gets_nothing_of_its_predecessor(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        for _ in range(20):
            sender.write(inbound.message.data)
            await asyncio.sleep(0.01)
        sender.end(Summary(), b"")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    before = await caller.router.send(request(body=b"a"))
    assert caller.inbox._subscription is not None
    await caller.inbox._subscription.unsubscribe()  # killed
    again = StreamInbox(caller.tokens, caller.control, "gateway", caller.inbox._instance)
    await again.start()
    caller.router._inbox = again
    after = await caller.router.send(request(body=b"b"))
    async with asyncio.timeout(30):
        assert await after.read_all(1000) == b"b" * 20
    before.cancel()
    await again.close()


async def test_a_worker_is_not_asked_while_its_answer_could_not_be_heard(party: Party) -> None:
    if not isinstance(party.line, NatsLine):
        pytest.skip("in memory all lines break at once")
    runs = 0

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        nonlocal runs
        runs += 1
        sender.end(Summary(), b"ok")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    slow_to_return(caller.tokens, 1.0)
    assert isinstance(caller.tokens, NatsTransport)
    await caller.tokens.client.force_reconnect()
    assert not caller.tokens.connected and caller.control.connected
    async with asyncio.timeout(30):
        assert await (await caller.router.send(request())).read_all(10) == b"ok"
    assert runs == 1


async def test_who_was_refused_is_let_in_when_a_slot_is_free_whoever_else_speaks(party: Party) -> None:
    await party.worker("w1", forever, slots=1)
    caller, other = await party.caller(), await party.caller()
    await party.until_seen(caller, 1)
    await party.until_seen(other, 1)
    held = await other.router.send(request())
    caller.table.workers("p")[0].foreign["p"] = 0  # it has not heard of that yet
    waiting = asyncio.create_task(caller.router.send(request()))
    transport = await party.line.connect()

    async def chatter() -> None:
        strangers = [PresenceBeacon(transport, "inference", f"other{n}", Slots()) for n in range(4)]
        while True:
            for stranger in strangers:
                stranger.say()
            await asyncio.sleep(0.1)

    talking = asyncio.create_task(chatter())
    await asyncio.sleep(0.5)
    assert not waiting.done()
    held.cancel()
    async with asyncio.timeout(30):
        (await waiting).cancel()
    talking.cancel()


async def test_workers_that_never_answer_are_asked_a_few_times_only(party: Party) -> None:
    transport = await party.line.connect()
    asked: list[str] = []
    held = Slots()
    held.offer("p", 4)
    beacons = [PresenceBeacon(transport, "inference", f"w{n}", held) for n in range(3)]
    for beacon in beacons:
        at = subjects.at_worker("inference", beacon._worker, "chat")
        await transport.subscribe(at, lambda message: asked.append(message.subject))
        await beacon.start()
    caller = await party.caller(RoutingOptions(accept_timeout=0.05))
    await party.until_seen(caller, 3)
    with pytest.raises(Overloaded):
        await asyncio.wait_for(caller.router.send(request()), 30)
    assert len(asked) == 4
    assert caller.inbox.open_streams == 0
    assert not any(entry.own["p"] for entry in caller.table.workers("p") if entry.own)
    for beacon in beacons:
        await beacon.leave()


async def test_who_gives_up_in_the_moment_of_its_turn_has_given_up(party: Party) -> None:
    await party.worker("w1", forever, slots=1)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    held = await caller.router.send(request())
    waiting = asyncio.create_task(caller.router.send(request()))
    async with asyncio.timeout(30):
        while not caller.router.waiting("p"):
            await asyncio.sleep(0)
    held.cancel()  # its turn has come
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 30)
    assert caller.inbox.open_streams == 0


async def test_a_request_that_cannot_be_sent_is_a_bad_one(party: Party) -> None:
    await party.worker("w1", forever)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    with pytest.raises(InvalidRequest):
        await caller.router.send(request(body=bytes(2_000_000)))
    assert caller.inbox.open_streams == 0
    assert not any(caller.table.workers("p")[0].own.values())


async def test_a_stall_of_our_own_is_nobodys_silence(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both watches wake up from it before they have read what came meanwhile."""
    await party.worker("w1", forever)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"first"
    loop = asyncio.get_running_loop()
    at = loop.time
    monkeypatch.setattr(loop, "time", lambda: at() + 60)
    await asyncio.sleep(0.6)
    assert caller.inbox.open_streams == 1
    assert caller.table.workers("p")
    stream.cancel()


async def test_nothing_stays_of_streams_however_they_end(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_module, "LINGER_SECONDS", 0.0)
    monkeypatch.setattr(inbox_module, "_SWEEP_SECONDS", 0.05)

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        kind = inbound.message.data
        if kind == b"fail":
            raise CaravanError("no")
        sender.write(b"x" * 1000)
        if kind == b"wait":
            await asyncio.Event().wait()
        sender.end(Summary(), b"end")

    _, server = await party.worker("w1", serve, slots=64)
    caller = await party.caller()
    await party.until_seen(caller, 1)

    async def one(n: int) -> None:
        if n % 4 == 0:
            assert len(await (await caller.router.send(request())).read_all(10**6)) == 1003
        elif n % 4 == 1:
            with pytest.raises(CaravanError):
                await (await caller.router.send(request(body=b"fail"))).read()
        elif n % 4 == 2:
            stream = await caller.router.send(request(body=b"wait"))
            await stream.read()
            stream.cancel()
        else:
            task = asyncio.create_task(caller.router.send(request(body=b"wait")))
            for _ in range(n % 7):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    for start in range(0, 2000, 100):
        await asyncio.gather(*(one(n) for n in range(start, start + 100)))
    await idle(server)
    async with asyncio.timeout(30):
        while len(server._linger):
            await asyncio.sleep(0.01)
    assert caller.inbox.open_streams == 0 and not caller.inbox._losing
    assert not any(caller.table.workers("p")[0].own.values())
    assert not caller.router.waiting("p")
    assert not server._silent and server._linger.size == 0 and not server._outlet._ready
    assert server._slots.loads()["p"].used == 0
    assert server.stats["chat"].requests >= 1500


def test_a_probe_names_its_worker() -> None:
    assert subjects.prober_of(subjects.prober_prefix("inference", "inf-1a") + ".gw-2b-3c") == "inf-1a"
    assert subjects.prober_of("_INBOX.gateway.gw-2b.1") == ""
    assert subjects.prober_of("") == ""
    assert frames.encode(frames.Control.CANCEL, 0)[0] == frames.Control.CANCEL
