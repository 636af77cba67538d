"""Runs one scenario and reads what it cost."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import proc
from benchmarks.errors import BenchmarkError
from benchmarks.results import Cost, Load, Measured, Pair
from benchmarks.scenarios import PATH, Scenario
from benchmarks.server import CARAVAN, Server
from benchmarks.upstream import Upstream

DIRECT_SECONDS = 1.5
"""The upstream alone is steady; its window may be shorter."""
SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Bench:
    loadgen: Path
    upstream: Upstream

    def pair(self, scenario: Scenario, repetition: int, server: Server) -> Pair:
        direct = self._measure(scenario.shorter(DIRECT_SECONDS), Server("direct", self.upstream.port))
        through = self._measure(scenario, server)
        self._settle(server)
        return Pair(scenario.name, repetition, through, direct, server.name)

    def _measure(self, scenario: Scenario, server: Server) -> Measured:
        window = (scenario.warm, scenario.measure, scenario.ramp)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
            path = scenario.path if server.name == CARAVAN else PATH
            body.write(scenario.body(path, server.prefix))
            body.flush()
            arguments = [server.port, scenario.connections, *window, scenario.tokens, path, body.name, *server.headers]
            return self._run(scenario, [str(self.loadgen), *map(str, arguments)], server)

    def _run(self, scenario: Scenario, command: Sequence[str], server: Server) -> Measured:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
            try:
                assert generator.stdout is not None
                # A reading is taken the moment the line that marks an end of the window arrives.
                reading = {generator.stdout.readline().strip(): self._read(generator.pid, server) for _ in range(2)}
                printed = generator.stdout.readline()
            finally:
                generator.kill()
        if "END" not in reading or not printed:
            raise BenchmarkError(f"{scenario.name}: the load generator gave up")
        return Measured(Load.of(json.loads(printed)), _between(reading["START"], reading["END"]))

    def _read(self, generator: int, server: Server) -> _Reading:
        cpu: defaultdict[str, float] = defaultdict(float)
        rss: defaultdict[str, int] = defaultdict(int)
        for pid, usage in proc.tree(server.launcher).items() if server.launcher else ():
            role = server.roles.get(pid, server.other)
            cpu[role] += usage.cpu
            rss[role] += usage.rss
        cpu["upstream"] = proc.usage(self.upstream.pid).cpu
        cpu["generator"] = proc.usage(generator).cpu
        return _Reading(time.monotonic(), dict(cpu), dict(rss), proc.busy())

    def _settle(self, server: Server) -> None:
        """Wait until the server has nothing left to do for the last load."""
        deadline = time.monotonic() + SETTLE_SECONDS
        before = _cpu_of(server)
        while time.monotonic() < deadline:
            time.sleep(0.3)
            after = _cpu_of(server)
            if after - before <= 0.04:
                return
            before = after


def _cpu_of(server: Server) -> float:
    return sum(
        usage.cpu for pid, usage in proc.tree(server.launcher).items() if not server.roles or pid in server.roles
    )


@dataclass(frozen=True)
class _Reading:
    at: float
    cpu: dict[str, float]
    rss: dict[str, int]
    busy: float


def _between(start: _Reading, end: _Reading) -> Cost:
    cpu = {role: round(spent - start.cpu.get(role, 0.0), 3) for role, spent in end.cpu.items()}
    foreign = (end.busy - start.busy - sum(cpu.values())) / (end.at - start.at)
    return Cost(cpu, end.rss, round(max(0.0, foreign), 3))
