"""Over HTTP, at two gateways: a client that leaves and a deadline that passes free all that a request holds.

Each test is one phase of the table, with all of its rows at once.
"""

from __future__ import annotations

import json

import pytest
from caravan_gateway.watch import LAST_SECONDS

from tests.cancel.books import Books
from tests.cancel.callers import Answer, http_caller
from tests.cancel.cases import DEADLINES, PATIENCE, Case, answers, left, table
from tests.cancel.table import MID_STREAM, Phase, Row, http_rows
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("phase", Phase)
async def test_a_client_that_leaves(mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, phase: Phase) -> None:
    async with table(mesh, books, upstream, phase, http_rows()) as made:
        await left(made, books)


@pytest.mark.parametrize("phase", Phase)
async def test_a_deadline_that_passes(
    mesh: RunningMesh, books: Books, upstream: ScriptedUpstream, phase: Phase
) -> None:
    limit = DEADLINES[phase]
    async with table(mesh, books, upstream, phase, http_rows(), limit) as made:
        for case, answer in zip(made.cases, await answers(made, books, limit), strict=True):
            check(case, answer)


def check(case: Case, answer: Answer) -> None:
    """What its client sees of a deadline."""
    if case.row.verb == "messages":
        check_message(case, answer)
        return
    if case.phase is Phase.PAUSE:  # there is no time to wait for the provider: its word is the answer, at once
        assert (answer.status, len(case.seen)) == (429, 1), case
        assert answer.headers["retry-after"] == "4"
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


def check_message(case: Case, answer: Answer) -> None:
    """The same in Anthropic's words."""
    mid_stream = case.phase in MID_STREAM
    told = answer.events[-1].partition(b"data: ")[2] if mid_stream else answer.body
    status, kind = (429, "rate_limit_error") if case.phase is Phase.PAUSE else (504, "timeout_error")
    assert answer.status == (200 if mid_stream else status), case
    assert json.loads(told)["error"]["type"] == kind
    assert len(answer.events) > 1 or not mid_stream


async def test_a_client_that_never_reads_is_cut_off_soon_after_its_deadline(
    mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    case = Case(Row("chat", "/v1/chat/completions", stream=True), Phase.FULL, upstream)
    async with http_caller(mesh.url) as caller:
        caller.ask(case.row.path, case.body, 2.0)
        await case.reach()
        await until(lambda: not case.held, 2.0 + PATIENCE, case)
        await caller.cut_off(LAST_SECONDS + PATIENCE)
