"""Which worker gets a request: light load gathers, heavy load spreads, engines share evenly."""

from __future__ import annotations

from collections import Counter

from caravan_bus.choosing import choose
from caravan_bus.presence import WorkerEntry
from caravan_contracts.presence import Load, Presence, WorkerState
from hypothesis import given
from hypothesis import strategies as st


def worker(name: str, slots: int, used: int = 0, busy: int = 0) -> WorkerEntry:
    presence = Presence(name, "inference", WorkerState.READY, 1, {"p": Load(slots, used)}, busy)
    return WorkerEntry(presence, 0.0, foreign={"p": used})


def placed(entries: list[WorkerEntry], requests: int) -> Counter[str]:
    for _ in range(requests):
        chosen = choose(entries, "p", b"", {})
        assert chosen is not None
        chosen.own["p"] = chosen.own.get("p", 0) + 1
    return Counter({entry.presence.worker: entry.own.get("p", 0) for entry in entries})


def test_light_load_gathers_on_two_workers_and_the_next_are_begun_when_an_eighth_is_full() -> None:
    entries = [worker(f"w{n}", 256) for n in range(5)]
    assert list(placed(entries, 32).values()) == [16, 16, 0, 0, 0]
    assert list(placed(entries, 32).values()) == [32, 32, 0, 0, 0]
    assert list(placed(entries, 96).values()) == [32, 32, 32, 32, 32]
    assert list(placed(entries, 2).values()) == [33, 33, 32, 32, 32]


def test_a_worker_short_of_cpu_is_spared_while_others_are_not() -> None:
    entries = [worker("w0", 256, used=3, busy=95), worker("w1", 256, busy=20)]
    assert placed(entries, 5)["w1"] == 5
    entries = [worker("w0", 256, busy=95), worker("w1", 256, busy=95)]
    assert sum(placed(entries, 5).values()) == 5


def test_engines_with_few_slots_share_evenly() -> None:
    entries = [worker(f"w{n}", 4, busy=400) for n in range(3)]
    assert set(placed(entries, 6).values()) == {2}


def test_the_owner_of_a_prefix_gets_it_while_it_has_a_slot() -> None:
    entries = [worker(f"w{n}", 2) for n in range(3)]
    owner = choose(entries, "p", b"prefix", {})
    assert owner is not None
    for _ in range(2):
        assert choose(entries, "p", b"prefix", {}) is owner
        owner.own["p"] = owner.own.get("p", 0) + 1
    assert choose(entries, "p", b"prefix", {}) not in (owner, None)


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 4, 63, 64, 256]), st.integers(0, 256), st.integers(0, 100), st.booleans()),
        max_size=6,
    )
)
def test_somebody_is_chosen_exactly_when_somebody_has_a_slot(rows: list[tuple[int, int, int, bool]]) -> None:
    entries = [worker(f"w{n}", slots, min(used, slots), busy) for n, (slots, used, busy, _) in enumerate(rows)]
    refused = {f"w{n}": 1 for n, row in enumerate(rows) if row[3]}
    can = [entry for n, entry in enumerate(entries) if entry.free("p") > 0 and not rows[n][3]]
    chosen = choose(entries, "p", b"", refused)
    assert (chosen in can) if can else chosen is None
