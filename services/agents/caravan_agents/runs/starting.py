"""A run at its beginning, or where another process left it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from caravan_bus import metrics
from caravan_bus.routing.delivered import Delivered
from caravan_bus.routing.splice import Splice
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CannotContinue, CaravanError, DependencyDown

from caravan_agents.responses.assembly import ResponseObject
from caravan_agents.responses.ids import of_input
from caravan_agents.responses.items import Item
from caravan_agents.responses.preparing import check, history, prepare
from caravan_agents.responses.request import SEALED, ResponseRequest, read_request
from caravan_agents.responses.turn import Hooks
from caravan_agents.runs.engine import Ended, Engine, failure_of
from caravan_agents.runs.journal import Claimed
from caravan_agents.runs.log import Out, RunLog
from caravan_agents.runs.packing import unpack
from caravan_agents.runs.parts import Parts
from caravan_agents.runs.rebuild import (
    CannotRebuild,
    Event,
    apply,
    go_on_in_turn,
    is_terminal,
    last_number,
    namer,
    read_events,
    skip_life,
    writer_at,
)
from caravan_agents.runs.state import Opened, State
from caravan_agents.runs.tail import Fenced
from caravan_agents.tools.base import Kit

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """A run that :meth:`Engine.run` makes go on."""

    engine: Engine
    log: RunLog
    given: list[Item]
    broken: Ended | None = None
    """How it ends, when it cannot go on."""


@dataclass(frozen=True, slots=True)
class Left:
    """What another process left of a run."""

    run: Claimed | None
    """None when it was never written down."""
    fenced: Fenced | None
    """Its tail, when Redis has it."""
    after: int = 0
    """Events that whoever reads it has."""


async def open_run(request: ResponseRequest, context: RequestContext, parts: Parts) -> tuple[ResponseRequest, Opened]:
    """What a run begins with. Raises InvalidRequest, NotFound, and what keeps us from knowing what is there."""
    check(request, parts.compactor.sealing)
    await parts.kit.check(request, context)
    await parts.attachments.check(request.input, context)
    tenant = context.principal.tenant
    request = await prepare(request, tenant, parts.prompts)
    before, given = await history(request, tenant, parts.store)
    return request, Opened(int(time.time()), [*before, *given], given, request.model, request.instructions)


def start(
    parts: Parts,
    context: RequestContext,
    id: str,
    request: ResponseRequest,
    opened: Opened,
    out: Out | None,
    run: Claimed | None,
    credentials: Mapping[str, str] | None = None,
    epoch: int = 1,
) -> Started:
    """From its beginning; `epoch` is that of its tail when it is not journaled."""
    tenant = context.principal.tenant
    response = ResponseObject(id, opened.created_at, request)
    kit = parts.kit(request, context)
    hooks = _hooks(parts, tenant, response, kit)
    queued = run is not None and run.background
    state = State(said=list(opened.items), sequence=2 if queued else 0)
    writer = writer_at(response, state, hooks)
    opening = writer.begin() if queued else writer.start() + writer.begin()
    events = RunLog(out, keep=request.store)
    if request.store and (request.stream or queued):
        events.to_tail(parts.tail, tenant, id, run.epoch if run is not None else epoch)
    engine = Engine(
        parts, context, request, state, writer, events, run, kit, credentials, hooks, opened=opened, opening=opening
    )
    return Started(engine, events, opened.given)


async def go_on(
    parts: Parts,
    context: RequestContext,
    id: str,
    request: ResponseRequest,
    opened: Opened,
    out: Out | None,
    left: Left,
    credentials: Mapping[str, str] | None = None,
) -> Started:
    """Where another process left it. Raises CannotContinue when its reader has events that nobody else has."""
    metrics.RUNS_TAKEN.inc()
    tenant = context.principal.tenant
    run, fenced, after = left.run, left.fenced, left.after
    state = State.decode(run.checkpoint) if run is not None and run.checkpoint else State(said=list(opened.items))
    known, in_postgres = await _known(parts, tenant, id, left, state.sequence)
    said = _in_order(known, state.sequence)
    behind = said[-1].number + 1 if said else state.sequence
    _catch_up(out, known, after, behind)
    response = ResponseObject(id, opened.created_at, request)
    kit = parts.kit(request, context)
    if kit is not None:
        kit.learn(state.said)
    hooks = _hooks(parts, tenant, response, kit)
    events = RunLog(out, keep=True)
    life = _begun(response, state, said, hooks) if run is None else 0
    for place, event in enumerate(said):
        if place == life:
            events.begin_turn()
        events.before(event.number, event.number + 1, event.raw)
    said = said[life:]
    events.saved(in_postgres)
    if request.stream or request.background:
        epoch = fenced.epoch if fenced is not None else run.epoch if run is not None else 1
        tail = events.to_tail(parts.tail, tenant, id, epoch)
        if fenced is not None:
            tail.go_on(behind)
    splice: Splice | None = None
    broken: Ended | None = None
    in_turn = not state.pending and (kit is None or state.opened)
    writer = writer_at(response, state, hooks)
    if in_turn and said:
        try:
            splice = Splice(Delivered.read(go_on_in_turn(writer, said)), replay=True)
        except CannotRebuild:
            broken = failure_of(CannotContinue("what was said of this response last cannot be gone on with"))
    if not in_turn or broken is not None:
        apply(state.output, said)
        state = replace(state, sequence=behind)
        writer = writer_at(response, state, hooks)
    engine = Engine(parts, context, request, state, writer, events, run, kit, credentials, hooks, splice=splice)
    return Started(engine, events, opened.given, broken)


def _catch_up(out: Out | None, known: dict[int, Event], after: int, behind: int) -> None:
    """Tell whoever reads it what was said, from the number `after` on."""
    if after > behind:
        raise CannotContinue("what was said of this response last is lost, and so it cannot be finished")
    if out is None or after >= behind:
        return
    if any(number not in known for number in range(after, behind)):
        raise CannotContinue("some of what was said of this response is lost, and so it cannot be finished")
    out.write(b"".join([known[number].raw for number in range(after, behind)]))


async def at_its_end(parts: Parts, context: RequestContext, run: Claimed, ended: Ended) -> Started:
    """A run that can only be ended, behind whatever was said of it. Raises DependencyDown."""
    fenced: Fenced | None = None
    try:
        fenced = await parts.tail.fence(run.tenant, run.id, run.epoch, parts.instance)
    except DependencyDown as error:
        log.info("the tail of a run cannot be read now: %s", error.message)
    known, in_postgres = await _known(parts, run.tenant, run.id, Left(run, fenced), 0)
    said = _in_order(known, 0)
    behind = len(said)
    try:
        body, _ = unpack(parts.compactor.sealing, run.tenant, run.body)
        request = read_request(body, of_input(run.id))
    except CaravanError:
        request = ResponseRequest(model=run.model, background=run.background)
    response = ResponseObject(run.id, run.created_at, request)
    state = State(said=[], sequence=behind)
    apply(state.output, said)
    writer = writer_at(response, state, Hooks(namer(response)))
    events = RunLog(None, keep=True)
    for event in said:
        if event.number >= in_postgres:
            events.before(event.number, event.number + 1, event.raw)
    events.saved(in_postgres)
    tail = events.to_tail(parts.tail, run.tenant, run.id, fenced.epoch if fenced is not None else run.epoch)
    if fenced is not None:
        tail.go_on(behind)
    engine = Engine(parts, context, request, state, writer, events, run)
    engine.closing = b"" if said else writer.start()
    return Started(engine, events, list(request.input), ended)


async def forget_unseen(parts: Parts, run: Claimed, sequence: int) -> bool:
    """Forget what was said from the event `sequence` on, if nobody can have read it: the turn is made anew."""
    pieces = await parts.journal.events(run.tenant, run.id, sequence)
    if any(last_number(data) >= sequence for _, data in pieces):
        return False
    try:
        return await parts.tail.restart(run.tenant, run.id, run.epoch)
    except DependencyDown:
        return False


def ended(fenced: Fenced) -> bool:
    """Whether the last thing that was said is the end."""
    entries = [entry for entry in fenced.entries if entry.data]
    return bool(entries) and is_terminal(entries[-1].data)


def _hooks(parts: Parts, tenant: str, response: ResponseObject, kit: Kit | None) -> Hooks:
    seal = parts.compactor.sealing.of_reasoning(tenant) if SEALED in response.request.include else None
    if kit is None:
        return Hooks(namer(response), None, seal)
    return Hooks(namer(response), kit.annotate, seal, kit.cited)


def _begun(response: ResponseObject, state: State, said: list[Event], hooks: Hooks) -> int:
    """Bring `state`, which is that of a run that was never written down, behind the events of its beginning; how many
    those are."""
    if not said:
        return 0
    life = len(said) - len(skip_life(said))
    response.created_at = said[0].data["response"]["created_at"]
    writer = writer_at(response, state, hooks)
    if writer.start() + writer.begin() != b"".join([event.raw for event in said[:life]]):
        raise CannotContinue("this response was begun as another one")
    state.sequence = writer.sequence
    return life


async def _known(parts: Parts, tenant: str, id: str, left: Left, sequence: int) -> tuple[dict[int, Event], int]:
    """What was said, by its numbers, and the number behind the last that PostgreSQL has."""
    pieces = await parts.journal.events(tenant, id, min(left.after, sequence)) if left.run is not None else []
    known = {event.number: event for _, data in pieces for event in read_events(data)}
    in_postgres = max(known, default=-1) + 1
    for entry in left.fenced.entries if left.fenced is not None else ():
        known.update((event.number, event) for event in read_events(entry.data))
    return known, in_postgres


def _in_order(known: dict[int, Event], first: int) -> list[Event]:
    made = []
    while first in known:
        made.append(known[first])
        first += 1
    return made
