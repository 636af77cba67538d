"""More requests than slots: open arrivals at several callers, and an exact account of what came of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from caravan_bus.router import Outbound
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import CallSpec, Summary

from tests.bus.party import Caller, Party


@dataclass
class Flood:
    """`seconds` of `factor` times what `slots` slots can do when an answer takes `service` seconds."""

    slots: int = 8
    service: float = 0.2
    factor: float = 10.0
    seconds: float = 4.0
    deadline: float = 1.0
    """Seconds a request has, told to the server."""
    patience: float = 0.0
    """Seconds after which a client leaves without having said when; 0.0 = never."""
    spread: float = 0.0
    """By what part an answer may be quicker or slower."""
    tenants: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """At which callers each asks, one request like the other; five that ask everywhere when nothing is said."""
    by_tenant: Counter[str] = field(default_factory=Counter)
    served: Counter[int] = field(default_factory=Counter)
    """Complete answers in time, by caller."""
    late: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refused_after: list[float] = field(default_factory=list)
    work: float = 0.0
    """Slot-seconds that ended in a complete answer in time, after the first second."""
    _began: float = 0.0

    async def run(self, party: Party, callers: int) -> None:
        for number in range(2):
            await party.worker(f"w{number}", self._serve, self.slots // 2)
        asking = [await party.caller() for _ in range(callers)]
        for caller in asking:
            await party.until_seen(caller, 2)
            await caller.router.start()
            party.closers.append(caller.router.close)
        everywhere = tuple(range(callers))
        places_of = list(self.tenants.items()) or [(f"t{number}", everywhere) for number in range(5)]
        tasks = []
        number = 0
        self._began = began = time.monotonic()
        rate = self.factor * self.slots / self.service
        while (now := time.monotonic()) < began + self.seconds:
            while number < (now - began) * rate:
                tenant, places = random.choice(places_of)
                caller = places[number % len(places)]
                tasks.append(asyncio.create_task(self._ask(asking[caller], caller, tenant)))
                number += 1
            await asyncio.sleep(0.002)
        async with asyncio.timeout(40):
            await asyncio.gather(*tasks)

    @property
    def goodput(self) -> float:
        """Part of the capacity that became complete answers in time."""
        return self.work / (self.slots * (self.seconds - 1.0))

    async def _serve(self, inbound: Inbound, sender: StreamSender) -> None:
        seconds = self.service * random.uniform(1 - self.spread, 1 + self.spread)
        await asyncio.sleep(seconds)
        sender.end(Summary(), str(seconds).encode())

    async def _ask(self, caller: Caller, number: int, tenant: str) -> None:
        began = time.monotonic()
        context = RequestContext("req", Principal(tenant), began + self.deadline)
        request = Outbound("inference", "chat", CallSpec("p", "m", "m"), b"{}", context)
        try:
            async with asyncio.timeout(self.patience or None):
                stream = None
                try:
                    stream = await caller.router.send(request)
                    answer = await stream.read_all(100)
                finally:
                    if stream is not None:
                        stream.cancel()
        except TimeoutError:
            self.refused["left"] += 1
        except CaravanError as error:
            self.refused[error.code or ""] += 1
            self.refused_after.append(time.monotonic() - began)
        else:
            if time.monotonic() - began > self.deadline:
                self.late += 1
            else:
                self.served[number] += 1
                self.by_tenant[tenant] += 1
                end = time.monotonic() - self._began
                self.work += max(0.0, min(end, self.seconds) - max(end - float(answer), 1.0))
