"""Over HTTP, at two gateways: a client that leaves and a deadline that passes free all that a request holds.

Each test is one phase of the table, with all of its rows at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from caravan_gateway.watch import LAST_SECONDS

from tests.cancel.books import Books
from tests.cancel.callers import Answer, HttpCaller, http_caller
from tests.cancel.cases import DEADLINES, PATIENCE, Case, freed, one_slot_taken
from tests.cancel.table import MID_STREAM, Phase, Row, http_rows
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)


class Table:
    """Requests of one phase, and what was under way before them."""

    def __init__(self, cases: list[Case], callers: list[HttpCaller], rest: dict[str, float], asked: float) -> None:
        self.cases = cases
        self.callers = callers
        self.rest = rest
        self.asked = asked


@asynccontextmanager
async def table(
    mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, phase: Phase, seconds: float | None = None
) -> AsyncIterator[Table]:
    """A request for each row that has `phase`, all of them in it."""
    async with one_slot_taken(mesh, upstream, phase), AsyncExitStack() as connections:
        rest = await books.open()
        cases = [Case(row, phase, upstream) for row in http_rows() if row.has(phase)]
        asked = time.monotonic()
        callers = [await connections.enter_async_context(http_caller(mesh.url)) for _ in cases]
        for case, caller in zip(cases, callers, strict=True):
            caller.ask(case.row.path, case.body, seconds)
        await asyncio.gather(*(case.reach() for case in cases))
        if phase is Phase.LINE:
            await books.line_of(len(cases), 10)
        if phase in (Phase.STREAM, Phase.NEXT):
            await asyncio.gather(*(caller.word() for caller in callers))
        yield Table(cases, callers, rest, asked)
        assert not any(case.seen for case in cases) or phase is not Phase.LINE, "it was asked all the same"


@pytest.mark.parametrize("phase", Phase)
async def test_a_client_that_leaves(mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, phase: Phase) -> None:
    before = await books.answered(499)
    async with table(mesh, books, upstream, phase) as made:
        asked = [len(case.seen) for case in made.cases]
        left = time.monotonic()
        for caller in made.callers:
            caller.leave()
        await freed(made.cases, books, made.rest, left)
        assert [len(case.seen) for case in made.cases] == asked, "somebody was asked for nobody"
        assert await books.answered(499) == before + len(made.cases)


@pytest.mark.parametrize("phase", Phase)
async def test_a_deadline_that_passes(
    mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, phase: Phase
) -> None:
    limit = DEADLINES[phase]
    async with table(mesh, books, upstream, phase, limit) as made:
        if phase is Phase.FULL:
            # nobody reads: what the request holds is free all the same
            await freed(made.cases, books, made.rest, made.asked + limit)
        answers = await asyncio.gather(*(caller.answer(limit + PATIENCE) for caller in made.callers))
        took = time.monotonic() - made.asked
        if phase is not Phase.PAUSE:
            assert limit <= took < limit + PATIENCE
        await freed(made.cases, books, made.rest, made.asked + limit)
        for case, answer in zip(made.cases, answers, strict=True):
            check(case, answer)


def check(case: Case, answer: Answer) -> None:
    """What its client sees of a deadline."""
    if case.phase is Phase.PAUSE:  # there is no time to wait for the provider: its word is the answer, at once
        assert (answer.status, len(case.seen)) == (429, 1), case
        assert answer.headers["retry-after"] == "2"
        error = json.loads(answer.body)["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        return
    if case.phase in MID_STREAM:
        assert answer.status == 200
        assert b"[DONE]" not in answer.body, case
        error = json.loads(answer.events[-1])["error"]
        words = [json.loads(event)["choices"][0] for event in answer.events[:-1]]
        assert words and not any(word["finish_reason"] for word in words)
    else:
        assert answer.status == 504, case
        error = json.loads(answer.body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    # of a stream that nobody could go on with in time, what broke it is told
    assert error["code"] == ("upstream_stream_broken" if case.phase is Phase.NEXT else "deadline_exceeded")


async def test_a_client_that_never_reads_is_cut_off_soon_after_its_deadline(
    mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    case = Case(Row("chat", "/v1/chat/completions", stream=True), Phase.FULL, upstream)
    async with http_caller(mesh.url) as caller:
        caller.ask(case.row.path, case.body, 2.0)
        await case.reach()
        await until(lambda: not case.held, 2.0 + PATIENCE, case)
        await caller.cut_off(LAST_SECONDS + PATIENCE)
