"""When an event is posted again."""

from __future__ import annotations

from caravan_agents.webhooks.pauses import Pauses

HOUR = 3600.0


def test_tries_thin_out_over_three_days() -> None:
    for _ in range(50):
        age, tries = 0.0, 1
        pauses = Pauses()
        while age < pauses.give_up:
            pause = pauses.failed(age)
            assert 4 <= pause <= 9.6 * HOUR
            age += pause
            tries += 1
        assert 13 <= tries <= 25
        assert 72 * HOUR <= age <= 82 * HOUR


def test_an_endpoint_may_wish_for_more_time_and_not_for_less() -> None:
    pauses = Pauses()
    assert pauses.failed(0.0, wished=60.0) == 60.0
    assert pauses.failed(HOUR, wished=1.0) > 1.5 * HOUR
    assert pauses.failed(0.0, wished=1e9) == pauses.longest


def test_a_job_that_waits_for_its_endpoint_comes_back_less_and_less_often() -> None:
    pauses = Pauses()
    assert 0.5 <= pauses.passed_on(0.0) <= 1.5
    assert 150 <= pauses.passed_on(HOUR) <= 450
