"""Bus subjects to calls of the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from caravan_bus.control.messages import Asked, decoder
from caravan_bus.discovery import Endpoint
from caravan_contracts import completions as c
from caravan_contracts import subjects
from caravan_contracts.context import RequestContext
from faststream.nats import NatsBroker
from pydantic import BaseModel

from caravan_agents.completions.service import CompletionService

Call = Callable[[CompletionService, Any, RequestContext], Awaitable[BaseModel]]

_VERBS: Final[dict[str, tuple[type[BaseModel], Call]]] = {
    "list_completions": (c.ListCompletions, CompletionService.list),
    "get_completion": (c.GetCompletion, CompletionService.get),
    "update_completion": (c.UpdateCompletion, CompletionService.update),
    "delete_completion": (c.DeleteCompletion, CompletionService.delete),
    "list_completion_messages": (c.ListCompletionMessages, CompletionService.messages),
    "read_completion_piece": (c.ReadCompletionPiece, CompletionService.piece),
}
_AT_ONCE: Final = 16
"""Requests of one verb under way: one may wait for the queue, and must not keep the others."""


def subject(verb: str) -> str:
    """Where `verb` is asked for."""
    return subjects.request(c.SERVICE, verb)


def endpoints() -> list[Endpoint]:
    """For discovery."""
    return [Endpoint(verb, subject(verb), c.SERVICE) for verb in _VERBS]


def install(broker: NatsBroker, service: CompletionService) -> None:
    """Subscribe `service` to its verbs, in the queue group of all agents."""
    for verb, (kind, call) in _VERBS.items():
        subscribe = broker.subscriber(subject(verb), c.SERVICE, decoder=decoder(kind), max_workers=_AT_ONCE)
        subscribe(_handler(service, call))


def _handler(service: CompletionService, call: Call) -> Callable[[Asked[Any]], Awaitable[bytes]]:
    async def handle(asked: Asked[Any]) -> bytes:
        answer: BaseModel = await call(service, asked.body, asked.context)
        return answer.model_dump_json().encode()

    return handle
