"""What foreign users may ask of responses: to make one, to recall them, to follow one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from caravan_bus.foreign.answering import Answer, Question, Whole
from caravan_bus.responses import AgentRun, AgentRuns, Named, wants_events
from caravan_contracts import headers as h
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.inference import Summary
from caravan_contracts.responses import Follow, Recall, ResponseVerb
from pydantic import BaseModel, ValidationError

from caravan_agents.responses.store import known_id

Body = TypeVar("Body", bound=BaseModel)
_MOST: Final = 9
"""Digits of a number of events."""


class ResponseDesk:
    """See :class:`caravan_bus.foreign.answering.Desk`."""

    verbs: Final = tuple(verb.value for verb in ResponseVerb)

    def __init__(self, runs: AgentRuns) -> None:
        self._runs = runs

    async def ask(self, question: Question) -> Answer:
        """See :meth:`Desk.ask`. Raises InvalidRequest, NotFound, and what :class:`AgentRuns` raises."""
        if question.verb == ResponseVerb.RECALL:
            return Whole(await self._runs.recall(_read(Recall, question.body), question.context))
        if question.verb == ResponseVerb.FOLLOW:
            wanted = _read(Follow, question.body)
            stream = await self._runs.follow(known_id(wanted.id), wanted.first, question.context, wanted.include)
            return _Answer(AgentRun(stream))
        # a key is for one request; a run may make many
        context = replace(question.context, idempotency_key="")
        body, named = question.body, _named(question.headers)
        return _Answer(await self._runs.respond(body, wants_events(body), context, None, named))


@dataclass(frozen=True, slots=True)
class _Answer:
    run: AgentRun

    @property
    def streams(self) -> bool:
        return self.run.streams

    @property
    def summary(self) -> Summary | None:
        return self.run.stream.summary

    async def read(self) -> bytes:
        return await self.run.stream.read()

    async def read_all(self, limit: int) -> bytes:
        return await self.run.stream.read_all(limit)

    def leave(self) -> None:
        self.run.stream.leave()

    async def finish(self) -> None:
        await self.run.finish()


def _named(headers: Mapping[str, str]) -> Named | None:
    """How the user calls the response, and what it has of it. Raises NotFound, InvalidRequest."""
    name, after = headers.get(h.RESPONSE), headers.get(h.AFTER)
    if not name:
        return None
    if after is not None and not (after.isascii() and after.isdigit() and len(after) <= _MOST):
        raise InvalidRequest(f"the header {h.AFTER} is a number of events")
    return Named(known_id(name), int(after) if after is not None else None)


def _read(kind: type[Body], body: bytes) -> Body:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise InvalidRequest(f"{where}: {first['msg']}", param=where) from error
