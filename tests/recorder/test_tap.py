"""The recorder on the bus, both kinds of line: it hears everything, and nothing goes otherwise because it listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from caravan_bus.discovery import Discovery, EndpointStats
from caravan_bus.presence import PresenceBeacon, PresenceTable
from caravan_bus.router import Outbound, Router
from caravan_bus.slots import Slots
from caravan_bus.stream import server as server_module
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound, StreamServer
from caravan_bus.transport import Message, Transport
from caravan_contracts import headers as h
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.inference import CallSpec, Summary
from caravan_recorder import callers as callers_module
from caravan_recorder import cassette
from caravan_recorder.cassette import Outcome, Recording
from caravan_recorder.handlers import Tap
from caravan_recorder.options import Filter, Limits, RecordOptions
from caravan_recorder.recorder import Recorder
from caravan_recorder.tapes import Loss
from caravan_storage.blobs import ClaimDesk, MemoryBlobs

from tests.bus.lines import Line, MemoryLine, NatsLine
from tests.waiting import until

Serve = Callable[[Inbound, StreamSender], Awaitable[None]]
BODY = b'{"model":"p/m","messages":[]}'


@pytest.fixture(params=["memory", "nats"])
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Line]:
    made: Line = MemoryLine() if request.param == "memory" else NatsLine(tmp_path)
    await made.start()
    yield made
    await made.close()


async def echo(inbound: Inbound, sender: StreamSender) -> None:
    for part in (b"one ", b"two "):
        sender.write(part)
        await asyncio.sleep(0.03)
    sender.end(Summary(model="m"), b"end")


@dataclass
class Caller:
    router: Router
    inbox: StreamInbox
    table: PresenceTable
    transport: Transport
    discovery: Discovery

    async def ask(self, body: bytes = BODY, tenant: str = "default", **headers: str) -> bytes:
        stream = await self.router.send(request(body, tenant, **headers))
        return await stream.read_all(10**7)

    async def die(self) -> None:
        await self.transport.close()


def request(body: bytes = BODY, tenant: str = "default", **headers: str) -> Outbound:
    context = RequestContext("req_1", Principal(tenant), time.monotonic() + 30)
    return Outbound("inference", "chat", CallSpec("p", "m", "p/m", True), body, context, extra=headers)


@dataclass
class Scene:
    """A worker, callers and a recorder on one line."""

    line: Line
    path: Path
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    recorder: Recorder | None = None

    async def worker(self, serve: Serve = echo, slots: int = 4) -> StreamServer:
        transport = await self.line.connect()
        held = Slots()
        server = StreamServer(transport, "inference", "w1", held, serve)
        beacon = PresenceBeacon(transport, "inference", "w1", held)
        await server.start()
        held.offer("p", slots)
        await beacon.start()
        self.closers += [lambda: server.drain(0.1), beacon.leave]
        return server

    async def caller(self, name: str = "gw-1") -> Caller:
        transport = await self.line.connect()
        inbox = StreamInbox(transport, transport, "gateway", name)
        table = PresenceTable(transport, "inference", f"_INBOX.gateway.{name}-probe")
        discovery = Discovery(transport, "caravan-gateway", name, "", [], lambda _: EndpointStats())
        for part in (inbox, table, discovery):
            await part.start()
        self.closers += [inbox.close, table.close]
        await until(lambda: bool(table.workers("p")))
        return Caller(Router(transport, inbox, table), inbox, table, transport, discovery)

    async def record(
        self, limits: Limits | None = None, wanted: Filter | None = None, claims: ClaimDesk | None = None
    ) -> tuple[Recorder, Tap]:
        recorder = Recorder(RecordOptions(self.path, limits=limits or Limits(), filter=wanted or Filter()))
        await recorder.store.start()
        tap = Tap(await self.line.connect(), "rec-1", recorder, wanted or Filter(), claims)
        await tap.start()
        self.recorder = recorder
        self.closers.append(tap.close)
        await until(lambda: tap.callers.known > 0)
        return recorder, tap

    async def recorded(self, count: int) -> list[Recording]:
        recorder = self.recorder
        assert recorder is not None
        await until(lambda: recorder.tally.recordings >= count)
        return list(cassette.read(self.path).recordings)


@pytest.fixture
async def scene(line: Line, tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(line, tmp_path / "x.jsonl")
    yield made
    for close in reversed(made.closers):
        await close()
    if made.recorder is not None:
        await made.recorder.store.close()


async def test_what_a_caller_hears_is_what_is_recorded(scene: Scene) -> None:
    await scene.worker()
    caller = await scene.caller()
    await scene.record()
    heard = await caller.ask(tenant="acme")
    (recording,) = await scene.recorded(1)
    assert recording.answer == heard == b"one two end"
    assert [piece.data for piece in recording.pieces] == [b"one ", b"two "]
    assert 5 < recording.pieces[1].ms - recording.pieces[0].ms < 5_000, "some 30 ms, when nothing else runs"
    assert (recording.tenant, recording.provider, recording.model, recording.shown_model) == ("acme", "p", "m", "p/m")
    assert recording.request == {"model": "p/m", "messages": []}


async def test_keys_of_a_caller_and_its_name_are_never_written(scene: Scene) -> None:
    await scene.worker()
    caller = await scene.caller()
    await scene.record()
    await caller.ask(**{h.PROVIDER_DATA: '{"openai_api_key":"tiny"}', h.IDEMPOTENCY_KEY: "idem"})
    await scene.recorded(1)
    text = scene.path.read_text()
    assert not any(word in text for word in ("tiny", "idem", "anonymous", "req_1"))


async def test_frames_that_are_sent_again_are_recorded_once(scene: Scene) -> None:
    if not isinstance(scene.line, MemoryLine):
        pytest.skip("only the hub in memory loses a chosen message")
    hub = scene.line.hub
    await scene.worker()
    caller = await scene.caller()
    recorder, _ = await scene.record()
    lost = 0

    def lose(message: Message) -> bool:
        nonlocal lost
        if (
            message.subject.startswith("_INBOX.gateway.gw-1.")
            and message.data[:5] == b"\x03\x00\x00\x00\x01"
            and not lost
        ):
            lost += 1
            return True
        return False

    hub.lose = lose
    assert await caller.ask() == b"one two end"
    (recording,) = await scene.recorded(1)
    assert lost == 1
    assert recording.answer == b"one two end"
    assert not recorder.tally.lost


async def test_a_refusal_is_not_recorded_and_the_try_that_worked_is(scene: Scene) -> None:
    server = await scene.worker(slots=1)
    caller = await scene.caller()
    other = await scene.caller("gw-2")
    recorder, tap = await scene.record()
    await until(lambda: tap.callers.known == 2)
    answers = await asyncio.gather(caller.ask(), other.ask(), caller.ask(), other.ask())
    assert answers == [b"one two end"] * 4
    assert len(await scene.recorded(4)) == 4
    assert set(recorder.tally.lost) <= {Loss.BUSY}
    assert server.active == 0


async def test_a_caller_that_dies_is_noticed_by_its_worker_although_somebody_listens(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(callers_module, "PING_SECONDS", 0.1)
    monkeypatch.setattr(callers_module, "GONE_SECONDS", 0.4)
    cancelled = asyncio.Event()

    async def endless(inbound: Inbound, sender: StreamSender) -> None:
        try:
            sender.write(b"one ")
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    server = await scene.worker(endless)
    caller = await scene.caller()
    await scene.record()
    stream = await caller.router.send(request())
    assert await stream.read() == b"one "
    await caller.die()
    await asyncio.wait_for(cancelled.wait(), 30)
    assert server.active == 0
    (recording,) = await scene.recorded(1)
    assert (recording.outcome, recording.note) == (Outcome.INCOMPLETE, "its caller died")


async def test_a_stream_during_which_the_line_broke_is_thrown_away(scene: Scene) -> None:
    go = asyncio.Event()

    async def wait(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"one ")
        await go.wait()
        sender.end(Summary(), b"end")

    await scene.worker(wait)
    caller = await scene.caller()
    recorder, tap = await scene.record()
    stream = await caller.router.send(request())
    assert await stream.read() == b"one "
    await until(lambda: recorder.tapes.open == 1, what="the recorder has a line of its own, and may hear it later")
    await scene.line.kill()
    await scene.line.start()
    await until(lambda: recorder.tally.lost[Loss.DAMAGED] == 1)
    go.set()
    assert await stream.read() == b"end"
    await until(lambda: bool(caller.table.workers("p")))
    assert await caller.ask() == b"one end"
    (recording,) = await scene.recorded(1)
    assert recording.answer == b"one end"
    assert tap.callers.known == 1


async def test_a_big_body_is_fetched_from_where_it_lies(scene: Scene) -> None:
    desk = ClaimDesk(MemoryBlobs())
    await scene.worker()
    caller = await scene.caller()
    await scene.record(claims=desk)
    await caller.ask(b"", **{h.CLAIM: await desk.check_in(BODY)})
    gone = await desk.check_in(BODY)
    await desk.release(gone)
    await caller.ask(b"", **{h.CLAIM: gone})
    first, second = await scene.recorded(2)
    assert first.request == {"model": "p/m", "messages": []}
    assert second.request is None
    assert "no longer kept" in second.note


@pytest.mark.parametrize(
    "wanted",
    [Filter(models=("other",)), Filter(providers=("q",)), Filter(tenants=("acme",)), Filter(verbs=("embeddings",))],
)
async def test_what_is_not_wanted_is_filtered_out(scene: Scene, wanted: Filter) -> None:
    await scene.worker()
    caller = await scene.caller()
    recorder, _ = await scene.record(wanted=wanted)
    await caller.ask()
    await until(lambda: recorder.tally.lost[Loss.FILTERED] == 1)
    assert recorder.tapes.open == 0


@pytest.mark.parametrize("limits", [Limits(recordings=1), Limits(disk_bytes=800)])
async def test_recording_ends_where_it_was_told_to(scene: Scene, limits: Limits) -> None:
    await scene.worker()
    caller = await scene.caller()
    recorder, _ = await scene.record(limits)
    await asyncio.gather(*(caller.ask() for _ in range(4)))
    await asyncio.wait_for(recorder.enough.wait(), 30)
    await recorder.store.close()
    assert recorder.why
    assert recorder.tally.recordings == len(cassette.read(scene.path).recordings) == 1
    assert recorder.tapes.held == 0


async def test_a_caller_unknown_so_far_is_heard_from_its_second_request_on(scene: Scene) -> None:
    await scene.worker()
    await scene.caller()
    recorder, tap = await scene.record()
    late = await scene.caller("gw-9")
    await late.discovery.stop()
    known = tap.callers.known
    await late.ask()
    await until(lambda: tap.callers.known == 2)
    await late.ask()
    early = recorder.tally.lost[Loss.TOO_EARLY]
    assert len(await scene.recorded(2 - early)) == 2 - early
    assert early == 2 - known
