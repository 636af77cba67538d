"""Verbs of the bus to calls of a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from caravan_bus.control.messages import Asked, decoder
from caravan_bus.discovery import Endpoint
from caravan_contracts import subjects
from caravan_contracts.channels import AGENTS
from caravan_contracts.context import RequestContext
from faststream.nats import NatsBroker
from pydantic import BaseModel

Call = Callable[[Any, Any, RequestContext], Awaitable[BaseModel]]
"""A method of a service: itself, the message, who asks."""
Verbs = Mapping[str, tuple[type[BaseModel], Call]]

_AT_ONCE: Final = 16
"""Requests of one verb under way: one may wait, and must not keep the others."""


def subject(verb: str) -> str:
    """Where `verb` is asked for."""
    return subjects.request(AGENTS, verb)


def endpoints(verbs: Iterable[str]) -> list[Endpoint]:
    """For discovery."""
    return [Endpoint(verb, subject(verb), AGENTS) for verb in verbs]


def install(broker: NatsBroker, service: object, verbs: Verbs) -> None:
    """Subscribe `service` to its verbs, in the queue group of all agents."""
    for verb, (kind, call) in verbs.items():
        subscribe = broker.subscriber(subject(verb), AGENTS, decoder=decoder(kind), max_workers=_AT_ONCE)
        subscribe(_handler(service, call))


def _handler(service: object, call: Call) -> Callable[[Asked[Any]], Awaitable[bytes]]:
    async def handle(asked: Asked[Any]) -> bytes:
        answer: BaseModel = await call(service, asked.body, asked.context)
        return answer.model_dump_json().encode()

    return handle
