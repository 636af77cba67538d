"""Which texts are computed together, of one call or of several.

A run costs what its padded tokens cost, and as much again as a few tokens for being a run at all. So rows go together
when they are of nearly one length: more padding than a run costs would be no gain. And a text that came later goes
with those before it only where that gains something worth the delay of the ones it overtakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_ROWS = 32
MAX_TOKENS = 512
"""Of one batch, its padding included: bounds the memory and how long other calls wait (about 0.13 s)."""
_OVERTAKING = 8
"""A text of another call must save at least this part of its own cost (an eighth)."""


def cost_of_run(threads: int) -> int:
    """What a run costs by itself, in tokens. MiniLM, measured: 1.7 ms beside 0.25 ms per token with one thread,
    2.9 ms beside 0.14 ms with two."""
    return min(64, 7 * (2 * threads - 1))


class Share:
    """The texts of one call, as far as they still wait: shortest first."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = lengths
        self._order = sorted(range(len(lengths)), key=lengths.__getitem__)
        self._taken = 0

    @property
    def waiting(self) -> bool:
        """Whether there is a text that no batch has taken."""
        return self._taken < len(self._order)

    @property
    def shortest(self) -> int:
        """Tokens of the next one."""
        return self._lengths[self._order[self._taken]]

    def take(self) -> int:
        """The position of the next one."""
        self._taken += 1
        return self._order[self._taken - 1]


@dataclass(slots=True)
class Batch:
    """What is computed in one run: each row's call and its position there."""

    run_tokens: int
    """What a run costs by itself."""
    rows: list[tuple[Share, int]] = field(default_factory=list)
    longest: int = 0

    def take(self, share: Share, *, overtaking: bool) -> None:
        """As many texts of `share` as fit; one that is `overtaking` others must be worth it."""
        while share.waiting and self._fits(share.shortest, share.shortest // _OVERTAKING if overtaking else 0):
            self.longest = max(self.longest, share.shortest)
            self.rows.append((share, share.take()))

    def _fits(self, length: int, gain: int) -> bool:
        count = len(self.rows)
        if not count:
            return True
        longest = max(self.longest, length)
        padding = longest - length + count * (longest - self.longest)
        bounded = count < MAX_ROWS and (count + 1) * longest <= MAX_TOKENS
        return bounded and self.run_tokens - padding >= gain


def plan(first: Share, others: Sequence[Share], run_tokens: int) -> Batch:
    """The next batch: what `first` has, then what goes with it."""
    batch = Batch(run_tokens)
    batch.take(first, overtaking=False)
    for share in others:
        batch.take(share, overtaking=True)
    return batch
