"""``caravan bus``: users of the bus, its AsyncAPI document, and keys for servers run by somebody else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caravan.cli.options import DataDirOption, JsonOption

if TYPE_CHECKING:
    from caravan.runtime.bus_users import ForeignUser

app = typer.Typer(help="Let other programs onto the bus; print what is said there.", no_args_is_help=True)
user_app = typer.Typer(help="Bus users of programs that are not Caravan's own.", no_args_is_help=True)
app.add_typer(user_app, name="user")

KeyringOption = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        help="A folder made by `caravan bus render-nats-config`, instead of the data folder; render it again after.",
    ),
]


@user_app.command()
def add(
    name: Annotated[str, typer.Argument(help="a-z 0-9 _ -; not the name of a service.")],
    tenant: Annotated[str, typer.Option(help="On whose behalf it asks.")] = "default",
    data_dir: DataDirOption = None,
    keyring: KeyringOption = None,
) -> None:
    """Make a bus user for another program: an NKEY, and the subjects it may use. A running server takes it at once."""
    from caravan.runtime import bus_users, reload, state
    from caravan.runtime.paths import DataDir

    if keyring:
        _show_user(bus_users.add(keyring, name, tenant), keyring, None)
        return
    data = DataDir.at(data_dir)
    data.make()
    made = bus_users.add(data.bus, name, tenant)
    live = asyncio.run(reload.users(data))
    current = state.running(data) if live else None
    _show_user(made, data.bus, current.urls["nats"] if current else None)


@user_app.command("list")
def list_users(data_dir: DataDirOption = None, keyring: KeyringOption = None, as_json: JsonOption = False) -> None:
    """List foreign bus users."""
    from dataclasses import asdict

    from caravan.cli import console
    from caravan.runtime import bus_users
    from caravan.runtime.paths import DataDir

    folder = keyring or DataDir.at(data_dir).bus
    users = bus_users.foreign(folder)
    if as_json:
        typer.echo(json.dumps([asdict(user) for user in users], indent=2))
        return
    shown = console.table("user", "tenant", "public key", "nkey file")
    for user in users:
        shown.add_row(user.name, user.tenant, user.public_key, str(folder / f"{user.name}.nk"))
    console.out().print(shown)


@user_app.command()
def remove(
    name: Annotated[str, typer.Argument()], data_dir: DataDirOption = None, keyring: KeyringOption = None
) -> None:
    """Remove a foreign bus user; a running server disconnects it at once."""
    from caravan.runtime import bus_users, reload
    from caravan.runtime.paths import DataDir

    if keyring:
        bus_users.remove(keyring, name)
    else:
        data = DataDir.at(data_dir)
        bus_users.remove(data.bus, name)
        asyncio.run(reload.users(data))
    typer.echo(f"Removed {name}.")


@app.command()
def asyncapi(as_json: JsonOption = False) -> None:
    """Print the AsyncAPI 3 document of everything said on the bus (YAML)."""
    from caravan_contracts.asyncapi import document

    if as_json:
        typer.echo(json.dumps(document(), indent=2))
        return
    import yaml

    typer.echo(yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=110), nl=False)


@app.command("render-nats-config")
def render_nats_config(
    folder: Annotated[Path, typer.Option("--dir", help="Where to write; made if missing.")],
    listen: Annotated[str, typer.Option(help="Of clients.")] = "0.0.0.0:4222",
    monitor: Annotated[str, typer.Option(help="Of the HTTP monitor.")] = "0.0.0.0:8222",
    store_dir: Annotated[str, typer.Option(help="JetStream's folder, as the server sees it.")] = "/data/jetstream",
) -> None:
    """Write nats.conf and a seed NAME.nk for every service, for a NATS server that runs elsewhere (compose).

    Seeds that exist are kept. nats.conf holds public keys only.
    """
    from caravan.runtime import keyring
    from caravan.runtime.nats_config import NatsOptions

    config = keyring.fill(folder, NatsOptions(listen=listen, monitor=monitor, store_dir=store_dir))
    typer.echo(f"Wrote {config}.")


def _show_user(user: ForeignUser, folder: Path, nats_url: str | None) -> None:
    seed = folder / f"{user.name}.nk"
    inbox = f"_INBOX.{user.name}"
    server = nats_url or "(the next `caravan up` knows this user; its `caravan status` shows the URL)"
    lines = [
        f"Bus user {user.name} (tenant {user.tenant})",
        f"  server        {server}",
        f"  nkey file     {seed}",
        f"  inbox prefix  {inbox}   (replies elsewhere are refused)",
        "  may publish   " + "\n                ".join(user.permissions.publish),
        "",
        "With nats-py:",
        f'  await nats.connect("{nats_url or "nats://..."}", nkeys_seed="{seed}", inbox_prefix=b"{inbox}")',
        "With the nats command:",
        f"  nats --server {nats_url or 'nats://...'} --nkey {seed} --inbox-prefix {inbox} req SUBJECT BODY",
    ]
    typer.echo("\n".join(lines))
