"""What gateways and workers say of themselves in their metrics."""

from __future__ import annotations

import asyncio
import time

import httpx2 as httpx

from tests.mesh.running import RunningMesh

_OPEN = ("caravan_slots_used", "caravan_streams_open", "caravan_queue_depth", "caravan_requests_open")


class Books:
    """The metrics of every gateway and worker, added up."""

    def __init__(self, mesh: RunningMesh, http: httpx.AsyncClient) -> None:
        ports = mesh.state["ports"].items()
        self._pages = [f"http://127.0.0.1:{port}/metrics" for name, port in ports if name.startswith("ops-")]
        self._http = http

    async def read(self) -> dict[str, float]:
        """By name with labels."""
        made: dict[str, float] = {}
        for answer in await asyncio.gather(*(self._http.get(page) for page in self._pages)):
            for line in answer.text.splitlines():
                if line.startswith("caravan_"):
                    name, _, value = line.rpartition(" ")
                    made[name] = made.get(name, 0.0) + float(value)
        return made

    async def open(self) -> dict[str, float]:
        """Whatever is under way anywhere."""
        return {name: value for name, value in (await self.read()).items() if name.startswith(_OPEN) and value}

    async def line_of(self, count: int, seconds: float) -> None:
        """Wait until so many requests wait for a slot."""
        end = time.monotonic() + seconds
        while True:
            found = await self.open()
            if sum(value for name, value in found.items() if "queue_depth" in name) == count:
                return
            assert time.monotonic() < end, f"{found}, not {count} in line"
            await asyncio.sleep(0.02)

    async def agree(self, rest: dict[str, float], seconds: float) -> None:
        """Wait until nothing but `rest` is under way in any process."""
        end = time.monotonic() + seconds
        while (left := await self.open()) != rest:
            assert time.monotonic() < end, f"still open after {seconds:.1f} s: {left}, not {rest}"
            await asyncio.sleep(0.02)

    async def until_answered(self, status: int, count: float, seconds: float) -> None:
        """Wait until so many ended so: they are counted when nothing is held for them any more."""
        end = time.monotonic() + seconds
        while (found := await self.answered(status)) != count:
            assert time.monotonic() < end, f"{found} of {count} ended with {status}"
            await asyncio.sleep(0.02)

    async def answered(self, status: int) -> float:
        """Requests over HTTP that ended so."""
        said = f'status="{status}"'
        return sum(v for name, v in (await self.read()).items() if "http_requests_total" in name and said in name)
