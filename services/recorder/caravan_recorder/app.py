"""Wires and starts a recorder, a replay, or a load; nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from caravan_bus import logs, process, tracing
from caravan_bus.discovery import Discovery, Endpoint, EndpointStats
from caravan_bus.inference import InferenceClient
from caravan_bus.nats import NatsOptions, NatsTransport, connect
from caravan_bus.ops import OpsServer
from caravan_bus.presence import PresenceTable
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.router import Router
from caravan_bus.routing.state import RoutingState
from caravan_bus.settings import instance_id
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.tasks import before
from caravan_contracts import subjects as s
from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import SERVICE
from caravan_contracts.users import RECORDER, REPLAY
from caravan_storage.blobs import RedisBlobs, RedisClaims
from caravan_storage.redis import Redis

from caravan_recorder import cassette
from caravan_recorder.errors import BadCassette
from caravan_recorder.handlers import HEARD, Tap
from caravan_recorder.library import Library
from caravan_recorder.load import Load, Report
from caravan_recorder.options import LoadOptions, RecordOptions, ReplayOptions
from caravan_recorder.provider import PATIENCE
from caravan_recorder.recorder import Recorder
from caravan_recorder.replay import Replay
from caravan_recorder.scrub import Scrubber
from caravan_recorder.settings import Settings
from caravan_recorder.store import Written

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """How the mesh is reached."""

    nats_url: str
    seed: str = field(default="", repr=False)
    """NKEY seed of the bus user of this role."""
    redis_url: str = field(default="", repr=False)
    """"" = bodies over 256 KiB cannot be read."""
    instance: str = ""
    patience: float | None = None
    """Seconds to try to connect; None = for ever."""


async def record(
    line: Line,
    options: RecordOptions,
    stop: asyncio.Event,
    on_ready: Callable[[Recorder, Tap], None] = lambda _, __: None,
    on_written: Callable[[Written], None] = lambda _: None,
) -> Recorder:
    """Record until `stop` is set or there is enough. Raises BadCassette, DependencyDown."""
    instance = line.instance or instance_id("rec")
    recorder = Recorder(options, on_written)
    await recorder.store.start()
    try:
        async with _connected(line, RECORDER, instance, stop) as (nats, claims):
            if nats is None:
                return recorder
            tap = Tap(nats, instance, recorder, options.filter, claims)
            stats = EndpointStats()

            def counts(_: str) -> EndpointStats:
                stats.requests = recorder.tally.recordings
                stats.data = {"open": recorder.tapes.open, "bytes": recorder.tally.size}
                return stats

            endpoints = [Endpoint("tap", subject, "", {"mode": "overheard"}) for subject in HEARD[:1]]
            discovery = Discovery(nats, "caravan-recorder", instance, "records what is said", endpoints, counts)
            await discovery.start()
            await tap.start()
            on_ready(recorder, tap)
            await _first(stop, recorder.enough)
            await discovery.stop()
            await tap.close()
            recorder.tapes.stop()
    finally:
        await recorder.store.close()
    return recorder


async def replay(
    line: Line, options: ReplayOptions, stop: asyncio.Event, on_ready: Callable[[Replay], None] = lambda _: None
) -> Replay:
    """Serve recordings until `stop` is set. Raises BadCassette, Conflict, DependencyDown."""
    worker = line.instance or instance_id("replay")
    tape = await asyncio.to_thread(cassette.read, options.cassette)
    library = Library(tape.recordings, Scrubber(tape.scrubs), options.ignore, options.loop, options.errors)
    if not library.answers:
        raise BadCassette(f"{options.cassette} has no recording that can be an answer")
    made = Replay(options, worker, library)
    async with _connected(line, REPLAY, worker, stop) as (nats, claims):
        if nats is not None:
            await made.run(nats, claims, stop, lambda: on_ready(made))
    return made


async def load(line: Line, options: LoadOptions, stop: asyncio.Event) -> Report:
    """Ask what was recorded again. Raises BadCassette, DependencyDown."""
    instance = line.instance or instance_id("load")
    tape = await asyncio.to_thread(cassette.read, options.cassette)
    async with _connected(line, REPLAY, instance, stop) as (nats, claims):
        if nats is None:
            return Report()
        requester = Requester(nats, REPLAY, instance)
        view = RegistryView(nats, requester)
        inbox = StreamInbox(nats, nats, REPLAY, instance)
        table = PresenceTable(nats, SERVICE, s.inbox_prefix(REPLAY, f"{instance}-probe"))
        routing = RoutingState(nats, instance)
        router = Router(nats, inbox, table)
        client = InferenceClient(view, router, claims, state=routing)
        run = Load(client, tape.recordings, options)
        if not run.requests:
            raise BadCassette(f"{options.cassette} has no request that can be asked again")
        discovery = Discovery(nats, "caravan-replay", instance, "asks again", [], lambda _: EndpointStats())
        parts = (requester, view, inbox, table, routing, router, discovery)
        for part in parts:
            await part.start()
        try:
            await view.need(PATIENCE)
            return await run.run(stop)
        finally:
            await discovery.stop()
            for closing in (router, routing, table, inbox, view, requester):
                await closing.close()


@asynccontextmanager
async def _connected(
    line: Line, user: str, instance: str, stop: asyncio.Event
) -> AsyncIterator[tuple[NatsTransport | None, RedisClaims | None]]:
    """Connected as `user`; (None, None) when `stop` came first."""
    options = NatsOptions(line.nats_url, user, line.seed, instance)
    nats = await before(stop, connect(options, line.patience))
    if nats is None:
        yield None, None
        return
    claims = await _claims(line.redis_url)
    try:
        yield nats, claims
    finally:
        await nats.close()
        if claims is not None:
            await claims.close()


async def _claims(redis_url: str) -> RedisClaims | None:
    """Where big bodies lie. Connected at once: a caller takes its body back as soon as it has its answer."""
    if not redis_url:
        return None
    redis = Redis(redis_url)
    try:
        await redis.ping()
    except CaravanError as error:
        log.warning("bodies over 256 KiB cannot be read now: %s", error.message)
    return RedisClaims(RedisBlobs(redis))


async def _first(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """One role, as the environment says, until `stop` is set."""
    user = RECORDER if settings.role == "record" else REPLAY
    instance = settings.instance or instance_id("rec" if user == RECORDER else "replay")
    logs.configure(settings.log_level, settings.log_format, user, instance)
    tracing.configure(user, instance)
    line = Line(settings.nats_url, settings.nats_nkey_seed, settings.redis_url, instance)
    ready = ["starting"]
    ops = OpsServer(settings.ops_host, settings.ops_port, lambda: ready[0], lambda: None) if settings.ops_port else None
    if ops is not None:
        ops.start()
    try:
        if user == RECORDER:
            await record(line, settings.record_options(), stop, lambda *_: ready.__setitem__(0, ""), _note)
        else:
            await replay(line, settings.replay_options(), stop, lambda _: ready.__setitem__(0, ""))
    except OSError as error:
        raise CaravanError(f"a file cannot be read: {error}") from error
    finally:
        if ops is not None:
            ops.stop()
        tracing.shutdown()


def _note(written: Written) -> None:
    recording = written.recording
    said = {"provider": recording.provider, "model": recording.model, "outcome": recording.outcome.value}
    log.info("recorded %d", written.number, extra={**said, "bytes": written.size})


def main() -> None:
    """``python -m caravan_recorder``: configured by the environment alone."""
    process.serve(RECORDER, Settings, serve)
