"""Every channel of the bus in one table: who publishes, who subscribes, what is said.

The NATS allow-lists (:mod:`permissions`) and the AsyncAPI document (:mod:`asyncapi`) are derived from it, so a
subject that is missing here cannot be used at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import BaseModel

from caravan_contracts import models as m
from caravan_contracts import registry as r
from caravan_contracts import subjects as s
from caravan_contracts.inference import Verb

GATEWAY: Final = "gateway"
REGISTRY: Final = "registry"
INFERENCE: Final = "inference"
OPERATOR: Final = "operator"
"""The bus user of the command: looks, and asks as an administrator."""
RECORDER: Final = "recorder"
"""Listens to requests and answers of others (``caravan record``); says nothing."""
REPLAY: Final = "replay"
"""Answers as a provider from recordings, or asks what was recorded again (``caravan replay``)."""
SERVICES: Final = (GATEWAY, REGISTRY, INFERENCE)
USERS: Final = (*SERVICES, OPERATOR, RECORDER, REPLAY)


class Pattern(StrEnum):
    """How a channel is used."""

    REQUEST = "request"
    """One JSON request, one JSON reply or a service error."""
    STREAM = "stream"
    """One request, a stream of frames to its reply inbox."""
    PLAIN = "plain"
    """One request, plain messages to its reply inbox: SSE events or one JSON body, then an empty message."""
    CONTROL = "control"
    FACT = "fact"


@dataclass(frozen=True, slots=True)
class Channel:
    """One row of the table. `address` may hold ``{parameters}``; each is one subject token."""

    name: str
    address: str
    pattern: Pattern
    publishers: tuple[str, ...]
    subscribers: tuple[str, ...]
    summary: str
    request: type[BaseModel] | None = None
    """JSON of the request or fact; None = OpenAI's JSON body or bytes, as `summary` says."""
    reply: type[BaseModel] | None = None
    foreign: bool = False
    """Whether foreign bus users may publish here, with their own tenant and name as the last tokens. Other parameters
    are theirs to choose."""
    queue: str = ""
    """Queue group of the subscribers; "" = everybody hears it."""
    observers: tuple[str, ...] = ()
    """Who listens in without being asked: to the requests, and to the publishers' inboxes where the answers come."""

    @property
    def wildcard(self) -> str:
        """The address with ``*`` for each parameter."""
        return ".".join("*" if part.startswith("{") else part for part in self.address.split("."))


ANYBODY: Final = ("*",)
CALLERS: Final = (GATEWAY, INFERENCE, OPERATOR, REPLAY)
"""Who may ask for inference with a principal of its choice."""
WORKERS: Final = (INFERENCE, REPLAY)
"""Who may serve a provider."""


def _inference() -> list[Channel]:
    rows = []
    for verb in Verb:
        rows.append(
            Channel(
                name=f"inference.{verb}.at",
                address=f"{s.PREFIX}.inference.at.{{worker}}.{verb}",
                pattern=Pattern.STREAM,
                publishers=CALLERS,
                subscribers=WORKERS,
                observers=(RECORDER,),
                summary=f"{verb} on one worker; the body is OpenAI's JSON, untouched; header Caravan-Call",
            )
        )
        rows.append(
            Channel(
                name=f"inference.{verb}.entry",
                address=f"{s.PREFIX}.inference.{verb}.{{tenant}}.{{user}}",
                pattern=Pattern.PLAIN,
                publishers=(OPERATOR,),
                subscribers=(INFERENCE,),
                foreign=True,
                queue=INFERENCE,
                summary=f"{verb} for any NATS client: OpenAI's JSON in, SSE events or one JSON body out; frames when "
                "the header Caravan-Window is there",
            )
        )
    rows.append(
        Channel(
            name="inference.models.entry",
            address=f"{s.PREFIX}.inference.{m.VERB}.{{tenant}}.{{user}}",
            pattern=Pattern.PLAIN,
            publishers=(OPERATOR,),
            subscribers=(INFERENCE,),
            foreign=True,
            queue=INFERENCE,
            request=m.ModelsRequest,
            summary="the models that the caller's tenant may use, as GET /v1/models and /v1/models/{id} tell them",
        )
    )
    return rows


def _request(
    verb: str,
    publishers: tuple[str, ...],
    request: type[BaseModel],
    reply: type[BaseModel],
    summary: str,
) -> Channel:
    return Channel(
        name=f"registry.{verb}",
        address=s.request(REGISTRY, verb),
        pattern=Pattern.REQUEST,
        publishers=publishers,
        subscribers=(REGISTRY,),
        queue=REGISTRY,
        request=request,
        reply=reply,
        summary=summary,
    )


CHANNELS: Final[tuple[Channel, ...]] = (
    *_inference(),
    _request(
        "snapshot",
        CALLERS,
        r.SnapshotRequest,
        r.SnapshotPage,
        "every resource, page by page",
    ),
    _request(
        "put",
        (GATEWAY, OPERATOR, REPLAY),
        r.PutResource,
        r.Changed,
        "create or replace a resource",
    ),
    _request("delete", (GATEWAY, OPERATOR, REPLAY), r.DeleteResource, r.Changed, "remove a resource"),
    _request(
        "report_models",
        WORKERS,
        r.ReportModels,
        r.ReportAccepted,
        "what a provider lists",
    ),
    Channel(
        "control",
        f"{s.PREFIX}.ctl.{{worker}}.{{stream}}",
        Pattern.CONTROL,
        CALLERS,
        WORKERS,
        "acknowledge, resend and cancel of one stream: kind and sequence number, 5 bytes",
    ),
    Channel(
        "control.foreign",
        f"{s.PREFIX}.ctl.{{worker}}.{{stream}}.{{tenant}}.{{user}}",
        Pattern.CONTROL,
        (OPERATOR,),
        (INFERENCE,),
        "the same for a stream of a foreign bus user; each frame that asks for it names it as its reply subject",
        foreign=True,
    ),
    Channel(
        "worker.presence",
        s.PRESENCE,
        Pattern.FACT,
        WORKERS,
        CALLERS,
        "a worker's providers, slots and state, four times a second",
    ),
    Channel(
        "worker.presence-wanted",
        s.PRESENCE_WANTED,
        Pattern.FACT,
        CALLERS,
        WORKERS,
        "somebody new asks every worker to say who it is",
    ),
    Channel(
        "registry.changed",
        s.REGISTRY_CHANGED,
        Pattern.FACT,
        (REGISTRY,),
        CALLERS,
        "resources that changed, published after the commit",
        request=r.ChangeFact,
    ),
    Channel(
        "registry.revision",
        s.REGISTRY_REVISION,
        Pattern.FACT,
        (REGISTRY,),
        CALLERS,
        "the registry's revision, once a second",
        request=r.RevisionBeat,
    ),
)
