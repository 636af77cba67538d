"""The routes of vector stores without their service: a gateway's app, and whoever answers on the bus as a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
from caravan_bus.memory import MemoryHub
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.transport import Message, Transport, encode_headers
from caravan_contracts import headers as h
from caravan_contracts import subjects, verbs
from caravan_contracts import vectors as v
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError
from caravan_contracts.registry import SnapshotPage
from caravan_contracts.users import GATEWAY, REGISTRY, VECTOR
from caravan_gateway import errors
from caravan_gateway.auth import Authenticator
from caravan_gateway.edge import Edge
from caravan_gateway.resources import Resources
from caravan_gateway.vectors import batches, files, raw, stores
from caravan_gateway.vectors.asking import Vectors
from fastapi import FastAPI
from pydantic import BaseModel

REQUESTS = {channel.name.removeprefix("vector."): channel.request for channel in verbs.vectors()}
STORE = v.VectorStore(
    id="vs_1", created_at=1, status="completed", embedding_model="m", embedding_dimension=3, provider_id="pgvector"
)
STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
FILE = v.StoreFile(id="file-1", created_at=1, vector_store_id="vs_1", status="completed", chunking_strategy=STATIC)
BATCH = v.FileBatch(
    id="vsfb_1", created_at=1, vector_store_id="vs_1", status="completed", file_counts=v.FileCounts(total=1)
)
GONE = v.Deleted(id="gone")
DEFAULTS: dict[str, BaseModel] = {
    "create_store": STORE,
    "get_store": STORE,
    "list_stores": v.StorePage(data=[STORE], has_more=True),
    "update_store": STORE,
    "delete_store": GONE,
    "attach_file": FILE,
    "get_store_file": FILE,
    "list_store_files": v.StoreFilePage(data=[FILE]),
    "update_store_file": FILE,
    "detach_file": GONE,
    "read_store_file": v.ChunkTexts(data=["a", "b"]),
    "create_batch": BATCH,
    "get_batch": BATCH,
    "cancel_batch": BATCH,
    "search_store": v.SearchPage(search_query=["q"], data=[]),
    "insert_chunks": v.Inserted(count=1),
    "query_chunks": v.ChunkPage(data=[]),
    "delete_chunks": GONE,
}

Answer = Callable[[Any], BaseModel]


@dataclass
class Door:
    """The client, and what the service was asked."""

    http: httpx.AsyncClient
    app: FastAPI
    asked: list[tuple[str, Any]] = field(default_factory=list)
    principals: list[Principal] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    """By verb; it may raise."""

    @property
    def last(self) -> Any:
        return self.asked[-1][1]

    def of(self, verb: str) -> list[Any]:
        return [message for asked, message in self.asked if asked == verb]

    async def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.http.request(method, path, json=body)

    def answer(self, verb: str, message: Message) -> tuple[bytes, bytes]:
        kind = REQUESTS[verb]
        assert kind is not None
        asked = kind.model_validate_json(message.data)
        self.asked.append((verb, asked))
        self.principals.append(RequestContext.from_headers(message.headers).principal)
        try:
            made = self.answers.get(verb, lambda _: DEFAULTS[verb])(asked)
        except CaravanError as error:
            return error.to_wire(), encode_headers({h.SERVICE_ERROR_CODE: str(error.status)})
        return made.model_dump_json().encode(), b""


@asynccontextmanager
async def door(auth: Authenticator | None = None, serving: bool = True) -> AsyncIterator[Door]:
    hub = MemoryHub()
    line, gateway = hub.connect(), hub.connect()
    await _registry(line)
    requester = Requester(gateway, GATEWAY, "g1")
    view = RegistryView(gateway, requester)
    await requester.start()
    await view.start()
    app = FastAPI()
    errors.install(app)
    resources, vectors = Resources(view, requester, auth or Authenticator(None)), Vectors(requester)
    for part in (stores, files, batches, raw):
        app.include_router(part.router(resources, vectors))
    larger = {stores.PATH: batches.MAX_BODY, raw.PATH: raw.MAX_BODY}
    edge = Edge({}, app, body_timeout=5, larger=larger, admit=resources.known)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://gateway") as http:
        made = Door(http, app)
        if serving:
            await _service(line, made)
        yield made
    await view.close()
    await requester.close()


async def _registry(line: Transport) -> None:
    page = SnapshotPage(revision=1, resources=[]).model_dump_json().encode()
    await line.subscribe(subjects.request(REGISTRY, "snapshot"), lambda m: line.publish(m.reply, page), REGISTRY)


async def _service(line: Transport, made: Door) -> None:
    def hear(message: Message) -> None:
        data, headers = made.answer(message.subject.rpartition(".")[2], message)
        line.publish(message.reply, data, "", headers)

    for verb in REQUESTS:
        await line.subscribe(subjects.request(VECTOR, verb), hear, VECTOR)
