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
