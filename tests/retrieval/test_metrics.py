"""Numbers of rankings, at known values and by what holds for any."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caravan.retrieval.metrics import ndcg, recall

ranks = st.lists(st.one_of(st.none(), st.integers(1, 50)), max_size=30)
depths = st.integers(1, 50)


def test_known_values() -> None:
    found = [1, 3, None, 11]
    assert [recall(found, k) for k in (1, 2, 3, 10, 11)] == [0.25, 0.25, 0.5, 0.5, 0.75]
    assert ndcg(found, 10) == pytest.approx((1 + 1 / 2) / 4)  # 1 / log2(1 + 3) = 1 / 2
    assert ndcg(found, 11) == pytest.approx((1 + 1 / 2 + 1 / math.log2(12)) / 4)
    assert recall([], 10) == ndcg([], 10) == 0


@given(ranks, depths)
def test_they_are_shares_and_ndcg_is_never_more_than_recall(found: list[int | None], k: int) -> None:
    assert 0 <= ndcg(found, k) <= recall(found, k) <= 1
    assert recall(found, 1) == pytest.approx(ndcg(found, 1))


@given(ranks, depths)
def test_deeper_finds_no_less(found: list[int | None], k: int) -> None:
    assert recall(found, k) <= recall(found, k + 1)
    assert ndcg(found, k) <= ndcg(found, k + 1)


@given(st.lists(st.integers(2, 50), min_size=1, max_size=30), depths, st.data())
def test_a_better_place_is_never_worse(found: list[int], k: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(found) - 1))
    better = [*found[:at], found[at] - 1, *found[at + 1 :]]
    assert ndcg(better, k) >= ndcg(found, k)
    assert recall(better, k) >= recall(found, k)
