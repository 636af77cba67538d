"""``caravan shields``: over the gateway's HTTP API."""

from __future__ import annotations

import json
import sys
import urllib.parse
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from caravan.cli.options import DataDirOption, JsonOption, UrlOption, only_without_subcommand

FLAGGED: Final = 3
"""Exit status of ``run`` for a text that is flagged: 1 says that something failed, 2 that it was asked wrongly."""
_MOST: Final = 512 * 1024
"""Bytes of a text: what one check takes."""

app = typer.Typer(help="List and show shields, and try one on a text.", invoke_without_command=True)


@app.callback()
def shields(
    context: typer.Context, url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List and show shields, and try one on a text (without a subcommand: list them)."""
    if only_without_subcommand(context):
        list_shields(url, data_dir, as_json)


@app.command("list")
def list_shields(url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List every shield that you may use."""
    from caravan.cli import console
    from caravan.cli.gateway import Gateway

    found = Gateway.find(url, data_dir).call("GET", "/v1/shields")["data"]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    shown = console.table("shield", "type", "there named", "from")
    for shield in found:
        name = shield["provider_shield_id"] if shield["provider_shield_id"] != shield["identifier"] else ""
        shown.add_row(shield["identifier"], shield["provider_type"], name, shield["source"])
    console.out().print(shown)


@app.command()
def show(
    shield: Annotated[str, typer.Argument(help="Its id, as `caravan shields` lists it.")],
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one shield and, to administrators, its settings."""
    from caravan.cli import console
    from caravan.cli.gateway import Gateway

    found = Gateway.find(url, data_dir).call("GET", f"/v1/shields/{urllib.parse.quote(shield, safe='/:')}")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    shown = console.table("", "")
    for name in ("identifier", "provider_type", "provider_shield_id", "source"):
        shown.add_row(name, str(found[name]))
    for name, value in sorted(found["params"].items()):
        shown.add_row(f"params.{name}", value if isinstance(value, str) else json.dumps(value))
    console.out().print(shown)


@app.command()
def run(
    shield: Annotated[str, typer.Argument(help="Its id, as `caravan shields` lists it.")],
    text: Annotated[
        str | None, typer.Argument(help="What it is to look at.", show_default="--file, else standard input")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A file with the text; - is standard input.")] = None,
    role: Annotated[
        str, typer.Option(help="Who says it: user, system, assistant or tool. Some shields judge them differently.")
    ] = "user",
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a shield look at a text. The exit status is 3 when it is flagged, 1 when there is no verdict."""
    from caravan.cli.gateway import Gateway

    if role not in ("user", "system", "assistant", "tool"):
        raise typer.BadParameter(f"{role!r} is none of user, system, assistant, tool", param_hint="--role")
    body = {"shield_id": shield, "messages": [{"role": role, "content": _text(text, file)}]}
    violation = Gateway.find(url, data_dir).call("POST", "/v1/safety/run-shield", body)["violation"]
    if as_json:
        typer.echo(json.dumps(violation, indent=2))
    else:
        _tell(shield, violation)
    if violation is not None:
        raise typer.Exit(FLAGGED)


def _text(text: str | None, file: Path | None) -> str:
    if text is not None and file is not None:
        raise typer.BadParameter("give the text or --file, not both", param_hint="TEXT")
    if text is not None:
        return text
    if file is None and sys.stdin.isatty():
        raise typer.BadParameter("give a text, --file, or something on standard input", param_hint="TEXT")
    try:
        if file is None or str(file) == "-":
            read = sys.stdin.buffer.read(_MOST + 1)
        else:
            with file.open("rb") as opened:
                read = opened.read(_MOST + 1)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="--file") from error
    if len(read) > _MOST:
        raise typer.BadParameter(f"the text has more than {_MOST} bytes; look at it in parts", param_hint="TEXT")
    return read.decode(errors="replace")


def _tell(shield: str, violation: dict[str, Any] | None) -> None:
    from caravan.cli import console

    if violation is None:
        typer.echo(f"{shield} found nothing.")
        return
    typer.echo(f"Flagged by {shield}: {violation['user_message']}")
    said = violation["metadata"]
    if said.get("findings"):
        shown = console.table("what", "from", "to")
        for finding in said["findings"]:
            shown.add_row(finding["label"], str(finding["start"]), str(finding["end"]))
    else:
        shown = console.table("what", "score")
        for name, score in sorted(said["categories"].items(), key=lambda item: -item[1]):
            shown.add_row(name, f"{score:.2f}")
    console.out().print(shown)
