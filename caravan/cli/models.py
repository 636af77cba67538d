"""``caravan models``: over the gateway's HTTP API, so it works against any server."""

from __future__ import annotations

import json
import urllib.parse
from typing import Annotated

import typer

from caravan.cli.options import DataDirOption, JsonOption, UrlOption, only_without_subcommand

app = typer.Typer(help="List, register and unregister models.", invoke_without_command=True)


@app.callback()
def models(
    context: typer.Context, url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List, register and unregister models (without a subcommand: list them)."""
    if only_without_subcommand(context):
        list_models(url, data_dir, as_json)


@app.command("list")
def list_models(url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List every model that can be asked for."""
    from caravan.cli import console
    from caravan.cli.gateway import Gateway

    found = Gateway.find(url, data_dir).models()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    shown = console.table("model", "type", "provider", "there named", "aliases")
    for model in found:
        shown.add_row(
            model["id"],
            model.get("model_type", ""),
            model.get("provider_id", ""),
            model.get("provider_resource_id", ""),
            ", ".join(model.get("aliases", [])),
        )
    console.out().print(shown)


@app.command()
def add(
    model: Annotated[str, typer.Argument(help="Its id here, as in openai/gpt-5 or my-model.")],
    provider: Annotated[
        str | None, typer.Option(help="Who serves it.", show_default="the part of MODEL before the /")
    ] = None,
    provider_model: Annotated[
        str | None, typer.Option(help="What the provider calls it.", show_default="the part of MODEL after the /")
    ] = None,
    model_type: Annotated[str, typer.Option("--type", help="llm, embedding or rerank.")] = "llm",
    alias: Annotated[list[str] | None, typer.Option(help="Another name; may be given several times.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Register a model, visible in every gateway and worker within two seconds."""
    from caravan.cli.gateway import Gateway

    body: dict[str, object] = {"id": model, "model_type": model_type, "aliases": alias or []}
    if provider:
        body["provider_id"] = provider
    if provider_model:
        body["provider_resource_id"] = provider_model
    made = Gateway.find(url, data_dir).call("POST", "/v1/models", body)
    typer.echo(f"Registered {made['id']} (provider {made.get('provider_id')}).")


@app.command()
def remove(
    model: Annotated[str, typer.Argument(help="Its id.")], url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Unregister a model."""
    from caravan.cli.gateway import Gateway

    Gateway.find(url, data_dir).call("DELETE", f"/v1/models/{urllib.parse.quote(model, safe='/:')}")
    typer.echo(f"Removed {model}.")
