"""The end of a run: stored, and only then told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from caravan_bus.pauses import pauses
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, DependencyDown
from caravan_contracts.inference import Summary, Usage

from caravan_agents.responses.events import EventWriter
from caravan_agents.responses.items import Item
from caravan_agents.runs.engine import Ended, Engine, failure_of
from caravan_agents.runs.journal import Claimed
from caravan_agents.runs.log import RunLog, RunTaken
from caravan_agents.runs.parts import Parts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finished:
    """A response that ended and is stored, if that is wished."""

    made: dict[str, Any]
    last: bytes
    """The last of its events; the log has them already."""


async def finish(
    parts: Parts,
    context: RequestContext,
    engine: Engine,
    events: RunLog,
    ended: Ended,
    given: Sequence[Item],
    run: Claimed | None = None,
) -> Finished:
    """Store the response, and give the last of its events to the log. Raises RunTaken, DependencyDown, and what is
    wrong with its conversation when somebody waits for the answer."""
    writer, response = engine.writer, engine.writer.response
    number = writer.sequence
    told = _told(engine, writer, ended)
    try:
        found = await _store(parts, context, events, told, engine.first_untold, given, run)
    except (DependencyDown, RunTaken):
        raise
    except CaravanError as error:
        if run is None:
            raise
        # its conversation is full, or gone: that is how it failed
        log.info("a response cannot be stored as it is: %s", error.message, extra={"response": response.id})
        told = _told(engine, EventWriter(response, sequence=number), failure_of(error))
        found = await _store(parts, context, events, told, engine.first_untold, given, run, alone=True)
    if found is not None:  # somebody else has finished it
        return Finished(orjson.loads(found), b"")
    engine.untold = engine.closing = b""
    events.end()
    engine.tell(told.last)
    await events.settled()
    return told


def _told(engine: Engine, writer: EventWriter, ended: Ended) -> Finished:
    engine.writer = writer
    now = int(time.time())
    last = engine.untold + engine.closing + writer.finish(ended.status, error=ended.error, reason=ended.reason, at=now)
    made = writer.response.snapshot(ended.status, error=ended.error, reason=ended.reason, completed_at=now)
    return Finished(made, last)


async def _store(
    parts: Parts,
    context: RequestContext,
    events: RunLog,
    told: Finished,
    first: int,
    given: Sequence[Item],
    run: Claimed | None,
    alone: bool = False,
) -> bytes | None:
    """The response, when it was stored before. A run that nobody waits for waits for PostgreSQL."""
    pieces = [*events.unsaved(), (first, told.last)]
    tenant, notice = context.principal.tenant, None
    if run is not None and run.background and parts.notices.wanted(tenant, told.made["status"]):
        notice = int(time.time())
    for pause in pauses(0.1, 2.0):
        try:
            found = await parts.store.keep(tenant, given, told.made, pieces, run, alone, notice)
        except DependencyDown as error:
            if run is None or context.remaining < pause:
                raise
            log.info("the end of a run waits: %s", error.message, extra={"response": told.made["id"]})
            await asyncio.sleep(pause)
            continue
        if notice is not None:
            await parts.notices.tell(tenant, told.made["id"], told.made["status"], notice)
        return found
    raise AssertionError


def summary(engine: Engine, ended: Ended, made: dict[str, Any]) -> Summary:
    """What is told of it beside the answer, for meters."""
    usage = made["usage"]
    return Summary(
        response_id=made["id"],
        model=engine.target,
        finish_reason=ended.finish_reason,
        usage=Usage(usage["input_tokens"], usage["output_tokens"]) if usage else None,
        first_token_ms=engine.first_ms,
    )
