"""``caravan failover-check``: sixteen ways in which a provider fails, tried against a mesh that runs."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caravan.cli.options import DataDirOption, JsonOption, UrlOption

if TYPE_CHECKING:
    from caravan.failover_check.outcome import Outcome


def failover_check(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CASE", help="This one alone; may be repeated.")
    ] = None,
    real: Annotated[
        bool, typer.Option("--real", help="With the real times: an outage of 60 s, a first token after 20 s.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(help="Address of this machine for workers on others; the check then listens at all of its own."),
    ] = "127.0.0.1",
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try sixteen ways in which a provider fails against the running mesh, with providers of its own.

    It registers the providers failover-check-a, -b and -c and routes to them, and removes them again. Nothing that you
    have configured is asked or changed. Exit code 1 when a case failed.
    """
    from caravan.cli import console
    from caravan.cli.gateway import KEY_VARIABLE, Gateway
    from caravan.errors import StartError
    from caravan.failover_check import cases
    from caravan.failover_check.run import Check, Where

    pace = cases.REAL if real else cases.QUICK
    wanted = [*cases.sixteen(pace), cases.beyond_repair()]
    known = [case.id for case in wanted]
    if only:
        if unknown := sorted(set(only) - set(known)):
            raise StartError(f"There is no case {unknown[0]!r}. There are: {', '.join(known)}.")
        wanted = [case for case in wanted if case.id in only]
    gateway = Gateway.find(url, data_dir)
    signal.signal(signal.SIGTERM, _interrupt)
    check = Check(Where(gateway.url, os.environ.get(KEY_VARIABLE, "").strip(), host), wanted, pace)
    try:
        outcomes = check.run((lambda outcome: None) if as_json else _progress)
    finally:
        for reason in check.left:
            console.problem(f"Something of the check could not be removed: {reason}")
    if as_json:
        typer.echo(json.dumps(_report(gateway.url, outcomes), indent=2))
    else:
        _show(outcomes)
    if not all(outcome.ok for outcome in outcomes):
        raise typer.Exit(1)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _progress(outcome: Outcome) -> None:
    from caravan.cli import console

    console.err().print(f"{'ok    ' if outcome.ok else 'failed'} {outcome.case.title}")


def _report(url: str, outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "url": url,
        "ok": all(outcome.ok for outcome in outcomes),
        "cases": [outcome.to_dict() for outcome in outcomes],
    }


def _show(outcomes: list[Outcome]) -> None:
    from caravan.cli import console

    shown = console.table("case", "trial", "", "seconds", "first word", "attempts")
    for column in shown.columns:
        column.no_wrap = True
    for outcome in outcomes:
        for number, tried in enumerate(outcome.tried):
            attempts = " ".join(f"{name}:{count}" for name, count in tried.attempts.items() if count)
            first = "" if tried.first_word_ms is None else f"{tried.first_word_ms:.0f} ms"
            result = "failed" if tried.problems else "ok"
            name = outcome.case.id if not number else ""
            shown.add_row(name, tried.name, result, f"{tried.seconds:.2f}", first, attempts)
    console.out().print(shown)
    for outcome in outcomes:
        for tried in outcome.tried:
            if tried.note:
                console.out().print(f"{outcome.case.id}: {tried.note}")
            for problem in tried.problems:
                console.out().print(f"{outcome.case.id} ({tried.name}): {problem}", markup=False)
    passed = sum(outcome.ok for outcome in outcomes)
    console.out().print(f"\n{passed} of {len(outcomes)} passed.")
