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
        line.join("many")
    assert served(line, 3) == ["many"] * 3
    line.join("one")
    assert "one" in served(line, 2)


def test_a_tenant_that_comes_anew_has_no_turns_saved_up() -> None:
    line = FairLine()
    for _ in range(20):
        line.join("a")
    served(line, 10)
    for _ in range(20):
        line.join("b")
    assert served(line, 6).count("b") == 3


def test_inside_a_tenant_the_oldest_is_first() -> None:
    line = FairLine()
    turns = [line.join("a") for _ in range(5)]
    assert line.first(3) == turns[:3]


def test_one_whose_slot_was_taken_meanwhile_keeps_its_place() -> None:
    line = FairLine()
    turns = [line.join("a") for _ in range(3)]
    line.begin(turns[0])
    assert line.first(1) == [turns[1]]
    line.back(turns[0])
    assert line.first(3) == turns


def test_several_free_slots_go_to_several_tenants() -> None:
    line = FairLine()
    for tenant in ("a", "a", "a", "b", "c"):
        line.join(tenant)
    assert [turn.tenant for turn in line.first(5)] == ["a", "b", "c", "a", "a"]


def test_a_line_that_loses_people_serves_the_newest_until_it_was_empty() -> None:
    line = FairLine()
    turns = [line.join("a") for _ in range(6)]
    for turn in turns[:2]:
        line.leave(turn, lost=True)
    assert line.newest_first and line.first(1) == [turns[5]]
    assert line.ahead("a") == 0
    for turn in turns[2:]:
        line.leave(turn, lost=False)
    assert not line.newest_first


def test_one_loss_alone_changes_nothing() -> None:
    line = FairLine()
    turns = [line.join("a") for _ in range(3)]
    line.leave(turns[0], lost=True)
    assert line.first(1) == [turns[1]]


def test_places_are_counted_as_they_will_be_served() -> None:
    line = FairLine()
    for tenant in ("a", "a", "a", "b"):
        line.join(tenant)
    assert line.ahead("a") == 3 + 1
    assert line.ahead("b") == 1 + 2
    assert line.ahead("new") == 2
    assert len(line) == 4 and line.tenants == 2


def test_nobody_stays_behind() -> None:
    line = FairLine()
    turns: list[Turn] = [line.join(tenant) for tenant in "abc"]
    line.begin(turns[1])
    for turn in turns:
        line.leave(turn, lost=False)
    assert len(line) == 0 and line.tenants == 0 and line.first(1) == []


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
