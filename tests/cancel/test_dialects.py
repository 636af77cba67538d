"""APIs of others over HTTP, in every phase: their words change nothing of what a request holds and when it is free."""

from __future__ import annotations

import json
from typing import cast

import pytest

from tests.cancel.books import Books
from tests.cancel.callers import Answer
from tests.cancel.cases import DEADLINES, Case, answers, left, table
from tests.cancel.dialect_rows import APIS, INTERACTIONS, DialectRow
from tests.cancel.table import MID_STREAM, Phase
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(
    "phase", [pytest.param(phase, marks=() if phase is Phase.STREAM else pytest.mark.long) for phase in Phase]
)
@pytest.mark.parametrize("api", APIS)
async def test_a_client_that_leaves(
    mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, api: str, phase: Phase
) -> None:
    async with table(mesh, books, upstream, phase, APIS[api]) as made:
        await left(made, books)


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("api", APIS)
async def test_a_deadline_that_passes(
    mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, api: str, phase: Phase
) -> None:
    limit = DEADLINES[phase]
    async with table(mesh, books, upstream, phase, APIS[api], limit) as made:
        for case, answer in zip(made.cases, await answers(made, books, limit), strict=True):
            check(case, answer)


def check(case: Case, answer: Answer) -> None:
    """What its client sees of a deadline."""
    api = cast("DialectRow", case.row).api
    if case.phase in MID_STREAM:
        assert answer.status == 200
        assert api.broke(answer.body), (case, answer.body[-500:])
    elif api is INTERACTIONS and answer.status == 200:
        # it had begun when its model was asked: it is told as one that failed
        assert case.row.stream or case.phase is not Phase.PAUSE, case
        assert api.broke(answer.body) if case.row.stream else failed(answer), (case, answer.body)
    else:
        # of a pause that is longer than the time there is, the provider's own word is the answer, at once
        assert answer.status == (429 if case.phase is Phase.PAUSE else 504), (case, answer)
        assert api.refused(answer.body), (case, answer.body)


def failed(answer: Answer) -> bool:
    """Whether a whole interaction says that it is none."""
    told = json.loads(answer.body)
    return bool(told["status"] == "failed" and not told["outputs"] and told["errors"])
