"""Which targets are left alone, on a clock of the test's own."""

from __future__ import annotations

from caravan_bus.routing.health import Health, Use
from caravan_bus.routing.limits import Loads
from caravan_bus.routing.windows import Window
from caravan_contracts.routes import Breaker, Limits
from caravan_contracts.routing import TargetFact, TargetState

BREAKER = Breaker(failures=3, window=30, open_seconds=10)


class Bus:
    """Processes that hear each other at once."""

    def __init__(self, *names: str) -> None:
        self.now = 1000.0
        self.facts: list[TargetFact] = []
        self.all = {name: Health(name, lambda: self.now, self.say, lambda low, high: low) for name in names}

    def say(self, fact: TargetFact) -> None:
        self.facts.append(fact)
        for health in self.all.values():
            health.heard(fact)


def test_failures_in_a_row_open_it_for_everybody() -> None:
    bus = Bus("a", "b")
    a, b = bus.all["a"], bus.all["b"]
    for _ in range(2):
        a.failed("t", BREAKER)
    assert a.use("t") is Use.YES
    a.failed("t", BREAKER)
    assert a.use("t") is b.use("t") is Use.NO
    assert a.use("other") is Use.YES


def test_a_success_between_keeps_it_closed_until_half_of_all_fail() -> None:
    health = Bus("a").all["a"]
    for _ in range(2):
        health.failed("t", BREAKER)
        health.succeeded("t", BREAKER)
    assert health.use("t") is Use.YES
    health.failed("t", BREAKER)
    assert health.use("t") is Use.NO, "three of five"


def test_one_probe_at_a_time_and_all_are_back_when_it_is_served() -> None:
    bus = Bus("a", "b")
    a, b = bus.all["a"], bus.all["b"]
    for _ in range(3):
        a.failed("t", BREAKER)
    bus.now += 12
    assert a.use("t") is b.use("t") is Use.PROBE
    a.probe("t")
    assert a.use("t") is b.use("t") is Use.NO
    a.alive("t")
    assert a.use("t") is b.use("t") is Use.YES
    assert not a.facts()


def test_a_probe_that_fails_leaves_it_open() -> None:
    bus = Bus("a", "b")
    a, b = bus.all["a"], bus.all["b"]
    for _ in range(3):
        a.failed("t", BREAKER)
    bus.now += 12
    b.probe("t")
    b.failed("t", BREAKER)
    assert a.use("t") is b.use("t") is Use.NO
    bus.now += 12
    assert a.use("t") is Use.PROBE


def test_a_probe_that_ends_without_an_answer_lets_the_next_one_try() -> None:
    health = Bus("a").all["a"]
    for _ in range(3):
        health.failed("t", BREAKER)
    bus_now = health.wait("t")
    assert 7 < bus_now <= 10
    health.probe("t")
    health.unknown("t")
    assert 7 < health.wait("t") <= 10


def test_what_was_under_way_when_it_opened_is_told_once() -> None:
    bus = Bus("a")
    for _ in range(50):
        bus.all["a"].failed("t", BREAKER)
    assert len(bus.facts) == 1
    assert bus.all["a"].wait("t") <= 10, "and keeps it from nobody for longer"


def test_retry_after_is_a_pause_for_everybody_and_no_failure() -> None:
    bus = Bus("a", "b")
    a, b = bus.all["a"], bus.all["b"]
    a.limited("t", 2.0, BREAKER)
    assert a.use("t") is b.use("t") is Use.COOLING
    assert b.wait("t") == 2.0
    bus.now += 2.1
    assert a.use("t") is b.use("t") is Use.YES


def test_who_comes_late_hears_it_again() -> None:
    bus = Bus("a")
    a = bus.all["a"]
    for _ in range(3):
        a.failed("t", BREAKER)
    a.limited("u", 5.0, BREAKER)
    bus.now += 1
    late = Health("late", lambda: bus.now, bus.say, lambda low, high: low)
    for fact in a.facts():
        late.heard(fact)
    assert late.use("t") is Use.NO and late.use("u") is Use.COOLING
    bus.now += 10
    assert not a.facts()


def test_what_is_over_is_forgotten() -> None:
    bus = Bus("a")
    a = bus.all["a"]
    a.succeeded("t", BREAKER)
    bus.now += 31
    a.forget()
    assert not a._targets


def test_facts_bring_back_nobody_that_is_not_open() -> None:
    bus = Bus("a")
    a = bus.all["a"]
    a.heard(TargetFact(instance="b", target="t", state=TargetState.PROBING, seconds=2))
    a.heard(TargetFact(instance="b", target="t", state=TargetState.CLOSED))
    assert a.use("t") is Use.YES


def test_limits_count_what_all_processes_have() -> None:
    now = [1000.0]
    a, b = (Loads(name, lambda: now[0], lambda: None) for name in "ab")
    limits = Limits(max_concurrent=2, requests_per_minute=4, tokens_per_minute=100)
    a.take("t")
    b.take("t")
    assert not a.full("t", limits)
    fact = b.fact()
    assert fact is not None
    a.heard(fact)
    assert a.full("t", limits) == 1.0
    a.give_back("t", 100)
    assert 50 <= a.full("t", limits) <= 60, "its tokens are spent for a minute"
    now[0] += 3.1
    assert not a.full("t", Limits(max_concurrent=1)), "b has not spoken for three seconds: it is gone"
    now[0] += 60
    assert not a.full("t", limits) and a.fact() is None


def test_requests_per_minute() -> None:
    now = [1000.0]
    loads = Loads("a", lambda: now[0], lambda: None)
    limits = Limits(requests_per_minute=2)
    for _ in range(2):
        assert not loads.full("t", limits)
        loads.take("t")
        loads.give_back("t", 0)
    wait = loads.full("t", limits)
    assert 50 <= wait <= 60
    now[0] += wait
    assert not loads.full("t", limits)


def test_a_window_forgets_a_tenth_at_a_time() -> None:
    window = Window(10.0)
    for second in range(20):
        window.add(100.0 + second)
    assert window.sum(119.9) == 10
    assert window.sum(124.0) == 5
    assert window.sum(1000.0) == 0


def test_many_that_repeat_it_do_not_keep_each_other_waiting() -> None:
    bus = Bus("a", "b", "c", "d")
    for health in bus.all.values():
        health._chance = lambda low, high: high
        for _ in range(3):
            health.failed("t", BREAKER)
        bus.now += 15  # the next one to find out that it is not back yet
    bus.now -= 15
    waited = 0.0
    while all(health.use("t") is Use.NO for health in bus.all.values()):
        bus.now += 1.0
        waited += 1.0
        assert waited < 20, "open for 10 s, a fifth more by chance"
        for health in bus.all.values():
            for fact in health.facts():
                bus.say(fact)
