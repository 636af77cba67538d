"""Runs one scenario and reads what it cost."""

from __future__ import annotations

import json
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks import proc
from benchmarks.errors import BenchmarkError
from benchmarks.mesh import PROVIDER, Mesh
from benchmarks.results import Cost, Load, Measured, Pair
from benchmarks.scenarios import PATH, Scenario
from benchmarks.upstream import Upstream

DIRECT_SECONDS = 1.5
"""The upstream alone is steady; its window may be shorter."""
SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Bench:
    loadgen: Path
    upstream: Upstream
    mesh: Mesh

    def pair(self, scenario: Scenario, repetition: int) -> Pair:
        direct = self._measure(scenario.shorter(DIRECT_SECONDS), self.upstream.port, "")
        through = self._measure(scenario, self.mesh.port, f"{PROVIDER}/")
        self._settle()
        return Pair(scenario.name, repetition, through, direct)

    def _measure(self, scenario: Scenario, port: int, prefix: str) -> Measured:
        window = (scenario.warm, scenario.measure, scenario.ramp)
        arguments = [port, scenario.connections, *window, scenario.tokens, PATH, scenario.body(prefix)]
        command = [str(self.loadgen), *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
            try:
                assert generator.stdout is not None
                # A reading is taken the moment the line that marks an end of the window arrives.
                reading = {generator.stdout.readline().strip(): self._read(generator.pid) for _ in range(2)}
                printed = generator.stdout.readline()
            finally:
                generator.kill()
        if "END" not in reading or not printed:
            raise BenchmarkError(f"{scenario.name}: the load generator gave up")
        return Measured(Load.of(json.loads(printed)), _between(reading["START"], reading["END"]))

    def _read(self, generator: int) -> _Reading:
        cpu: defaultdict[str, float] = defaultdict(float)
        rss: defaultdict[str, int] = defaultdict(int)
        for pid, usage in proc.tree(self.mesh.launcher).items():
            role = self.mesh.roles.get(pid, "rest")
            cpu[role] += usage.cpu
            rss[role] += usage.rss
        cpu["upstream"] = proc.usage(self.upstream.pid).cpu
        cpu["generator"] = proc.usage(generator).cpu
        return _Reading(time.monotonic(), dict(cpu), dict(rss), proc.busy())

    def _settle(self) -> None:
        """Wait until the mesh has nothing left to do for the last load."""
        deadline = time.monotonic() + SETTLE_SECONDS
        before = self._mesh_cpu()
        while time.monotonic() < deadline:
            time.sleep(0.3)
            after = self._mesh_cpu()
            if after - before <= 0.04:
                return
            before = after

    def _mesh_cpu(self) -> float:
        return sum(proc.usage(pid).cpu for pid in self.mesh.roles)


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
