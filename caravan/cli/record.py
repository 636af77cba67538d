"""``caravan record``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caravan.cli.bus_line import NatsOption, NkeyOption, RedisOption
from caravan.cli.options import DataDirOption, JsonOption

if TYPE_CHECKING:
    from caravan_recorder.recorder import Recorder


def record(
    cassette: Annotated[Path, typer.Argument(help="The file to write, as in weather.jsonl.")],
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be given several times.")] = None,
    provider: Annotated[list[str] | None, typer.Option(help="Only this provider.")] = None,
    tenant: Annotated[list[str] | None, typer.Option(help="Only this tenant.")] = None,
    verb: Annotated[list[str] | None, typer.Option(help="Only chat, completions, embeddings ...")] = None,
    max: Annotated[int, typer.Option(help="Stop after so many recordings; 0 = go on until Ctrl-C.", min=0)] = 0,
    append: Annotated[bool, typer.Option("--append", help="Add to the file if it exists.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Begin the file anew if it exists.")] = False,
    scrub: Annotated[
        list[str] | None, typer.Option(metavar="REGEX", help="What looks like this is a secret too.")
    ] = None,
    max_bytes: Annotated[int, typer.Option(help="Largest size of the file.", min=4096)] = 1024**3,
    as_json: JsonOption = False,
    nats: NatsOption = None,
    nkey: NkeyOption = None,
    redis: RedisOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Write down what providers are asked and what they answer, with the time of each piece, until Ctrl-C.

    It listens on the bus: no provider and no worker needs to know. Secrets are taken out before anything is written.
    See docs/recording.md.
    """
    from caravan_bus import process
    from caravan_contracts.users import RECORDER
    from caravan_recorder import app
    from caravan_recorder.options import Filter, Limits, RecordOptions
    from caravan_recorder.writing import Mode

    from caravan.cli import bus_line
    from caravan.cli.recording_progress import RecordingProgress

    if append and replace:
        raise typer.BadParameter("take one of --append and --replace")
    bus_line.quiet_logs()
    line = bus_line.find(RECORDER, nats, nkey, redis, data_dir)
    wanted = Filter(*(tuple(names or ()) for names in (model, provider, tenant, verb)))
    mode = Mode.APPEND if append else Mode.REPLACE if replace else Mode.NEW
    options = RecordOptions(cassette, mode, wanted, Limits(recordings=max, disk_bytes=max_bytes), tuple(scrub or ()))
    done: list[Recorder] = []

    async def run(stop: asyncio.Event) -> None:
        with RecordingProgress(cassette) as progress:
            done.append(await app.record(line, options, stop, progress.ready, progress.written))

    code = process.run("record", run)
    for recorder in done:
        _show(recorder, cassette, as_json)
    raise typer.Exit(code)


def _show(recorder: Recorder, cassette: Path, as_json: bool) -> None:
    tally = recorder.tally
    if as_json:
        told = {
            "cassette": str(cassette),
            "recordings": tally.recordings,
            "bytes": tally.size,
            **{outcome.value: count for outcome, count in tally.written.items()},
            "not_recorded": {loss.name.lower(): count for loss, count in tally.lost.items()},
            "ended": recorder.why,
        }
        typer.echo(json.dumps(told, indent=2))
        return
    kinds = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(tally.written.items()))
    typer.echo(f"{tally.recordings} recordings in {cassette}" + (f": {kinds}" if kinds else ""))
    for loss, count in sorted(tally.lost.items()):
        typer.echo(f"  not recorded: {count} {loss.value}")
    if recorder.why:
        typer.echo(f"  ended: {recorder.why}")
