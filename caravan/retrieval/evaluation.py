"""One way of searching, over all questions."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from caravan.retrieval import metrics
from caravan.retrieval.questions import Passage, Question

FOUND: Final = 10
"""Passages that are looked at."""
Search = Callable[[str], Awaitable[Sequence[Passage]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one way."""

    way: str
    ranks: tuple[int | None, ...]
    """Of each question's answer."""
    milliseconds: float
    """Of a search, the median."""

    def recall(self, k: int) -> float:
        """See :func:`caravan.retrieval.metrics.recall`."""
        return metrics.recall(self.ranks, k)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "search": self.way,
            "questions": len(self.ranks),
            "recall@1": self.recall(1),
            "recall@5": self.recall(5),
            "recall@10": self.recall(10),
            "ndcg@10": metrics.ndcg(self.ranks, FOUND),
            "median_ms": self.milliseconds,
            "ranks": list(self.ranks),
        }


async def evaluate(way: str, search: Search, questions: Sequence[Question]) -> Outcome:
    """Ask one question after the other."""
    ranks, times = [], []
    for question in questions:
        began = time.perf_counter()
        found = await search(question.question)
        times.append((time.perf_counter() - began) * 1000)
        ranks.append(question.rank(found[:FOUND]))
    return Outcome(way, tuple(ranks), statistics.median(times))
