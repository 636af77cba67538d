"""One row of the table, brought into a phase and watched there."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.cancel.books import Books
from tests.cancel.callers import Answer, HttpCaller, http_caller
from tests.cancel.table import Phase, Row
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import Recorded, ScriptedUpstream
from tests.waiting import until

PATIENCE = 4.0
"""Seconds within which a busy machine has done what is promised within one."""
DEADLINES = {phase: 5.0 if phase is Phase.FULL else 1.5 if phase is Phase.PAUSE else 3.0 for phase in Phase}
"""Seconds: long enough for every request to be in its phase by then; of the pause, shorter than it is."""
_QUIET = 0.5
_FIRST = b'"w0 "'
"""The first word of the upstream, in the JSON of every API."""


class Case:
    """A request and the upstream's records of it."""

    def __init__(self, row: Row, phase: Phase, upstream: ScriptedUpstream) -> None:
        self.row = row
        self.phase = phase
        self.body = row.body(phase, f"case-{uuid.uuid4().hex}")
        self._text = next(text for text in json.dumps(self.body).split('"') if text.startswith("case-"))
        self._upstream = upstream

    @property
    def seen(self) -> list[Recorded]:
        """How its upstream was asked."""
        return [one for one in self._upstream.requests if self._text in json.dumps(one.body)]

    @property
    def held(self) -> bool:
        """Whether it keeps an upstream busy."""
        return any(one.open for one in self.seen)

    async def reach(self) -> None:
        """Until its upstream is where the phase wants it."""
        if self.phase is Phase.LINE:
            return
        if self.phase in (Phase.AGAIN, Phase.NEXT):
            await until(lambda: any(one.open and one.body["model"] == "hang" for one in self.seen), 20, self)
            return
        await until(lambda: bool(self.seen), 20, self)
        [record] = self.seen
        if self.phase is Phase.FULL:
            await _stuck(record)
        elif self.phase is Phase.PAUSE:
            await until(lambda: not record.open, 10, self)

    def __repr__(self) -> str:
        return f"{self.row} ({self.phase}, {[(one.open, one.left) for one in self.seen]})"


@dataclass(frozen=True)
class Table:
    """Requests of one phase, and what was under way before them."""

    cases: list[Case]
    callers: list[HttpCaller]
    rest: dict[str, float]
    asked: float


@asynccontextmanager
async def table(
    mesh: RunningMesh,
    books: Books,
    upstream: ScriptedUpstream,
    phase: Phase,
    rows: Iterable[Row],
    seconds: float | None = None,
) -> AsyncIterator[Table]:
    """A request for each of the rows that has `phase`, all of them in it."""
    async with one_slot_taken(mesh, upstream, phase), AsyncExitStack() as connections:
        rest = await books.open()
        cases = [Case(row, phase, upstream) for row in rows if row.has(phase)]
        asked = time.monotonic()
        callers = [await connections.enter_async_context(http_caller(mesh.url)) for _ in cases]
        for case, caller in zip(cases, callers, strict=True):
            caller.ask(case.row.url(phase), case.body, seconds)
        await asyncio.gather(*(case.reach() for case in cases))
        if phase is Phase.LINE:
            await books.line_of(len(cases), 10)
        if phase in (Phase.STREAM, Phase.NEXT):
            await asyncio.gather(*(caller.word(_FIRST) for caller in callers))
        yield Table(cases, callers, rest, asked)
        assert not any(case.seen for case in cases) or phase is not Phase.LINE, "it was asked all the same"


async def left(made: Table, books: Books) -> None:
    """All clients go away: nothing is held for them, and nobody is asked for them."""
    before = await books.answered(499)
    asked = [len(case.seen) for case in made.cases]
    since = time.monotonic()
    for caller in made.callers:
        caller.leave()
    await freed(made.cases, books, made.rest, since)
    assert [len(case.seen) for case in made.cases] == asked, "somebody was asked for nobody"
    await books.until_answered(499, before + len(made.cases), PATIENCE)


async def answers(made: Table, books: Books, limit: float) -> list[Answer]:
    """What all clients have at their deadline, by which nothing is held any more."""
    phase = made.cases[0].phase
    if phase is Phase.FULL:
        # nobody reads: what the request holds is free all the same
        await freed(made.cases, books, made.rest, made.asked + limit)
    found = await asyncio.gather(*(caller.answer(limit + PATIENCE) for caller in made.callers))
    took = time.monotonic() - made.asked
    if phase is not Phase.PAUSE:
        assert limit <= took < limit + PATIENCE
    await freed(made.cases, books, made.rest, made.asked + limit)
    return found


@asynccontextmanager
async def one_slot_taken(mesh: RunningMesh, upstream: ScriptedUpstream, phase: Phase) -> AsyncIterator[None]:
    """For the phase `line`, whose provider has one."""
    if phase is not Phase.LINE:
        yield
        return
    first = Case(Row("chat", "/v1/chat/completions"), phase, upstream)
    async with http_caller(mesh.url) as holder:
        holder.ask(first.row.path, first.body)
        await until(lambda: first.held, 10, first)
        yield
        holder.leave()


async def _stuck(record: Recorded) -> None:
    """Until an upstream could send nothing for a while."""
    end = time.monotonic() + 20
    count, since = -1, 0.0
    while count != record.sent or not count or time.monotonic() - since < _QUIET:
        assert time.monotonic() < end, "nothing holds the upstream back"
        if count != record.sent:
            count, since = record.sent, time.monotonic()
        await asyncio.sleep(0.01)


async def freed(cases: Sequence[Case], books: Books, rest: dict[str, float], since: float) -> None:
    """The upstreams' connections were closed by the worker, and no process has more left open than `rest`."""
    await until(lambda: not any(case.held for case in cases), since + PATIENCE - time.monotonic(), cases)
    left_alone = [case for case in cases if case.phase not in (Phase.LINE, Phase.PAUSE) and not case.seen[-1].left]
    assert not left_alone, "the upstream came to its end by itself"
    await books.agree(rest, since + PATIENCE - time.monotonic())
