"""Messages of the registry service: resources, the questions one may ask of them, and the facts of their change."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from caravan_contracts.caching import Cache

SERVICE = "registry"
MAX_ID = 256
"""Longest id of a resource, in characters."""

UNLISTED_TYPES = frozenset({"remote::azure", "remote::databricks", "remote::passthrough"})
"""Provider types that serve models they do not list, unless their `allow_unlisted` says otherwise."""

MESSAGES_TYPES = frozenset({"remote::anthropic"})
"""Provider types that speak Anthropic's Messages API themselves, unless their `messages` says otherwise."""

REPLAY_TYPE = "remote::replay"
"""The provider type of recordings: served by ``caravan replay``, never by inference workers."""


class ResourceKind(StrEnum):
    """What the registry keeps. More kinds join with the services that need them."""

    PROVIDER = "provider"
    MODEL = "model"
    ROUTE = "route"
    SHIELD = "shield"
    GUARDRAIL = "guardrail"


class ModelType(StrEnum):
    """What a model is for."""

    LLM = "llm"
    EMBEDDING = "embedding"
    RERANK = "rerank"


class Source(StrEnum):
    """Who put a resource there: later seeds replace `stack`, later discoveries replace `discovered`."""

    STACK = "stack"
    API = "api"
    DISCOVERED = "discovered"


class Message(BaseModel):
    """Base of the messages: unknown fields are ignored, so that versions can differ by a field."""

    model_config = ConfigDict(extra="ignore", use_enum_values=False)


class ProviderSpec(Message):
    """Body of a provider resource. Secrets are references (``${env.NAME}`` or a file), resolved by the worker."""

    provider_type: str
    """``remote::openai``, ``inline::llama-cpp`` …"""
    config: dict[str, Any] = Field(default_factory=dict)
    slots: int | None = Field(default=None, ge=1)
    """Requests one worker runs at once against it; None = the worker's default."""
    status: Literal["unknown", "ok", "error"] = "unknown"
    status_message: str = ""


class ModelSpec(Message):
    """Body of a model resource; its id is ``<provider id>/<name>`` or any name that was registered."""

    provider_id: str
    provider_resource_id: str
    """The provider's own id of the model."""
    model_type: ModelType = ModelType.LLM
    aliases: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    """``context_length``, ``embedding_dimension`` (both int) where they are known, and what users add."""
    cache: Cache | None = None
    """None = the defaults of :class:`Cache`. A route's own counts for requests that name the route."""
    disabled: bool = False
    """A discovered model that was deleted by hand stays away until it is registered again."""


class Resource(Message):
    """One row of the registry."""

    tenant: str
    kind: ResourceKind
    id: str = Field(max_length=MAX_ID)
    revision: int
    source: Source
    created: int
    """Unix seconds of its first appearance."""
    body: dict[str, Any]
    """ProviderSpec or ModelSpec."""

    @property
    def model(self) -> ModelSpec:
        """The body of a model."""
        return ModelSpec.model_validate(self.body)

    @property
    def provider(self) -> ProviderSpec:
        """The body of a provider."""
        return ProviderSpec.model_validate(self.body)


class SnapshotRequest(Message):
    """``registry.snapshot``: every resource, page by page; `after` and `revision` come from the page before."""

    after: str = ""
    revision: int | None = None
    limit: int = Field(default=500, ge=1, le=1000)


class SnapshotPage(Message):
    """One page. `next` is "" on the last one. When the registry moved between two pages, the first page's
    `revision` no longer holds and the registry answers with ``restart=True``: begin again."""

    revision: int
    resources: list[Resource]
    next: str = ""
    restart: bool = False


class PutResource(Message):
    """``registry.put``: create or replace a resource of the caller's tenant (role admin)."""

    kind: ResourceKind
    id: str = Field(min_length=1, max_length=MAX_ID)
    body: dict[str, Any]
    if_revision: int | None = None
    """Replace only when the resource still has this revision; otherwise Conflict."""


class DeleteResource(Message):
    """``registry.delete``: remove a resource of the caller's tenant (role admin)."""

    kind: ResourceKind
    id: str


class Changed(Message):
    """Answer to put and delete."""

    resource: Resource
    revision: int


class DiscoveredModel(Message):
    """A model that a provider lists."""

    id: str
    model_type: ModelType = ModelType.LLM
    metadata: dict[str, Any] = Field(default_factory=dict)


class ReportModels(Message):
    """``registry.report_models``: what a worker found at a provider (service users only)."""

    provider_id: str
    worker: str
    status: Literal["ok", "error"]
    message: str = ""
    models: list[DiscoveredModel] = Field(default_factory=list)


class ReportAccepted(Message):
    """Answer to a report."""

    revision: int


class ChangeFact(Message):
    """``evt.registry.changed``, published after the commit. A reader whose revision is not `previous` has a gap
    and fetches a snapshot."""

    revision: int
    previous: int
    changed: list[Resource] = Field(default_factory=list)
    removed: list[str] = Field(default_factory=list)
    """Keys of removed resources: ``<tenant>/<kind>/<id>``."""


class RevisionBeat(Message):
    """``evt.registry.revision``, once a second from every registry: a reader behind it fetches a snapshot."""

    revision: int


def key_of(tenant: str, kind: str, id: str) -> str:
    """The key of a resource in snapshots and facts."""
    return f"{tenant}/{kind}/{id}"
