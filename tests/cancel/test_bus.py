"""Over the bus: what is freed when its users leave or are late, in frames and in plain messages."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.cancel.books import Books
from tests.cancel.bus_users import BusAnswer, BusUser, bus_user
from tests.cancel.cases import DEADLINES, PATIENCE, Case, freed, one_slot_taken
from tests.cancel.table import MID_STREAM, Phase, bus_rows
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = pytest.mark.timeout(120)

UNHEARD = 9.0
"""Seconds within which a framed user that is gone without a word is noticed: six, and what a busy machine takes."""
QUICK = {True: Phase.STREAM, False: Phase.SILENT}
"""In which phase a deadline passes in every run of the tests, of those that are framed and of plain ones."""


def phases(framed: bool) -> list[Phase]:
    """A plain user has no credit, and so is never too slow."""
    return [phase for phase in Phase if framed or phase is not Phase.FULL]


async def reached(cases: list[Case], answers: list[BusAnswer], books: Books, phase: Phase) -> None:
    """Until all of them are in `phase`."""
    await asyncio.gather(*(case.reach() for case in cases))
    if phase is Phase.LINE:
        await books.line_of(len(cases), 10)
    if phase in (Phase.STREAM, Phase.NEXT):
        async with asyncio.timeout(20):
            await asyncio.gather(*(answer.begun.wait() for answer in answers))


async def begun(
    user: BusUser, books: Books, upstream: ScriptedUpstream, phase: Phase, framed: bool, seconds: float | None = None
) -> tuple[list[Case], list[BusAnswer]]:
    cases = [Case(row, phase, upstream) for row in bus_rows() if row.has(phase)]
    answers = [await user.ask(case.row.path, case.body, framed, seconds) for case in cases]
    await reached(cases, answers, books, phase)
    return cases, answers


@pytest.mark.parametrize("phase", Phase)
async def test_a_framed_user_that_cancels(
    mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, phase: Phase
) -> None:
    async with one_slot_taken(mesh, upstream, phase), bus_user(mesh) as user:
        rest = await books.open()
        cases, answers = await begun(user, books, upstream, phase, framed=True)
        asked = [len(case.seen) for case in cases]
        since = time.monotonic()
        for answer in answers:
            await user.cancel(answer)
        await freed(cases, books, rest, since)
        assert [len(case.seen) for case in cases] == asked, "somebody was asked for nobody"


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.parametrize("phase", [Phase.SILENT, Phase.STREAM, Phase.FULL])
async def test_a_framed_user_that_is_gone_without_a_word(
    mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, phase: Phase
) -> None:
    async with bus_user(mesh) as user:
        cases, _ = await begun(user, books, upstream, phase, framed=True)
        since = time.monotonic()
    await freed(cases, books, {}, since + UNHEARD - PATIENCE)


@pytest.mark.parametrize("says_goodbye_to_nats", [True, False], ids=["closes", "unsubscribes"])
async def test_a_plain_user_that_listens_no_more(
    mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, says_goodbye_to_nats: bool
) -> None:
    async with bus_user(mesh) as user:
        cases, answers = await begun(user, books, upstream, Phase.STREAM, framed=False)
        since = time.monotonic()
        if says_goodbye_to_nats:
            await user.client.close()
        else:
            await asyncio.gather(*(user.unhear(answer) for answer in answers))
        await freed(cases, books, {}, since)


@pytest.mark.parametrize(
    ("phase", "framed"),
    [
        pytest.param(phase, framed, marks=() if phase is QUICK[framed] else pytest.mark.long)
        for framed in (True, False)
        for phase in phases(framed)
    ],
)
async def test_a_deadline_that_passes(
    mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, phase: Phase, framed: bool
) -> None:
    limit = DEADLINES[phase]
    async with one_slot_taken(mesh, upstream, phase), bus_user(mesh) as user:
        rest = await books.open()
        asked = time.monotonic()
        cases, answers = await begun(user, books, upstream, phase, framed, limit)
        async with asyncio.timeout(limit + PATIENCE):
            await asyncio.gather(*(answer.over.wait() for answer in answers))
        assert phase is Phase.PAUSE or time.monotonic() - asked >= limit
        await freed(cases, books, rest, asked + limit)
        for case, answer in zip(cases, answers, strict=True):
            assert answer.error is not None, case
            assert b"[DONE]" not in answer.data
            if phase is Phase.PAUSE:
                assert (answer.error["code"], len(case.seen)) == ("scripted_code", 1)
            else:
                code = "upstream_stream_broken" if phase is Phase.NEXT else "deadline_exceeded"
                assert answer.error["code"] == code, case
                assert bool(answer.data) is (phase in MID_STREAM)
