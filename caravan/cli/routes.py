"""``caravan routes``: over the gateway's HTTP API."""

from __future__ import annotations

import json
import sys
import urllib.parse
from pathlib import Path
from typing import Annotated, Any

import typer

from caravan.cli.options import DataDirOption, JsonOption, UrlOption, only_without_subcommand

app = typer.Typer(help="List, show, add and remove routes: one name for several models.", invoke_without_command=True)


@app.callback()
def routes(
    context: typer.Context, url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List, show, add and remove routes: one name for several models (without a subcommand: list them)."""
    if only_without_subcommand(context):
        list_routes(url, data_dir, as_json)


@app.command("list")
def list_routes(url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List every route and its targets."""
    from caravan.cli import console
    from caravan.cli.gateway import Gateway

    found = Gateway.find(url, data_dir).call("GET", "/v1/routes")["data"]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    shown = console.table("route", "strategy", "targets", "rules", "from")
    for route in found:
        targets = ", ".join(_target(target, route["strategy"]) for target in route["targets"])
        shown.add_row(route["id"], route["strategy"], targets, str(len(route["rules"]) or ""), route["source"])
    console.out().print(shown)


@app.command()
def show(
    route: Annotated[str, typer.Argument(help="Its name.")], url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Show all of one route, as JSON."""
    from caravan.cli.gateway import Gateway

    typer.echo(json.dumps(Gateway.find(url, data_dir).call("GET", _path(route)), indent=2))


@app.command()
def add(
    route: Annotated[str, typer.Argument(help="The name that clients will write as `model`.")],
    target: Annotated[
        list[str] | None, typer.Argument(help="Models it stands for, the first one first, as in openai/gpt-5.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="ordered or weighted.", show_default="as in --file, else ordered")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting, as in timeouts.first_token=5 or retry.same_target=0; may be repeated.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="YAML or JSON of the route, as under `routes:` of a stack file; - = stdin."),
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Add or change a route, visible in every gateway within two seconds."""
    from caravan.cli import settings
    from caravan.cli.gateway import Gateway

    body = _read(file) if file is not None else {}
    body |= {"targets": list(target)} if target else {}
    body |= {"strategy": strategy} if strategy else {}
    body |= settings.read(setting or ())
    body |= {"id": route}
    body.pop("name", None)
    made = Gateway.find(url, data_dir).call("PUT", _path(route), body)
    typer.echo(f"Added {made['id']}: {', '.join(part['model'] for part in made['targets'])}.")


@app.command("rm")
def remove(
    route: Annotated[str, typer.Argument(help="Its name.")], url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Remove a route; the models it stood for stay."""
    from caravan.cli.gateway import Gateway

    Gateway.find(url, data_dir).call("DELETE", _path(route))
    typer.echo(f"Removed {route}.")


app.command("remove", hidden=True)(remove)  # as the other resources say it


def _path(route: str) -> str:
    return f"/v1/routes/{urllib.parse.quote(route, safe='/:')}"


def _target(target: dict[str, Any], strategy: str) -> str:
    return f"{target['model']} ({target['weight']:g})" if strategy == "weighted" else str(target["model"])


def _read(file: Path) -> dict[str, Any]:
    import yaml

    from caravan.errors import StartError

    try:
        made = yaml.safe_load(sys.stdin if str(file) == "-" else file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StartError(f"--file {file} cannot be read: {error}") from error
    if not isinstance(made, dict):
        raise StartError(f"--file {file}: write a mapping (key: value), as under `routes:` of a stack file.")
    return made
