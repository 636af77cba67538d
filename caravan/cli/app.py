"""Puts the commands together; `--help` lists them in this order."""

from __future__ import annotations

from typing import Annotated

import typer

from caravan.cli import (
    bus,
    chat,
    config,
    connect,
    doctor,
    down,
    evaluate,
    failover_check,
    logs,
    models,
    providers,
    record,
    replay,
    routes,
    shields,
    status,
    up,
    version,
    worker,
)

app = typer.Typer(
    name="caravan",
    help="An OpenAI-compatible AI server made of small services on a NATS bus. Begin with `caravan up`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
RUN, USE, EXTEND = "Run", "Use", "Extend and look inside"


def _version(asked: bool) -> None:
    if asked:
        version.version()
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The same as `caravan version`.")
    ] = False,
) -> None:
    """Options before the command."""


app.command("up", rich_help_panel=RUN)(up.up)
app.command("down", rich_help_panel=RUN)(down.down)
app.command("status", rich_help_panel=RUN)(status.status)
app.command("logs", rich_help_panel=RUN)(logs.logs)
app.command("doctor", rich_help_panel=RUN)(doctor.doctor)
app.command("chat", rich_help_panel=USE)(chat.chat)
app.command("connect", rich_help_panel=USE)(connect.connect)
app.add_typer(models.app, name="models", rich_help_panel=USE)
app.add_typer(providers.app, name="providers", rich_help_panel=USE)
app.add_typer(routes.app, name="routes", rich_help_panel=USE)
app.add_typer(shields.app, name="shields", rich_help_panel=USE)
app.add_typer(evaluate.app, name="eval", rich_help_panel=EXTEND)
app.command("failover-check", rich_help_panel=EXTEND)(failover_check.failover_check)
app.command("record", rich_help_panel=EXTEND)(record.record)
app.command("replay", rich_help_panel=EXTEND)(replay.replay)
app.add_typer(config.app, name="config", rich_help_panel=EXTEND)
app.add_typer(bus.app, name="bus", rich_help_panel=EXTEND)
app.command("worker", rich_help_panel=EXTEND)(worker.worker)
app.command("version", rich_help_panel=EXTEND)(version.version)
