"""Medians over the repetitions, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from benchmarks.results import ON_THE_PATH, PEER, Measured, Pair
from benchmarks.scenarios import Scenario

Figure = Callable[[Pair], float | None]


def tables(scenarios: Iterable[Scenario], pairs: Sequence[Pair]) -> str:
    """Three tables: CPU, latency, memory; a row for each scenario. A fourth when others were measured too."""
    chosen = list(scenarios)
    rows = [(scenario, _of(pairs, scenario, "caravan")) for scenario in chosen]
    made = [_cpu(rows), _latency(rows), _memory(rows)]
    servers = list(dict.fromkeys(pair.server for pair in pairs))
    if len(servers) > 1:
        made.append(_others(chosen, pairs, servers))
    return "\n\n".join(made)


def _of(pairs: Sequence[Pair], scenario: Scenario, server: str) -> list[Pair]:
    return [pair for pair in pairs if pair.scenario == scenario.name and pair.server == server]


def _others(scenarios: list[Scenario], pairs: Sequence[Pair], servers: list[str]) -> str:
    head = ["CPU-s (ratio to caravan) · added p50 ms", *servers]
    lines = []
    for scenario in scenarios:
        cells = []
        own = _sum(scenario, _of(pairs, scenario, servers[0]))
        for server in servers:
            of = _of(pairs, scenario, server)
            spent = _sum(scenario, of)
            ratio = f" ({spent / own:.1f}x)" if spent is not None and own and server != servers[0] else ""
            added = _median(of, _added(lambda it: it.load.latency.p50 / 1000 if it.load.latency.n else None))
            errors = sum(pair.mesh.load.errors for pair in of)
            wrong = f" · {errors} errors" if errors else ""
            cells.append(f"{_text(spent, 1 if scenario.tokens else 3)}{ratio} · {_text(added, 2)}{wrong}")
        lines.append([f"{scenario.title}, per {'1 M tokens' if scenario.tokens else '1k requests'}", *cells])
    return _table(head, lines)


def _sum(scenario: Scenario, pairs: list[Pair]) -> float | None:
    return _median(pairs, lambda pair: _per_unit(scenario, pair, (*ON_THE_PATH, PEER)))


Rows = list[tuple[Scenario, list[Pair]]]


def _cpu(rows: Rows) -> str:
    head = [
        "",
        "CPU-s per",
        *ON_THE_PATH,
        "**sum**",
        "rest",
        "req/s (direct)",
        "tokens/s (direct)",
        "errors",
        "foreign cores",
    ]
    return _table(head, [_cpu_row(scenario, pairs) for scenario, pairs in rows])


def _cpu_row(scenario: Scenario, pairs: list[Pair]) -> list[str]:
    digits = 1 if scenario.tokens else 3

    def cpu(*roles: str) -> str:
        return _text(_median(pairs, lambda pair: _per_unit(scenario, pair, roles)), digits)

    return [
        scenario.title,
        "1 M tokens" if scenario.tokens else "1k requests",
        *map(cpu, ON_THE_PATH),
        f"**{cpu(*ON_THE_PATH)}**",
        cpu("rest"),
        _beside(pairs, lambda it: it.load.ok / it.load.seconds),
        _beside(pairs, lambda it: it.load.tokens / it.load.seconds) if scenario.tokens else "–",
        str(sum(pair.mesh.load.errors for pair in pairs)),
        _text(_median(pairs, lambda pair: pair.mesh.cost.foreign), 2),
    ]


def _latency(rows: Rows) -> str:
    head = [
        "ms", "request p50 (direct)", "request p99 (direct)", "**added p50**", "first token p50 (direct)",
        "first token p99 (direct)", "added first token p50", "added per token p50", "added per token p99",
    ]  # fmt: skip
    lines = []
    for scenario, pairs in rows:
        streamed = bool(scenario.tokens)
        figures: list[tuple[bool, Callable[[Measured], float | None]]] = [
            (True, lambda it: it.load.latency.p50 / 1000 if it.load.latency.n else None),
            (True, lambda it: it.load.latency.p99 / 1000 if it.load.latency.n else None),
            (streamed, lambda it: it.load.first_token.p50 / 1000),
            (streamed, lambda it: it.load.first_token.p99 / 1000),
            (streamed, lambda it: it.load.token_delay.p50 / 1000),
            (streamed, lambda it: it.load.token_delay.p99 / 1000),
        ]
        p50, p99, first50, first99, _, _ = (_beside(pairs, read, 2) if on else "–" for on, read in figures)
        added50, _, added_first, _, added_token50, added_token99 = (
            _text(_median(pairs, _added(read)), 2) if on else "–" for on, read in figures
        )
        lines.append([
            scenario.title, p50, p99, f"**{added50}**", first50, first99, added_first, added_token50, added_token99,
        ])  # fmt: skip
    return _table(head, lines)


def _memory(rows: Rows) -> str:
    columns = (*ON_THE_PATH, "rest")
    return _table(
        ["RSS, MB", *columns],
        [[scenario.title, *(_text(_megabytes(pairs, role), 0) for role in columns)] for scenario, pairs in rows],
    )


def _megabytes(pairs: list[Pair], role: str) -> float | None:
    return _median(pairs, lambda pair: pair.mesh.cost.rss[role] / 1e6)


def _per_unit(scenario: Scenario, pair: Pair, roles: Sequence[str]) -> float | None:
    """CPU-seconds of these columns per thousand requests, or per million tokens of a stream."""
    spent = sum(pair.mesh.cost.cpu.get(role, 0.0) for role in roles)
    done, unit = (pair.mesh.load.tokens, 1e6) if scenario.tokens else (pair.mesh.load.ok, 1e3)
    return spent / done * unit if done else None


def _added(read: Callable[[Measured], float | None]) -> Figure:
    def added(pair: Pair) -> float | None:
        mesh, direct = read(pair.mesh), read(pair.direct)
        return None if mesh is None or direct is None else mesh - direct

    return added


def _beside(pairs: list[Pair], read: Callable[[Measured], float | None], digits: int = 0) -> str:
    mesh, direct = _median(pairs, lambda pair: read(pair.mesh)), _median(pairs, lambda pair: read(pair.direct))
    return f"{_text(mesh, digits)} ({_text(direct, digits)})"


def _median(pairs: list[Pair], figure: Figure) -> float | None:
    known = [value for pair in pairs if (value := figure(pair)) is not None]
    return median(known) if known else None


def _text(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _table(head: list[str], lines: list[list[str]]) -> str:
    ruler = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ruler, *lines))
