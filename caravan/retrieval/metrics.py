"""Numbers of rankings with one right answer each, from its ranks: 1 is the first place, None is not found."""

from __future__ import annotations

import math
from collections.abc import Sequence

Ranks = Sequence[int | None]


def recall(ranks: Ranks, k: int) -> float:
    """The share of questions whose answer is among the first `k`; 0 when there are none."""
    return sum(rank is not None and rank <= k for rank in ranks) / max(1, len(ranks))


def ndcg(ranks: Ranks, k: int) -> float:
    """The mean of 1 / log2(1 + rank) over all questions, 0 beyond `k`: normalised discounted cumulative gain (Järvelin
    and Kekäläinen, 2002) with one right answer, so that the ideal gain is 1."""
    gains = (1 / math.log2(1 + rank) for rank in ranks if rank is not None and rank <= k)
    return math.fsum(gains) / max(1, len(ranks))
