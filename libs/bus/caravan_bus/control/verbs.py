"""Verbs of the bus to calls of a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from caravan_contracts import subjects
from caravan_contracts.context import RequestContext
from faststream.nats import NatsBroker
from pydantic import BaseModel

from caravan_bus.control.messages import Asked, decoder
from caravan_bus.discovery import Endpoint

Call = Callable[[Any, Any, RequestContext], Awaitable[BaseModel]]
"""A method of a service: itself, the message, who asks."""
Verbs = Mapping[str, tuple[type[BaseModel], Call]]

_AT_ONCE: Final = 16
"""Requests of one verb under way: one may wait, and must not keep the others."""


def endpoints(user: str, verbs: Iterable[str]) -> list[Endpoint]:
    """For discovery. `user` is the bus user whose verbs they are, and the queue group of all its processes."""
    return [Endpoint(verb, subjects.request(user, verb), user) for verb in verbs]


def install(broker: NatsBroker, user: str, service: object, verbs: Verbs) -> None:
    """Subscribe `service` to its verbs, in the queue group of its kind."""
    for verb, (kind, call) in verbs.items():
        where = subjects.request(user, verb)
        subscribe = broker.subscriber(where, user, decoder=decoder(kind), max_workers=_AT_ONCE)
        subscribe(_handler(service, call))


def _handler(service: object, call: Call) -> Callable[[Asked[Any]], Awaitable[bytes]]:
    async def handle(asked: Asked[Any]) -> bytes:
        answer: BaseModel = await call(service, asked.body, asked.context)
        return answer.model_dump_json().encode()

    return handle
