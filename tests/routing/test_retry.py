"""What follows on a failure before the first byte."""

from __future__ import annotations

import pytest
from caravan_bus.routing.budget import FREE, Budget
from caravan_bus.routing.retry import Course, Fault, Step, fault_of
from caravan_contracts import errors as e
from caravan_contracts.routes import Retry


def course(*sizes: int | None, retry: Retry | None = None, budget: bool = True) -> Course:
    return Course(sizes or (None,), retry or Retry(), lambda: budget, lambda low, high: high)


def upstream(cls: type[e.CaravanError], status: int, message: str = "", **more: float) -> e.CaravanError:
    made = cls(message, **more)  # type: ignore[arg-type]
    made.status = status
    return made


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (upstream(e.UpstreamFailed, 500), Fault.BROKEN),
        (upstream(e.UpstreamFailed, 503), Fault.BROKEN),
        (e.UpstreamBroke("reset"), Fault.BROKEN),
        (upstream(e.UpstreamRefused, 408), Fault.BROKEN),
        (e.UpstreamFailed("", code="upstream_timeout"), Fault.SILENT),
        (upstream(e.RateLimited, 429), Fault.LIMITED),
        (upstream(e.UpstreamBroke, 429), Fault.LIMITED),
        (e.ContextLengthExceeded(""), Fault.TOO_LONG),
        (upstream(e.UpstreamRefused, 400, "This model's maximum context length is 8 tokens"), Fault.TOO_LONG),
        (upstream(e.UpstreamRefused, 400, "prompt is too long: 9 tokens > 8 maximum"), Fault.TOO_LONG),
        (upstream(e.UpstreamRefused, 400, "content policy"), Fault.REFUSED),
        (upstream(e.UpstreamRefused, 401, "no context window for you"), Fault.REFUSED),
        (upstream(e.UpstreamBroke, 400, "in its stream"), Fault.REFUSED),
        (e.NoWorker(""), Fault.UNAVAILABLE),
        (e.Overloaded(""), Fault.UNAVAILABLE),
        (e.WorkerLost(""), Fault.UNAVAILABLE),
        (e.StreamInterrupted(""), Fault.UNAVAILABLE),
        (e.CaravanError("the worker failed: KeyError"), Fault.UNAVAILABLE),
        (e.CaravanError("", code="response_too_large"), Fault.REFUSED),
        (e.DependencyDown("Redis"), Fault.REFUSED),
        (e.DeadlineExceeded(""), Fault.REFUSED),
        (e.InvalidRequest(""), Fault.REFUSED),
    ],
)
def test_failures_are_told_apart(error: e.CaravanError, fault: Fault) -> None:
    assert fault_of(error) is fault
    assert fault_of(e.CaravanError.from_wire(error.to_wire())) is fault, "also when a worker tells it"


def walk(
    made: Course, fault: Fault, retry_after: float | None = None, remaining: float = 600.0
) -> list[tuple[int, float]]:
    """Candidates asked after the first one, and the waits before, when all of them fail like this."""
    now, steps = 0.0, []
    step: Step | None = Step(0)
    while step is not None:
        made.begin(step.index)
        step = made.after(step.index, fault, retry_after, now, remaining - now)
        if step is not None:
            now += step.wait
            steps.append((step.index, round(step.wait, 3)))
    return steps


def test_what_broke_is_asked_once_more_and_then_the_next() -> None:
    assert walk(course(None, None), Fault.BROKEN) == [(0, 0.1), (1, 0.0), (1, 0.1)]
    assert walk(course(None, None, retry=Retry(same_target=0)), Fault.BROKEN) == [(1, 0.0)]
    assert walk(course(retry=Retry(same_target=3)), Fault.BROKEN) == [(0, 0.1), (0, 0.2), (0, 0.4)]


def test_the_silent_are_asked_once() -> None:
    assert walk(course(None, None, None), Fault.SILENT) == [(1, 0.0), (2, 0.0)]
    assert walk(course(), Fault.SILENT) == []


def test_a_refusal_is_the_answer() -> None:
    assert walk(course(None, None), Fault.REFUSED) == []


def test_rate_limits_without_a_time() -> None:
    assert walk(course(None, None), Fault.LIMITED) == [(1, 0.0), (1, 0.1)]
    steps = walk(course(retry=Retry(same_target=1)), Fault.LIMITED)
    assert len(steps) <= 3 and sum(wait for _, wait in steps) < 3


def test_rate_limits_with_a_time_are_waited_for_only_when_nobody_else_is_there() -> None:
    assert walk(course(), Fault.LIMITED, retry_after=2) == [(0, 2.05)]
    assert walk(course(None, None), Fault.LIMITED, retry_after=2)[0] == (1, 0.0)
    assert walk(course(), Fault.BROKEN, retry_after=2) == [(0, 2.05)], "a 503 may say when, too"
    assert walk(course(), Fault.LIMITED, retry_after=6) == [], "longer than max_wait"
    assert walk(course(), Fault.LIMITED, retry_after=2, remaining=1.5) == [], "longer than the request has"


def test_after_everybody_else_failed_the_one_that_said_when_is_asked_again() -> None:
    made = course(None, None)
    made.begin(0)
    assert made.after(0, Fault.LIMITED, 2.0, 0.0, 60) == Step(1)
    made.begin(1)
    step = made.after(1, Fault.SILENT, None, 0.5, 60)
    assert step is not None and step.index == 0 and 1.5 <= step.wait <= 1.6 and step.again


def test_a_prompt_that_is_too_long_goes_only_where_more_fits() -> None:
    assert walk(course(8, 4, 32, 16), Fault.TOO_LONG) == [(2, 0.0)]
    assert walk(course(8, 16, 32), Fault.TOO_LONG) == [(1, 0.0), (2, 0.0)]
    assert walk(course(8, None, 4), Fault.TOO_LONG) == [(1, 0.0)], "one of unknown size only without a larger one"
    assert walk(course(8, None, 9), Fault.TOO_LONG) == [(2, 0.0), (1, 0.0)]
    assert walk(course(None, None), Fault.TOO_LONG) == [(1, 0.0)]
    assert walk(course(8, 8), Fault.TOO_LONG) == []


def test_without_budget_only_others_are_asked() -> None:
    made = course(None, None, budget=False)
    assert walk(made, Fault.BROKEN) == [(1, 0.0)]
    assert made.spent


def test_tries_again_are_a_fifth_of_the_requests() -> None:
    budget, now, taken = Budget(), 100.0, 0
    for i in range(1000):
        now = 100.0 + i / 100
        budget.request(now)
        taken += budget.take(now, 0.2)
    assert 190 <= taken <= 210
    assert not budget.take(now, 0.2)
    assert budget.take(now + 11, 0.2), "what was long ago is forgotten"


def test_one_request_alone_may_be_tried_again() -> None:
    budget = Budget()
    budget.request(0.0)
    assert [budget.take(0.0, 0.2) for _ in range(FREE + 1)] == [True] * FREE + [False]
