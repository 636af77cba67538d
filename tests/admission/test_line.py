from __future__ import annotations

import pytest
from caravan_bus.admission.line import FairLine, Turn
from caravan_bus.admission.pace import Pace


def served(line: FairLine, count: int) -> list[str]:
    """Whose turn it is, one free slot after the other."""
    order = []
    for _ in range(count):
        turn = line.first(1)[0]
        line.begin(turn)
        line.leave(turn, lost=False)
        order.append(turn.tenant)
    return order


def test_tenants_take_turns_whatever_they_have_waiting() -> None:
    line = FairLine()
    for _ in range(1000):
        line.join("many", "m")
    assert served(line, 3) == ["many"] * 3
    line.join("one", "m")
    assert "one" in served(line, 2)


def test_a_tenant_that_comes_anew_has_no_turns_saved_up() -> None:
    line = FairLine()
    for _ in range(20):
        line.join("a", "m")
    served(line, 10)
    for _ in range(20):
        line.join("b", "m")
    assert served(line, 6).count("b") == 3


def test_inside_a_tenant_the_oldest_is_first() -> None:
    line = FairLine()
    turns = [line.join("a", "m") for _ in range(5)]
    assert line.first(3) == turns[:3]


def test_one_whose_slot_was_taken_meanwhile_keeps_its_place() -> None:
    line = FairLine()
    turns = [line.join("a", "m") for _ in range(3)]
    line.begin(turns[0])
    assert line.first(1) == [turns[1]]
    line.back(turns[0])
    assert line.first(3) == turns


def test_several_free_slots_go_to_several_tenants() -> None:
    line = FairLine()
    for tenant in ("a", "a", "a", "b", "c"):
        line.join(tenant, "m")
    assert [turn.tenant for turn in line.first(5)] == ["a", "b", "c", "a", "a"]


def test_the_models_of_a_tenant_take_turns() -> None:
    line = FairLine()
    for model in ("batch", "batch", "batch", "chat"):
        line.join("a", model)
    assert [turn.model for turn in line.first(3)] == ["batch", "chat", "batch"]
    assert line.ahead("a", "chat") == 1 + 2 and line.ahead("a", "new") == 2
    order = []
    for _ in range(3):
        turn = line.first(1)[0]
        line.begin(turn)
        order.append(turn.model)
    assert order == ["batch", "chat", "batch"]


def test_a_turn_may_count_more_for_one_tenant_than_for_another() -> None:
    line = FairLine({"everywhere": 3, "here": 1}.__getitem__)
    for _ in range(20):
        line.join("everywhere", "m")
        line.join("here", "m")
    assert served(line, 12).count("here") == 9
    assert [turn.tenant for turn in line.first(8)].count("here") == 6


def test_what_a_turn_that_came_back_counted_is_taken_back() -> None:
    cost = [1]
    line = FairLine(lambda _: cost[0])
    line.join("a", "m")
    line.join("b", "m")
    turn = line.first(1)[0]
    line.begin(turn)
    cost[0] = 5
    line.back(turn)
    assert line.first(2) == [turn, line.first(2)[1]] and served(line, 2) == ["a", "b"]


def test_one_tenants_losses_do_not_turn_the_line_of_another() -> None:
    line = FairLine()
    patient = [line.join("patient", "m") for _ in range(3)]
    restless = [line.join("restless", "m") for _ in range(5)]
    for turn in restless[:3]:
        line.leave(turn, lost=True)
    assert line.newest_first("restless") and not line.newest_first("patient")
    assert line.first(2) == [patient[0], restless[-1]]


def test_a_tenants_losses_are_remembered_while_others_wait() -> None:
    line = FairLine()
    line.join("patient", "m")
    for _ in range(2):
        line.leave(line.join("restless", "m"), lost=True)
    turns = [line.join("restless", "m") for _ in range(2)]
    assert line.newest_first("restless") and line.first(2)[1] is turns[1]
    for number in range(3000):
        line.leave(line.join(f"t{number}", "m"), lost=True)
    assert len(line._losses) <= 1024


def test_one_that_had_a_slot_comes_first_in_its_tenants_line() -> None:
    line = FairLine()
    line.join("a", "m")
    line.join("a", "other")
    again = line.join("a", "other", first=True)
    assert line.first(1) == [again]


def test_the_last_of_the_longest() -> None:
    line = FairLine()
    assert line.last_of_longest() is None
    turns = [line.join(tenant, "m") for tenant in ("b", "a", "a", "a")]
    assert line.last_of_longest() is turns[-1]
    for turn in turns[2:]:
        line.begin(turn)
    assert line.last_of_longest() is turns[0], "who has found a slot is not sent away"


def test_a_line_that_loses_people_serves_the_newest_until_it_was_empty() -> None:
    line = FairLine()
    turns = [line.join("a", "m") for _ in range(6)]
    for turn in turns[:2]:
        line.leave(turn, lost=True)
    assert line.newest_first("a") and line.first(1) == [turns[5]]
    assert line.ahead("a", "m") == 0
    for turn in turns[2:]:
        line.leave(turn, lost=False)
    assert not line.newest_first("a")


def test_one_loss_alone_changes_nothing() -> None:
    line = FairLine()
    turns = [line.join("a", "m") for _ in range(3)]
    line.leave(turns[0], lost=True)
    assert line.first(1) == [turns[1]]


def test_places_are_counted_as_they_will_be_served() -> None:
    line = FairLine()
    for tenant in ("a", "a", "a", "b"):
        line.join(tenant, "m")
    assert line.ahead("a", "m") == 3 + 1
    assert line.ahead("b", "m") == 1 + 2
    assert line.ahead("new", "m") == 2
    assert len(line) == 4 and len(line.tenants) == 2


def test_nobody_stays_behind() -> None:
    line = FairLine()
    turns: list[Turn] = [line.join(tenant, "m") for tenant in "abc"]
    line.begin(turns[1])
    for turn in turns:
        line.leave(turn, lost=False)
    assert len(line) == 0 and not line.tenants and line.first(1) == []


def test_the_pace_is_what_most_answers_took() -> None:
    pace = Pace()
    assert pace.usual("p", "m") == 0.0
    for seconds in (9.0, 0.1, 0.1, 0.1):
        pace.note("p", "m", seconds)
    assert pace.usual("p", "m") == pytest.approx(0.11)  # too few to tell more
    for seconds in (0.2, 0.2, 0.2, 0.2):
        pace.note("p", "m", seconds)
    assert pace.usual("p", "m") == pytest.approx(0.22)
    assert pace.usual("p", "other") == 0.0


def test_the_pace_of_models_without_end_has_a_bound() -> None:
    pace = Pace()
    for number in range(3000):
        pace.note("p", f"m{number}", 1.0)
    assert len(pace._models) <= 1024
