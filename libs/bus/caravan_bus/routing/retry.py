"""What follows on a failure before the first byte: the same target again, the next one, or the end. Pure.

| What failed | Then |
| --- | --- |
| 5xx, reset, a stream that broke | the same target again (`same_target` times, within the budget), then the next |
| no first token in time | the next target |
| no worker, all workers busy | the next target |
| 429, and whatever brings a Retry-After | the next target; without one the same when it said, if that is soon |
| context length | a target with a larger context, and no other |
| any other refusal, our own errors | the end: it is the answer |
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from caravan_contracts.errors import (
    CaravanError,
    ContextLengthExceeded,
    DependencyDown,
    RateLimited,
    StreamInterrupted,
    Unavailable,
    UpstreamFailed,
    UpstreamRefused,
)
from caravan_contracts.routes import Retry

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 1.0
TIMEOUT_CODES: Final = frozenset({"upstream_timeout", "first_token_timeout"})
_TOO_LONG: Final = re.compile(
    r"context (length|window|size)|maximum context|prompt is too long|too many (input )?tokens"
    r"|input token count .* exceeds|input is too long",
    re.IGNORECASE,
)


class Fault(StrEnum):
    """Why an attempt failed, as far as it matters for the next."""

    BROKEN = "broken"
    SILENT = "silent"
    LIMITED = "limited"
    TOO_LONG = "context_length"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    """By the provider, and another one has no other answer; or by us."""


def fault_of(error: CaravanError) -> Fault:
    """The class of `error`. Providers do not agree on how to say that a prompt is too long, so its text counts."""
    if error.status == 429 or isinstance(error, RateLimited):
        return Fault.LIMITED
    if isinstance(error, ContextLengthExceeded):
        return Fault.TOO_LONG
    if isinstance(error, UpstreamRefused):
        if error.status == 408:
            return Fault.BROKEN
        too_long = error.status in (400, 413, 422) and _TOO_LONG.search(error.message)
        return Fault.TOO_LONG if too_long else Fault.REFUSED
    if isinstance(error, UpstreamFailed):
        if error.code in TIMEOUT_CODES:
            return Fault.SILENT
        refused = not error.retryable or 400 <= error.status < 500
        return Fault.REFUSED if refused else Fault.BROKEN
    lost = isinstance(error, StreamInterrupted) or error.code == CaravanError.code  # a worker, or its own defect
    if lost or (isinstance(error, Unavailable) and not isinstance(error, DependencyDown)):
        return Fault.UNAVAILABLE
    return Fault.REFUSED


@dataclass(frozen=True, slots=True)
class Step:
    """What is tried next."""

    index: int
    """Which of the candidates."""
    wait: float = 0.0
    """Seconds before."""
    again: bool = False
    """Whether this request asked it before."""


class Course:
    """What one request has tried. `sizes` are the candidates' context lengths, None where nobody knows."""

    def __init__(
        self,
        sizes: Sequence[int | None],
        retry: Retry,
        budget: Callable[[], bool],
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`budget` says whether a target may be asked again, and counts it."""
        self._sizes = sizes
        self._retry = retry
        self._budget = budget
        self._chance = chance
        self._tries = [0] * len(sizes)
        self._out: set[int] = set()
        """Candidates that are no use to this request."""
        self._ready: dict[int, float] = {}
        """When those that said 429 may be asked again."""
        self.spent = False
        """Whether the budget was used up when it was needed."""

    @property
    def tries(self) -> int:
        """Attempts so far."""
        return sum(self._tries)

    def begin(self, index: int) -> None:
        """A candidate is asked."""
        self._tries[index] += 1

    def next(self) -> Step | None:
        """The first candidate that was not asked yet."""
        for index, tries in enumerate(self._tries):
            if not tries and index not in self._out:
                return Step(index)
        return None

    def after(self, index: int, fault: Fault, retry_after: float | None, now: float, remaining: float) -> Step | None:
        """What to do after candidate `index` failed; None when that was all. `remaining` is the request's time."""
        step = self._follow(index, fault, retry_after, now)
        if step is None or step.wait >= remaining:
            return None
        if step.again and not self._budget():
            self.spent = True
            return self.next()
        return step

    def _follow(self, index: int, fault: Fault, retry_after: float | None, now: float) -> Step | None:
        if fault is Fault.REFUSED:
            return None
        if fault is Fault.TOO_LONG:
            return self._larger(index)
        if retry_after is not None and fault in (Fault.LIMITED, Fault.BROKEN):
            self._ready[index] = now + retry_after
        elif fault is Fault.BROKEN:
            return self._same(index) or self.next() or self._later(now)
        elif fault is Fault.LIMITED:
            return self.next() or self._same(index)
        return self.next() or self._later(now)

    def _same(self, index: int) -> Step | None:
        tries = self._tries[index]
        if tries > self._retry.same_target:
            return None
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (tries - 1))
        return Step(index, self._chance(longest / 2, longest), again=True)

    def _later(self, now: float) -> Step | None:
        """A candidate that said when it may be asked again, if that is soon."""
        waits = [
            (max(0.0, at - now), index)
            for index, at in self._ready.items()
            if self._tries[index] <= self._retry.same_target and index not in self._out
        ]
        if not waits or min(waits)[0] > self._retry.max_wait:
            return None
        wait, index = min(waits)
        return Step(index, wait + self._chance(0.0, FIRST_PAUSE / 2), again=True)

    def _larger(self, index: int) -> Step | None:
        """The next candidate that takes longer prompts; one of unknown size only when none is known to."""
        size = self._sizes[index] or 0
        self._out.update(i for i, other in enumerate(self._sizes) if other is not None and other <= size)
        self._out.add(index)
        left = [i for i, tries in enumerate(self._tries) if not tries and i not in self._out]
        known = [i for i in left if self._sizes[i] is not None]
        return Step((known or left)[0]) if left else None
