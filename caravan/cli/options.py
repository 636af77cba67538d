"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="CARAVAN_DATA_DIR",
        help="Folder of everything that survives a restart.",
        show_default="~/.local/share/caravan",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="CARAVAN_URL",
        help="Another server's URL, as in http://host:8321.",
        show_default="the running instance of --data-dir",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def only_without_subcommand(context: typer.Context) -> bool:
    """Whether no subcommand follows; if one does, options meant for it have to come after it."""
    if context.invoked_subcommand is None:
        return True
    given = [name for name in context.params if _on_command_line(context, name)]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise typer.BadParameter(f"put it after {context.invoked_subcommand}", param_hint=option)
    return False


def _on_command_line(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
