"""``caravan up``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caravan import defaults
from caravan.cli.options import DataDirOption

if TYPE_CHECKING:
    from caravan.runtime.options import MeshOptions


def up(
    port: Annotated[int, typer.Option(help="Port of the HTTP API; 0 = a free one.", min=0, max=65535)] = defaults.PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than loopback need API keys; see docs/operations.md.")
    ] = defaults.HOST,
    config: Annotated[
        str | None,
        typer.Option(
            help="A stack file, or a ready-made stack: starter, openai, ollama, vllm.",
            show_default="./caravan.yaml, else starter",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    scale: Annotated[
        list[str] | None, typer.Option(metavar="SERVICE=N", help="Processes of a service, as in inference=3; 0 = none.")
    ] = None,
    no_local_model: Annotated[
        bool, typer.Option("--no-local-model", help="Don't load the chat model and the embedder that come with it.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when ready; `caravan down` stops.")] = False,
) -> None:
    """Start everything on this machine: NATS, PostgreSQL, Valkey and every service.

    Ports of the servers are free ones, secrets are made at the first start and kept in the data folder. Ctrl-C (or
    `caravan down`) lets open requests finish and leaves nothing running; a second Ctrl-C does not wait for them.
    """
    from caravan_contracts.users import SERVICES

    from caravan.runtime import services
    from caravan.runtime.options import MeshOptions, find_stack, parse_scale

    options = MeshOptions(
        data_dir=data_dir,
        host=host,
        port=port,
        stack=find_stack(config),
        scale=parse_scale(scale or (), [name for name in SERVICES if name in services.installed()]),
        local_model=not no_local_model,
    )
    if descriptor := os.environ.pop("CARAVAN_EVENTS_FD", ""):
        raise typer.Exit(_as_launcher(options, int(descriptor)))
    _check_stack(options.stack)
    if detach:
        _detached(options)
        return
    raise typer.Exit(_foreground(options))


def _foreground(options: MeshOptions) -> int:
    import asyncio
    import threading

    from caravan.cli import console, foreground, summary
    from caravan.cli.events import Event
    from caravan.cli.progress import Progress
    from caravan.runtime.paths import DataDir

    data = DataDir.at(options.data_dir)
    with Progress() as progress:

        def report(event: Event) -> None:
            if event.kind == "ready":
                progress.__exit__(None, None, None)
                # In a thread: it asks the gateway for its models, and the loop has children to look after.
                threading.Thread(target=summary.show, args=(data, options.stack, "Ctrl-C"), daemon=True).start()
            elif event.kind == "stopping":
                progress.__exit__(None, None, None)
                console.err().print("Stopping (again Ctrl-C: at once) ...")
            else:
                progress(event)

        return asyncio.run(foreground.run(options, report))


def _detached(options: MeshOptions) -> None:
    from caravan.cli import detached, summary
    from caravan.cli.progress import Progress
    from caravan.runtime.paths import DataDir

    data = DataDir.at(options.data_dir)
    with Progress() as progress:
        detached.start(_arguments(options, data.root), data, progress)
    summary.show(data, options.stack, stop="caravan down")


def _as_launcher(options: MeshOptions, descriptor: int) -> int:
    import asyncio

    from caravan.cli import foreground
    from caravan.cli.detached import PipeReporter
    from caravan.cli.events import Event
    from caravan.errors import StartError

    report = PipeReporter(descriptor)
    try:
        return asyncio.run(foreground.run(options, report))
    except StartError as error:
        report(Event("failed", text=str(error)))
        return 1


def _arguments(options: MeshOptions, data_dir: Path) -> list[str]:
    arguments = ["--host", options.host, "--port", str(options.port)]
    arguments += ["--config", options.stack, "--data-dir", str(data_dir)]
    for service, count in options.scale.items():
        arguments += ["--scale", f"{service}={count}"]
    return arguments if options.local_model else [*arguments, "--no-local-model"]


def _check_stack(stack: str) -> None:
    """A mistake in the stack file is shown with its line before anything starts; a warning keeps nothing from it."""
    from caravan.cli.config import problems_of

    mistakes, warnings = problems_of(stack)
    if mistakes:
        from caravan.errors import StartError

        lines = "\n".join(f"  {line}" for line in mistakes)
        raise StartError(f"The stack {stack} has mistakes; nothing was started.\n{lines}")
    for line in warnings:
        typer.echo(line, err=True)
