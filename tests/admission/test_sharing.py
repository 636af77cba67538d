"""Several processes in front of the same slots."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest
from caravan_bus.admission.sharing import Sharing
from caravan_bus.memory import MemoryHub
from caravan_contracts import subjects as s
from caravan_contracts.routing import LineFact


class Process:
    def __init__(self, hub: MemoryHub, tenants: Mapping[str, list[str]]) -> None:
        self.tenants = tenants
        self.changes = 0
        self.transport = hub.connect()
        self.sharing = Sharing(self.transport, lambda: self.tenants, self._changed)

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
def hub() -> MemoryHub:
    return MemoryHub()


async def together(*processes: Process) -> None:
    """Each has heard of all others."""
    for process in processes:
        await process.sharing.start()
    for process in processes:
        process.sharing.begun()
    async with asyncio.timeout(5):
        while any(len(process.sharing.others) < len(processes) - 1 for process in processes):
            await asyncio.sleep(0.005)


async def close(*processes: Process) -> None:
    for process in processes:
        await process.sharing.close()


def parts(processes: list[Process], slots: int, at: float, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.setattr(time, "time", lambda: at)
    return [process.sharing.part("p", slots) for process in processes]


@pytest.mark.parametrize("slots", [0, 1, 2, 3, 7, 8, 1000])
async def test_the_parts_are_all_slots_and_each_has_its_share_of_time(
    hub: MemoryHub, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = [Process(hub, {"p": [name]}) for name in "abc"]
    await together(*processes)
    sums = [0, 0, 0]
    for second in range(300):
        found = parts(processes, slots, second / 2, monkeypatch)
        assert abs(sum(found) - slots) <= 1 and max(found) - min(found) <= 1
        sums = [sum_ + part for sum_, part in zip(sums, found, strict=True)]
    for sum_ in sums:
        assert abs(sum_ - 100 * slots) <= 3, "with one slot, too, each has it for a third of the time"
    await close(*processes)


async def test_a_tenant_counts_once_at_however_many_processes_it_waits(
    hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = (Process(hub, {"p": tenants}) for tenants in (["flood", "modest"], ["flood"], ["flood"]))
    await together(one, two, three)
    # the flood has a third of its half at each of the three, the modest one the whole of its half at the first
    assert parts([one, two, three], 12, 0.0, monkeypatch) == [8, 2, 2]
    assert one.sharing.processes("p", "flood") == 3 and one.sharing.processes("p", "modest") == 1
    assert one.sharing.processes("other", "flood") == 1
    await close(one, two, three)


async def test_nobody_leaves_slots_to_those_who_do_not_wait(hub: MemoryHub) -> None:
    one, two = Process(hub, {"p": ["a"]}), Process(hub, {"q": ["b"]})
    await together(one, two)
    assert one.sharing.part("p", 8) == 8 and two.sharing.part("q", 8) == 8
    two.tenants = {}
    async with asyncio.timeout(5):
        while one.sharing.others:
            await asyncio.sleep(0.01)
    assert one.changes
    await close(one, two)


async def test_who_dies_waiting_is_forgotten(hub: MemoryHub) -> None:
    one, two = Process(hub, {"p": ["a"]}), Process(hub, {"p": ["b"]})
    await together(one, two)
    assert one.sharing.part("p", 8) == 4
    await two.sharing.close()
    async with asyncio.timeout(5):
        while one.sharing.others:
            await asyncio.sleep(0.01)
    assert one.sharing.part("p", 8) == 8 and one.changes
    await one.sharing.close()


async def test_what_is_told_has_a_bound_and_what_is_unreadable_is_passed_over(hub: MemoryHub) -> None:
    one, two = Process(hub, {"p": [f"t{number}" for number in range(5000)]}), Process(hub, {"p": ["b"]})
    told: list[bytes] = []
    await two.transport.subscribe(s.ROUTING_LINE, lambda message: told.append(message.data))
    await together(one, two)
    assert max(len(LineFact.model_validate_json(data).tenants["p"]) for data in told) == 256
    one.transport.publish(s.ROUTING_LINE, b"nonsense")
    await asyncio.sleep(0.01)
    assert two.sharing.others
    await close(one, two)
