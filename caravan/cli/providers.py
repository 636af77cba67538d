"""``caravan providers``: over the gateway's HTTP API."""

from __future__ import annotations

import json
import urllib.parse
from typing import Annotated

import typer

from caravan.cli.options import DataDirOption, JsonOption, UrlOption, only_without_subcommand

app = typer.Typer(help="List, add and remove providers of models.", invoke_without_command=True)


@app.callback()
def providers(
    context: typer.Context, url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List, add and remove providers of models (without a subcommand: list them)."""
    if only_without_subcommand(context):
        list_providers(url, data_dir, as_json)


@app.command("list")
def list_providers(url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List every provider and how it is."""
    from caravan.cli import console
    from caravan.cli.gateway import Gateway

    found = Gateway.find(url, data_dir).call("GET", "/v1/providers")["data"]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    shown = console.table("provider", "type", "health", "message")
    for provider in found:
        health = provider.get("health", {})
        shown.add_row(
            provider["provider_id"],
            provider["provider_type"],
            health.get("status", ""),
            health.get("message", ""),
        )
    console.out().print(shown)


@app.command()
def add(
    provider: Annotated[str, typer.Argument(help="Its id here, as in my-vllm.")],
    provider_type: Annotated[str, typer.Argument(help="As in remote::vllm, remote::openai.")],
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting, as in base_url=http://host:8000/v1; may be repeated. A value that is JSON is read as JSON "
            '(true, 10, null, [...], {...}), anything else is text. A dot goes one level down: a.b=1 is a={"b": 1}.',
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--set-string", metavar="KEY=VALUE", help="The same, but the value is text whatever it looks like."
        ),
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Add or change a provider. Keys are references that the worker resolves: --set 'api_key=${env.MY_KEY}'."""
    from caravan.cli import settings
    from caravan.cli.gateway import Gateway

    config = settings.read(setting or (), text or ())
    body = {"provider_id": provider, "provider_type": provider_type, "config": config}
    made = Gateway.find(url, data_dir).call("POST", "/v1/providers", body)
    typer.echo(f"Added {made['provider_id']} ({made['provider_type']}); `caravan models` shows what it has.")


@app.command()
def remove(
    provider: Annotated[str, typer.Argument(help="Its id.")], url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Remove a provider and its models."""
    from caravan.cli.gateway import Gateway

    Gateway.find(url, data_dir).call("DELETE", f"/v1/providers/{urllib.parse.quote(provider)}")
    typer.echo(f"Removed {provider}.")
