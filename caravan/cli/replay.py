"""``caravan replay``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caravan.cli.bus_line import NatsOption, NkeyOption, RedisOption
from caravan.cli.options import DataDirOption, JsonOption

if TYPE_CHECKING:
    from caravan_recorder.app import Line
    from caravan_recorder.load import Report
    from caravan_recorder.options import LoadOptions, ReplayOptions
    from caravan_recorder.replay import Replay

_ANSWER, _LOAD = "As a provider", "As load"


def replay(
    cassette: Annotated[Path, typer.Argument(help="A file that `caravan record` wrote.")],
    provider: Annotated[
        str, typer.Option(help="The provider id to answer as; its models are ID/<name>.", rich_help_panel=_ANSWER)
    ] = "replay",
    speed: Annotated[
        float, typer.Option(help="1 = in the recorded rhythm, 2 = twice as fast, 0 = without pauses.", min=0)
    ] = 1.0,
    loop: Annotated[
        bool,
        typer.Option(
            "--loop", help="Equal requests: begin again instead of repeating the last.", rich_help_panel=_ANSWER
        ),
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="A field that need not be equal, as in seed.", rich_help_panel=_ANSWER),
    ] = None,
    no_errors: Annotated[
        bool, typer.Option("--no-errors", help="Leave recorded errors out.", rich_help_panel=_ANSWER)
    ] = False,
    as_load: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Send the recorded requests to this model instead.", rich_help_panel=_LOAD),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(help="Requests a second, instead of the recorded spacing.", min=0, rich_help_panel=_LOAD),
    ] = 0.0,
    concurrency: Annotated[int, typer.Option(help="Most requests at once.", min=1, rich_help_panel=_LOAD)] = 256,
    repeat: Annotated[int, typer.Option(help="How often to send them all.", min=1, rich_help_panel=_LOAD)] = 1,
    as_json: JsonOption = False,
    nats: NatsOption = None,
    nkey: NkeyOption = None,
    redis: RedisOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Answer requests from recordings, as a provider of the running mesh, until Ctrl-C; or ask them again as load.

    Exit code 1 when a request of a load failed. See docs/recording.md.
    """
    from caravan_contracts.users import REPLAY
    from caravan_recorder.options import LoadOptions, ReplayOptions

    from caravan.cli import bus_line

    bus_line.quiet_logs()
    line = bus_line.find(REPLAY, nats, nkey, redis, data_dir)
    if as_load:
        options = LoadOptions(cassette, as_load, speed, rate, concurrency, repeat)
        raise typer.Exit(_load(line, options, as_json))
    answer = ReplayOptions(cassette, provider, speed, loop, tuple(ignore or ()), not no_errors)
    raise typer.Exit(_answer(line, answer))


def _answer(line: Line, options: ReplayOptions) -> int:
    from caravan_bus import process
    from caravan_recorder import app

    def ready(run: Replay) -> None:
        names = ", ".join(f"{options.provider}/{model.id}" for model in run.library.models())
        typer.echo(f"Replaying {run.library.answers} recordings as {names}; Ctrl-C ends.")
        if run.library.left_out:
            typer.echo(f"{run.library.left_out} are no answers: incomplete, or without their request.", err=True)

    async def run(stop: asyncio.Event) -> None:
        await app.replay(line, options, stop, ready)

    return process.run("replay", run)


def _load(line: Line, options: LoadOptions, as_json: bool) -> int:
    from caravan_bus import process
    from caravan_recorder import app

    reports: list[Report] = []

    async def run(stop: asyncio.Event) -> None:
        reports.append(await app.load(line, options, stop))

    code = process.run("replay", run)
    for report in reports:
        _show(report, as_json)
        code = code or int(bool(report.errors))
    return code


def _show(report: Report, as_json: bool) -> None:
    from caravan_recorder.load import percentile

    first = {"p50": _ms(percentile(report.first, 0.5)), "p99": _ms(percentile(report.first, 0.99))}
    total = {"p50": _ms(percentile(report.total, 0.5)), "p99": _ms(percentile(report.total, 0.99))}
    told = {
        "sent": report.sent,
        "ok": report.ok,
        "errors": dict(report.errors),
        "seconds": round(report.seconds, 3),
        "first_token_ms": first,
        "total_ms": total,
        "output_tokens": report.output_tokens,
        "tokens_per_second": round(report.tokens_per_second, 1),
        "late_ms": _ms(report.late),
    }
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    errors = ", ".join(f"{count} {code}" for code, count in report.errors.most_common()) or "none"
    typer.echo(f"requests     {report.sent} sent, {report.ok} ok in {report.seconds:.1f} s")
    typer.echo(f"errors       {errors}")
    typer.echo(f"first token  p50 {first['p50']} ms, p99 {first['p99']} ms")
    typer.echo(f"whole answer p50 {total['p50']} ms, p99 {total['p99']} ms")
    typer.echo(f"tokens       {report.output_tokens} out, {report.tokens_per_second:.1f} a second")
    typer.echo(f"latest send  {_ms(report.late)} ms after its time")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
