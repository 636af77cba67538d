"""Ten times more than the slots can do, at one caller and at several: the slots go on to do what they can."""

from __future__ import annotations

import pytest

from tests.admission.flood import Flood
from tests.bus.party import Party


@pytest.mark.parametrize("callers", [1, 3])
async def test_goodput_holds_at_ten_times_the_capacity(party: Party, callers: int) -> None:
    flood = Flood(seconds=3.0)
    await flood.run(party, callers)
    assert flood.goodput >= 0.9
    assert flood.late <= flood.slots + 2, "only those at the very beginning, when no answer's time was known"
    assert set(flood.refused) <= {"overloaded", "deadline_exceeded", "rate_limit_exceeded"}
    quick = sorted(flood.refused_after)[len(flood.refused_after) // 2]
    assert quick < 0.05, "who cannot be served hears of it at once"


async def test_clients_that_leave_without_having_said_when_take_no_slots_in_vain(party: Party) -> None:
    flood = Flood(seconds=4.0, deadline=30.0, patience=0.8)
    await flood.run(party, 2)
    assert flood.goodput >= 0.9


async def test_callers_in_front_of_the_same_slots_get_like_parts(party: Party) -> None:
    flood = Flood(seconds=4.0, deadline=30.0, patience=0.8)
    await flood.run(party, 3)
    assert flood.goodput >= 0.9
    assert min(flood.served.values()) * 2 >= max(flood.served.values()) and len(flood.served) == 3


async def test_one_slot_is_not_one_callers_for_ever(party: Party) -> None:
    """Whoever has it is the first to know that it is free again."""
    flood = Flood(slots=2, service=0.05, seconds=4.0, deadline=30.0, patience=2.0, factor=5.0)
    await flood.run(party, 3)
    assert len(flood.served) == 3 and min(flood.served.values()) * 4 >= max(flood.served.values())


async def test_a_tenant_that_asks_at_one_caller_is_as_good_as_one_that_asks_at_all(party: Party) -> None:
    flood = Flood(seconds=4.0, deadline=30.0, patience=0.8, tenants={"everywhere": (0, 1, 2), "here": (1,)})
    await flood.run(party, 3)
    assert flood.goodput >= 0.9
    assert min(flood.by_tenant.values()) * 3 >= max(flood.by_tenant.values()) * 2 and len(flood.by_tenant) == 2


@pytest.mark.parametrize(
    "flood",
    [
        Flood(seconds=15.0, spread=0.5),
        Flood(seconds=15.0, deadline=0.35),
        Flood(seconds=15.0, deadline=2.0, factor=1.3),
        Flood(seconds=15.0, deadline=30.0, patience=0.8, spread=0.5),
        Flood(seconds=15.0, deadline=30.0, patience=0.8, factor=1.3),
    ],
    ids=["uneven", "hardly any time", "a little too much", "unknown patience", "a little too much, unknown patience"],
)
async def test_goodput_holds_whatever_the_load(party: Party, flood: Flood) -> None:
    await flood.run(party, 3)
    print(f"{flood.goodput:.3f} {dict(flood.served)} {dict(flood.refused)} late {flood.late}")
    # with a little too much, and clients that leave unforeseen, each tenant's line is short and its losses are few: it
    # takes some wasted slots to learn of them
    assert flood.goodput >= (0.85 if flood.patience and flood.factor < 2 else 0.9)
