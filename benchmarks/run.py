"""``make bench``: build, start the upstream and the mesh, measure, say what came out."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.build import build
from benchmarks.errors import BenchmarkError
from benchmarks.measure import Bench
from benchmarks.mesh import running_mesh
from benchmarks.peers import PEERS, running_peer
from benchmarks.report import tables
from benchmarks.results import Pair
from benchmarks.scenarios import PATH, SCENARIOS, Scenario
from benchmarks.server import CARAVAN, Server
from benchmarks.upstream import running_upstream

RESULTS = Path(__file__).parent / "results"


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    # So that the mesh is taken down on `kill` as on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [it for it in SCENARIOS if not options.only or it.name in options.only]
    scenarios = [scenario.quick() for scenario in chosen] if options.quick else chosen
    try:
        pairs = _measure(scenarios, 1 if options.quick else options.reps, options)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(tables(scenarios, pairs))
    _say(f"written to {_save(pairs, options)}")
    return 1 if any(pair.mesh.load.errors for pair in pairs if pair.server == "caravan") else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the mesh beside its upstream alone: CPU by process, latency, memory. Tables on stdout, "
        "every figure as JSON in benchmarks/results/. See docs/performance.md.",
    )
    parser.add_argument("--reps", type=int, default=3, help="repetitions; the tables show medians (3)")
    parser.add_argument("--quick", action="store_true", help="half a second each, once: does it all work?")
    parser.add_argument(
        "--scale", action="append", default=[], metavar="SERVICE=N", help="processes of a service, as in inference=4"
    )
    parser.add_argument(
        "--peer", action="append", default=[], choices=list(PEERS), metavar="NAME",
        help="measure this gateway too, in the same run (may be repeated): " + ", ".join(PEERS)
        + "; see python -m benchmarks.peers",
    )  # fmt: skip
    parser.add_argument(
        "--only", action="append", choices=[it.name for it in SCENARIOS], metavar="SCENARIO",
        help="measure this one alone (may be repeated): " + ", ".join(it.name for it in SCENARIOS),
    )  # fmt: skip
    return parser.parse_args(argv)


def _measure(scenarios: Sequence[Scenario], repetitions: int, options: argparse.Namespace) -> list[Pair]:
    programs = build()
    pairs = []
    with (
        tempfile.TemporaryDirectory(prefix="caravan-bench-") as folder,
        running_upstream(programs.upstream) as upstream,
    ):
        bench = Bench(programs.loadgen, upstream)
        peers = [PEERS[name] for name in options.peer]
        for peer in peers:
            peer.find()
        starts: list[tuple[str, Callable[[], AbstractContextManager[Server]]]] = [
            ("the mesh", partial(running_mesh, Path(folder), upstream.port, options.scale))
        ]
        starts += [(peer.name, partial(running_peer, peer, Path(folder), upstream.port)) for peer in peers]
        with ExitStack() as running:
            servers = [server for name, start in starts if (server := _started(name, start, running)) is not None]
            # in turn, so that whatever else the machine does from minute to minute happens to all of them
            for repetition in range(repetitions):
                for server in servers:
                    for scenario in scenarios:
                        if scenario.path != PATH and server.name != CARAVAN:
                            continue  # not everybody has it, and who has it is asked otherwise
                        pair = bench.pair(scenario, repetition, server)
                        _say(f"{repetition + 1}/{repetitions} {_line(scenario, pair)}")
                        pairs.append(pair)
            _say("stopping")
    return pairs


def _started(name: str, start: Callable[[], AbstractContextManager[Server]], running: ExitStack) -> Server | None:
    """None when it does not start and the others can be measured without it. Raises BenchmarkError for the mesh."""
    _say(f"starting {name}")
    try:
        return running.enter_context(start())
    except BenchmarkError as error:
        if name not in PEERS:
            raise
        _say(f"{error}\n{name} is left out")
        return None


def _line(scenario: Scenario, pair: Pair) -> str:
    load, cost = pair.mesh.load, pair.mesh.cost
    count = f"{load.tokens} tokens" if scenario.tokens else f"{load.ok} requests"
    return (
        f"{pair.server} {scenario.name}: {count} in {load.seconds:.1f} s, {load.errors} errors, "
        f"{cost.on_the_path():.2f} CPU-s, "
        f"foreign {cost.foreign:.2f}"
    )


def _save(pairs: Sequence[Pair], options: argparse.Namespace) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    made = {"options": vars(options), "machine": machine, "pairs": [asdict(pair) for pair in pairs]}
    path.write_text(json.dumps(made, indent=1))
    return path


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
