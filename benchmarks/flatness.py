"""Does a request cost the same in a larger mesh? ``python -m benchmarks.flatness``; about ten minutes.

CPU-seconds of gateways, NATS and workers together, from one mesh after the other: 1, 2, 4, 8 workers behind one
gateway, then 2 and 4 gateways before one worker. Three loads: closed (32 connections that never rest); 100 paced
streams; and paced streams that grow with the mesh, 25 for each worker or gateway. The first two divide the same work
among more processes, so that each does less of it at a time; the third gives each the same. The column "idle" is what
these processes use while nobody asks anything.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks import proc
from benchmarks.build import build
from benchmarks.errors import BenchmarkError
from benchmarks.measure import Bench
from benchmarks.mesh import running_mesh
from benchmarks.results import ON_THE_PATH, Pair
from benchmarks.run import RESULTS
from benchmarks.scenarios import SCENARIOS
from benchmarks.server import Server
from benchmarks.upstream import running_upstream

SIZES = ((1, 1), (1, 2), (1, 4), (1, 8), (2, 1), (4, 1))
"""Gateways and workers."""
PLAIN, PACED, GROWING = "chat_c32", "paced_c100", "paced_growing"
STREAMS_EACH = 25
IDLE_SECONDS = 5.0


@dataclass(frozen=True)
class Row:
    gateways: int
    workers: int
    per_1k_requests: float
    """CPU-seconds."""
    per_1m_tokens: float
    """CPU-seconds, of 100 paced streams."""
    per_1m_growing: float
    """The same, of :data:`STREAMS_EACH` for each worker or gateway."""
    requests_per_second: float
    idle: float
    """CPU-milliseconds a second, with no load."""
    errors: int
    foreign: float
    """The most cores that others used meanwhile."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flatness", description=__doc__)
    parser.add_argument("--reps", type=int, default=3, help="repetitions; the table shows medians (3)")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the mesh is taken down on `kill` as well
    try:
        rows = measure(options.reps)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(table(rows))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"flatness-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    path.write_text(json.dumps([vars(row) for row in rows], indent=1))
    print(f"written to {path}", file=sys.stderr)
    return 1 if any(row.errors for row in rows) else 0


def measure(repetitions: int) -> list[Row]:
    """A mesh for each size, one after the other."""
    programs = build()
    rows = []
    with running_upstream(programs.upstream) as upstream:
        bench = Bench(programs.loadgen, upstream)
        for gateways, workers in SIZES:
            scale = [f"gateway={gateways}", f"inference={workers}"]
            with (
                tempfile.TemporaryDirectory(prefix="caravan-flat-") as folder,
                running_mesh(Path(folder), upstream.port, scale) as server,
            ):
                rows.append(_row(bench, server, gateways, workers, repetitions))
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _row(bench: Bench, server: Server, gateways: int, workers: int, repetitions: int) -> Row:
    time.sleep(2)  # what starts a mesh is over
    idle = _idle(server)
    plain, paced = (next(it for it in SCENARIOS if it.name == name) for name in (PLAIN, PACED))
    growing = replace(paced, name=GROWING, connections=STREAMS_EACH * max(gateways, workers))
    loads = (plain, paced, growing)
    pairs = [bench.pair(load, number, server) for number in range(repetitions) for load in loads]
    of = {load.name: [pair for pair in pairs if pair.scenario == load.name] for load in loads}
    return Row(
        gateways,
        workers,
        round(median(_cost(pair, pair.mesh.load.ok) * 1000 for pair in of[PLAIN]), 3),
        round(median(_cost(pair, pair.mesh.load.tokens) * 1_000_000 for pair in of[PACED]), 1),
        round(median(_cost(pair, pair.mesh.load.tokens) * 1_000_000 for pair in of[GROWING]), 1),
        round(median(pair.mesh.load.ok / pair.mesh.load.seconds for pair in of[PLAIN])),
        round(idle * 1000, 1),
        sum(pair.mesh.load.errors for pair in pairs),
        max(pair.mesh.cost.foreign for pair in pairs),
    )


def _cost(pair: Pair, units: int) -> float:
    return pair.mesh.cost.on_the_path() / max(1, units)


def _idle(server: Server) -> float:
    """CPU-seconds a second of what is on the path of a request."""
    before, began = _spent(server), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return (_spent(server) - before) / (time.monotonic() - began)


def _spent(server: Server) -> float:
    return sum(proc.usage(pid).cpu for pid, role in server.roles.items() if role in ON_THE_PATH)


def table(rows: Sequence[Row]) -> str:
    """As Markdown; ratios are to the first row."""
    first = rows[0]
    lines = [
        f"| gateways | workers | CPU-s per 1k requests, C = 32 | CPU-s per 1 M tokens, 100 streams "
        f"| the same, {STREAMS_EACH} streams for each | req/s "
        f"({os.cpu_count()} cores) | idle, CPU-ms per s | errors | foreign cores |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        plain = f"{row.per_1k_requests:.3f} ({row.per_1k_requests / first.per_1k_requests:.2f}x)"
        paced = f"{row.per_1m_tokens:.1f} ({row.per_1m_tokens / first.per_1m_tokens:.2f}x)"
        growing = f"{row.per_1m_growing:.1f} ({row.per_1m_growing / first.per_1m_growing:.2f}x)"
        lines.append(
            f"| {row.gateways} | {row.workers} | {plain} | {paced} | {growing} | {row.requests_per_second:,.0f} "
            f"| {row.idle:.1f} | {row.errors} | {row.foreign:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
