"""How the texts of several calls become runs of the model; the model here is one that is told when to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from caravan_contracts.errors import Unavailable
from caravan_inference.providers.onnx_embeddings.batches import MAX_ROWS, MAX_TOKENS, Share, cost_of_run, plan
from caravan_inference.providers.onnx_embeddings.turns import Rows, Turns
from hypothesis import given
from hypothesis import strategies as st


class Held:
    """An encoder whose vectors are the rows themselves; each run waits for `go`."""

    def __init__(self) -> None:
        self.runs: list[Rows] = []
        self.free = asyncio.Semaphore(0)
        self.poison: list[int] = []

    async def embed(self, rows: Rows) -> Sequence[Any]:
        self.runs.append(rows)
        await self.free.acquire()
        if self.poison in rows:
            raise ValueError("poison")
        return rows

    def go(self, runs: int = 1) -> None:
        for _ in range(runs):
            self.free.release()


@pytest_asyncio.fixture
async def held() -> AsyncIterator[tuple[Turns, Held]]:
    model = Held()
    turns = Turns(model.embed, cost_of_run(threads=1))
    yield turns, model
    await turns.close()


def text(number: int, length: int = 4) -> list[int]:
    return [number] * length


async def begun(model: Held, runs: int) -> None:
    async with asyncio.timeout(30):
        while len(model.runs) < runs:
            await asyncio.sleep(0)


async def test_an_idle_model_begins_at_once_and_the_rest_is_merged(held: tuple[Turns, Held]) -> None:
    turns, model = held
    first = asyncio.create_task(turns.vectors([text(0)]))
    await begun(model, 1)
    others = [asyncio.create_task(turns.vectors([text(i)])) for i in range(1, 6)]
    model.go(2)
    assert await first == [text(0)]
    assert await asyncio.gather(*others) == [[text(i)] for i in range(1, 6)]
    assert [len(run) for run in model.runs] == [1, 5]


async def test_each_call_gets_its_own_vectors_in_its_order(held: tuple[Turns, Held]) -> None:
    turns, model = held
    calls = [[text(1, 9), text(2, 3), text(3, 60)], [text(4, 60)], [text(5, 3), text(6, 9)]]
    model.go(50)
    made = await asyncio.gather(*(turns.vectors(rows) for rows in calls))
    assert made == calls


async def test_a_small_call_does_not_wait_for_all_of_a_large_one(held: tuple[Turns, Held]) -> None:
    turns, model = held
    large = asyncio.create_task(turns.vectors([text(1, 200)] * 40))
    await begun(model, 1)
    small = asyncio.create_task(turns.vectors([text(2, 5)]))
    model.go(3)
    assert await asyncio.wait_for(small, 30) == [text(2, 5)]
    assert not large.done()
    large.cancel()
    await asyncio.gather(large, return_exceptions=True)


async def test_a_cancelled_call_leaves_the_line(held: tuple[Turns, Held]) -> None:
    turns, model = held
    first = asyncio.create_task(turns.vectors([text(0)]))
    await begun(model, 1)
    waiting = [asyncio.create_task(turns.vectors([text(i)])) for i in range(1, 4)]
    await asyncio.sleep(0)
    first.cancel()  # under way: its company and its followers go on
    waiting[0].cancel()
    await asyncio.gather(first, waiting[0], return_exceptions=True)
    model.go(2)
    assert await asyncio.gather(*waiting[1:]) == [[text(2)], [text(3)]]
    assert model.runs == [[text(0)], [text(2), text(3)]]


async def test_only_the_call_that_is_to_blame_fails(held: tuple[Turns, Held]) -> None:
    turns, model = held
    model.poison = text(2)
    first = asyncio.create_task(turns.vectors([text(0)]))
    await begun(model, 1)
    others = [asyncio.create_task(turns.vectors([text(i)])) for i in range(1, 4)]
    model.go(10)
    await first
    good, bad, also_good = await asyncio.gather(*others, return_exceptions=True)
    assert (good, also_good) == ([text(1)], [text(3)])
    assert isinstance(bad, ValueError)
    assert await turns.vectors([text(7)]) == [text(7)]


async def test_closing_ends_every_call() -> None:
    model = Held()
    turns = Turns(model.embed, cost_of_run(threads=1))
    calls = [asyncio.create_task(turns.vectors([text(i)])) for i in range(3)]
    await begun(model, 1)
    await turns.close()
    ends = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)
    assert all(isinstance(end, Unavailable) for end in ends)


RUN_TOKENS = cost_of_run(threads=1)
LENGTHS = st.lists(st.lists(st.integers(1, 600), min_size=1, max_size=60), min_size=1, max_size=8)


@given(calls=LENGTHS)
def test_every_text_is_in_one_batch_and_batches_are_bounded(calls: list[list[int]]) -> None:
    shares = [Share(lengths) for lengths in calls]
    seen: dict[int, list[int]] = {i: [] for i in range(len(calls))}
    while waiting := [share for share in shares if share.waiting]:
        batch = plan(waiting[0], waiting[1:], RUN_TOKENS)
        sizes = [calls[shares.index(share)][position] for share, position in batch.rows]
        assert 0 < len(sizes) <= MAX_ROWS
        assert batch.longest == max(sizes)
        assert len(sizes) == 1 or len(sizes) * max(sizes) <= MAX_TOKENS
        assert sum(max(sizes) - size for size in sizes) <= RUN_TOKENS * (len(sizes) - 1)
        for share, position in batch.rows:
            seen[shares.index(share)].append(position)
    assert {i: sorted(positions) for i, positions in seen.items()} == {
        i: list(range(len(lengths))) for i, lengths in enumerate(calls)
    }


@pytest.mark.parametrize(("own", "rows"), [(4 + RUN_TOKENS, 2), (5 + RUN_TOKENS, 1)])
def test_texts_go_together_when_padding_costs_less_than_a_run(own: int, rows: int) -> None:
    assert len(plan(Share([4, own]), [], RUN_TOKENS).rows) == rows


@pytest.mark.parametrize(("length", "rows"), [(8 * RUN_TOKENS, 2), (8 * RUN_TOKENS + 8, 1)])
def test_a_text_overtakes_others_only_when_that_gains_something(length: int, rows: int) -> None:
    assert len(plan(Share([length]), [Share([length])], RUN_TOKENS).rows) == rows
    assert len(plan(Share([length, length]), [], RUN_TOKENS).rows) == 2


def test_more_threads_make_runs_dearer_and_batches_larger() -> None:
    assert [cost_of_run(threads) for threads in (1, 2, 4, 64)] == [7, 21, 49, 64]
