"""``caravan.client``: cancelled tasks and deadlines, in every phase and for every resource."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from caravan.client import APIError, APITimeoutError, Caravan, RateLimitError
from tests.cancel.books import Books
from tests.cancel.cases import DEADLINES, PATIENCE, Case, freed, one_slot_taken
from tests.cancel.table import MID_STREAM, Phase, bus_rows
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(120)]

_ERRORS = {
    Phase.PAUSE: (RateLimitError,),
    # the stream has begun: the worker says so in it, unless this end notices first
    Phase.NEXT: (APIError, APITimeoutError),
}


@pytest.fixture
async def bus(mesh: RunningMesh) -> AsyncIterator[Caravan]:
    async with Caravan.connect(data_dir=mesh.folder / "data", max_retries=0, timeout=60) as made:
        yield made


class Use:
    """A program that asks for one answer and reads it; in the phase `full` it takes its time with the first event."""

    def __init__(self, bus: Caravan, case: Case, seconds: float | None = None) -> None:
        self.case = case
        self.events = 0
        self.begun = asyncio.Event()
        self.reads = asyncio.Event()
        if case.phase is not Phase.FULL:
            self.reads.set()
        asked = dict(case.body)
        if seconds is not None:
            asked["extra_headers"] = {"X-Caravan-Timeout": str(seconds)}
        self.task = asyncio.create_task(self._run(bus, asked))

    async def _run(self, bus: Caravan, asked: dict[str, Any]) -> None:
        ask: Any = {
            "chat": bus.chat.completions.create,
            "completions": bus.completions.create,
            "embeddings": bus.embeddings.create,
            "rerank": bus.rerank,
        }[self.case.row.verb]
        answer = await ask(**asked)
        self.begun.set()
        if self.case.row.stream:
            async for _ in answer:
                self.events += 1
                await self.reads.wait()


async def used(
    bus: Caravan, books: Books, upstream: ScriptedUpstream, phase: Phase, seconds: float | None = None
) -> list[Use]:
    uses = [Use(bus, Case(row, phase, upstream), seconds) for row in bus_rows() if row.has(phase)]
    await asyncio.gather(*(use.case.reach() for use in uses))
    if phase is Phase.LINE:
        await books.line_of(len(uses), 10)
    if phase in (Phase.STREAM, Phase.NEXT):
        async with asyncio.timeout(20):
            await asyncio.gather(*(use.begun.wait() for use in uses))
    return uses


@pytest.mark.parametrize("phase", Phase)
async def test_a_task_that_is_cancelled(
    mesh: RunningMesh, bus: Caravan, books: Books, upstream: ScriptedUpstream, phase: Phase
) -> None:
    async with one_slot_taken(mesh, upstream, phase):
        rest = await books.open()
        uses = await used(bus, books, upstream, phase)
        asked = [len(use.case.seen) for use in uses]
        since = time.monotonic()
        for use in uses:
            use.task.cancel()
        await asyncio.wait([use.task for use in uses], timeout=PATIENCE)
        assert all(use.task.cancelled() for use in uses)
        await freed([use.case for use in uses], books, rest, since)
        await until(lambda: bus.open_streams == 0, 1.0)  # a stream that is forgotten is given up a turn later
        assert [len(use.case.seen) for use in uses] == asked, "somebody was asked for nobody"


@pytest.mark.parametrize("phase", Phase)
async def test_a_deadline_that_passes(
    mesh: RunningMesh, bus: Caravan, books: Books, upstream: ScriptedUpstream, phase: Phase
) -> None:
    limit = DEADLINES[phase]
    async with one_slot_taken(mesh, upstream, phase):
        rest = await books.open()
        asked = time.monotonic()
        uses = await used(bus, books, upstream, phase, limit)
        if phase is Phase.FULL:
            await freed([use.case for use in uses], books, rest, asked + limit)
        for use in uses:
            use.reads.set()
        await asyncio.wait([use.task for use in uses], timeout=limit + PATIENCE)
        await freed([use.case for use in uses], books, rest, asked + limit)
        assert bus.open_streams == 0
        for use in uses:
            error = use.task.exception()
            assert type(error) in _ERRORS.get(phase, (APITimeoutError,)), use.case
            assert bool(use.events) is (phase in MID_STREAM)
