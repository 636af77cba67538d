"""Wires and starts a gateway; nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from caravan_bus import logs, metrics, process, tracing
from caravan_bus.discovery import Discovery, Endpoint, EndpointStats
from caravan_bus.guarding.line import GuardLine
from caravan_bus.inference import InferenceClient
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.ops import OpsServer
from caravan_bus.presence import PresenceTable
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.responses import AgentRuns
from caravan_bus.router import Router
from caravan_bus.routing.state import RoutingState
from caravan_bus.settings import instance_id, read_secret_file
from caravan_bus.storing import Storing
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.tasks import before
from caravan_bus.work.api import JetStream
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_bus.work.outbox import Outbox, OutboxOptions
from caravan_contracts import VERSION
from caravan_contracts import subjects as s
from caravan_contracts.inference import Verb
from caravan_contracts.users import AGENTS, GATEWAY, INFERENCE
from caravan_contracts.work import COMPLETIONS
from caravan_storage import objects
from caravan_storage.blobs import RedisClaims
from fastapi import FastAPI

from caravan_gateway import (
    conversations,
    errors,
    health,
    listener,
    models,
    openapi,
    prompts,
    providers,
    rerank_alpha,
    response_operations,
    responses,
    routes,
    stored,
)
from caravan_gateway.agents import Agents
from caravan_gateway.asgi import App
from caravan_gateway.auth import Authenticator
from caravan_gateway.completions import CompletionRoute
from caravan_gateway.connection import Connection
from caravan_gateway.dialects import table as dialects
from caravan_gateway.edge import Edge
from caravan_gateway.files import routes as file_routes
from caravan_gateway.files import uploads
from caravan_gateway.files.asking import Files
from caravan_gateway.files.receiving import Receiving
from caravan_gateway.files.transfers import Transfers
from caravan_gateway.resources import Resources
from caravan_gateway.safety import guardrails, judging, shields
from caravan_gateway.safety.asking import Safety
from caravan_gateway.settings import Settings
from caravan_gateway.socket import handshake
from caravan_gateway.socket.responses import ResponsesSocket
from caravan_gateway.special import Special
from caravan_gateway.vectors import batches, raw, stores
from caravan_gateway.vectors import files as store_files
from caravan_gateway.vectors.asking import Vectors
from caravan_gateway.watch import Watch

log = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds a gateway waits for the registry before it listens anyway, and says why it cannot serve."""
_LAST_SECONDS = 5.0
"""How long a gateway that leaves waits for the queue to confirm what is to be stored."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then let open requests finish and leave."""
    instance = settings.instance or instance_id("gw")
    logs.configure(settings.log_level, settings.log_format, GATEWAY, instance)
    tracing.configure(GATEWAY, instance)
    auth = Authenticator.from_file(settings.api_keys_file)
    kept = objects.from_url(settings.objects_url, os.environ) if settings.objects_url else None
    bound = listener.bind(settings.host, settings.port)
    options = NatsOptions(settings.nats_url, GATEWAY, settings.nats_nkey_seed, instance)
    control = await before(stop, connect(options))
    tokens = await before(stop, connect(options))
    if control is None or tokens is None:
        return
    redis_url = read_secret_file(settings.redis_url_file) if settings.redis_url_file else settings.redis_url
    claims = RedisClaims.from_url(redis_url) if redis_url else None

    requester = Requester(control, GATEWAY, instance)
    view = RegistryView(control, requester)
    inbox = StreamInbox(tokens, control, GATEWAY, instance)
    table = PresenceTable(control, INFERENCE, s.inbox_prefix(GATEWAY, f"{instance}-probe"))
    jetstream = JetStream(control, GATEWAY, instance)
    outbox = Outbox(JetStreamQueue(jetstream, COMPLETIONS), OutboxOptions(max_bytes=settings.store_buffer_bytes))
    routing = RoutingState(control, instance)
    router = Router(control, inbox, table, settings.admission())
    guards = GuardLine(control, requester, GATEWAY, instance)
    client = InferenceClient(view, router, claims, Storing(outbox), routing, guards.guarding)
    agents_table = PresenceTable(control, AGENTS, s.inbox_prefix(GATEWAY, f"{instance}-agents-probe"))
    agents_router = Router(control, inbox, agents_table, settings.admission())
    runs = AgentRuns(agents_router, claims)
    watch = Watch()
    special = Special(client, view, settings, redis_url)

    def not_ready() -> str:
        if stop.is_set():
            return "draining"
        if not (control.connected and tokens.connected):
            return "NATS is gone"
        return "" if view.loaded else "waiting for the registry"

    def refresh() -> None:
        metrics.REQUESTS_OPEN.set(len(watch))
        metrics.STREAMS_OPEN.set(inbox.open_streams)
        metrics.GAPS.set(inbox.gaps)

    app = FastAPI(title="Caravan", version=VERSION, description="An OpenAI-compatible server on a message bus")
    errors.install(app)
    openapi.install(app)
    app.include_router(health.router(not_ready, refresh))
    resources = Resources(view, requester, auth)
    vectors, safety = Vectors(requester), Safety(requester)
    dialects.include(app, resources, dialects.Services(runs, vectors, safety))
    app.include_router(models.router(resources))
    app.include_router(providers.router(resources))
    app.include_router(routes.router(resources))
    app.include_router(stored.router(resources, stored.StoredCompletions(requester, outbox)))
    agents = Agents(requester)
    app.include_router(conversations.router(resources, agents))
    app.include_router(prompts.router(resources, agents))
    files = Files(requester, kept)
    app.include_router(file_routes.router(resources, files))
    app.include_router(uploads.router(resources, files))
    app.include_router(stores.router(resources, vectors))
    app.include_router(store_files.router(resources, vectors))
    app.include_router(batches.router(resources, vectors))
    app.include_router(raw.router(resources, vectors))
    app.include_router(shields.router(resources, safety))
    app.include_router(guardrails.router(resources))
    app.include_router(judging.router(resources, safety))
    receiving = Receiving(
        files, auth, lambda: view.need(2.0), Transfers(settings.uploads_at_once), settings.body_timeout
    )
    app.include_router(responses.router(resources, runs, settings.request_timeout))
    like = CompletionRoute(Verb.RERANK, rerank_alpha.PATH, client, special, auth, watch, settings)
    rerank = rerank_alpha.AlphaRerank(like)
    hot_routes: dict[str, App] = {
        **dialects.openai_routes(openapi.ROUTES, like),
        rerank_alpha.PATH: rerank,
        responses.PATH: responses.ResponsesRoute(runs, like),
        **response_operations.hot_routes(runs, like),
        **dialects.hot_routes(like, runs, rerank),
    }
    open_to_all = settings.api_keys_file is None and not settings.allow_anonymous
    config = uvicorn.Config(
        Edge(
            hot_routes,
            app,
            settings.body_timeout,
            own_pages_only=open_to_all,
            shared=(stored.PATH, responses.PATH),
            larger={
                conversations.PATH: conversations.MAX_BODY,
                stores.PATH: batches.MAX_BODY,
                raw.PATH: raw.MAX_BODY,
                judging.MODERATIONS: judging.MAX_BODY,
                judging.RUN_SHIELD: judging.MAX_BODY,
                **dialects.LARGER,
            },
            admit=resources.known,
            sockets={responses.PATH: ResponsesSocket(runs, auth, settings, open_to_all)},
            streamed=receiving.find,
            named=dialects.find(like, runs),
        ),
        http=Connection,
        ws=handshake.make,  # type: ignore[arg-type]
        ws_max_size=settings.max_body_bytes,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        backlog=listener.BACKLOG,
        timeout_graceful_shutdown=max(1, int(settings.drain_seconds)),
    )
    server = _Server(config)
    stats = EndpointStats()
    discovery = Discovery(
        control,
        "caravan-gateway",
        instance,
        f"OpenAI's HTTP API on port {settings.port}",
        [Endpoint("inbox", s.inbox_prefix(GATEWAY, instance) + ".*", "", {"mode": "frames"})],
        lambda _: _counted(stats, inbox),
    )
    ops = OpsServer(settings.ops_host, settings.ops_port, not_ready, refresh) if settings.ops_port else None
    if ops is not None:
        ops.start()
    await requester.start()
    await jetstream.start()
    await view.start()
    await inbox.start()
    await table.start()
    await agents_table.start()
    await routing.start()
    await router.start()
    await guards.start()
    await agents_router.start()
    await discovery.start()
    # with several gateways on one port, the kernel would hand connections to one that knows no model yet
    await before(stop, view.wait_loaded(_PATIENCE))
    listener.listen(bound, settings.host, settings.port)
    serving = asyncio.create_task(server.serve(sockets=[bound]), name="http")
    log.info("listening on http://%s:%d", settings.host, settings.port)

    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    log.info("draining: %d requests under way", len(watch))
    leaves = asyncio.get_running_loop().time() + settings.drain_seconds
    await discovery.stop()
    listener.refuse_new(bound)
    await asyncio.wait({serving}, timeout=listener.LEAVE_SECONDS)
    server.should_exit = True
    await asyncio.wait({serving}, timeout=settings.drain_seconds + 5)
    waiting.cancel()
    await watch.close()
    await special.close(leaves - asyncio.get_running_loop().time())
    await outbox.close(_LAST_SECONDS)
    await jetstream.close()
    await agents_router.close()
    await guards.close()
    await router.close()
    await routing.close()
    await agents_table.close()
    await table.close()
    await inbox.close()
    await view.close()
    await requester.close()
    await tokens.close()
    await control.close()
    if claims is not None:
        await claims.close()
    if kept is not None:
        await kept.close()
    if ops is not None:
        ops.stop()
    tracing.shutdown()


def _counted(stats: EndpointStats, inbox: StreamInbox) -> EndpointStats:
    stats.requests = inbox.opened
    stats.data = {"open_streams": inbox.open_streams, "gaps": inbox.gaps}
    return stats


def main() -> None:
    """``python -m caravan_gateway``: configured by the environment alone."""
    process.serve(GATEWAY, Settings, serve)
