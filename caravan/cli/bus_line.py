"""How a command that is itself a worker reaches the bus: the running instance of the data folder, or options."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from caravan_recorder.app import Line

_PATIENCE = 10.0

NatsOption = Annotated[
    str | None,
    typer.Option("--nats", help="Another mesh's NATS.", show_default="the running instance of --data-dir"),
]
NkeyOption = Annotated[
    Path | None,
    typer.Option("--nkey", help="With --nats: the file with the seed of the bus user."),
]
RedisOption = Annotated[str | None, typer.Option("--redis", help="With --nats: where bodies over 256 KiB lie.")]


def find(user: str, nats: str | None, nkey: Path | None, redis: str | None, data_dir: Path | None) -> Line:
    """The line of bus user `user`; raises StartError when nothing runs, or when half of it is given."""
    from caravan_bus.settings import read_secret_file
    from caravan_recorder.app import Line

    from caravan.errors import NotRunning, StartError
    from caravan.runtime import bus_users, state
    from caravan.runtime.paths import DataDir

    if nats:
        try:
            return Line(nats, read_secret_file(nkey) if nkey else "", redis or "", patience=_PATIENCE)
        except ValueError as error:
            raise StartError(f"{error}. Name the seed of the bus user {user!r} with --nkey.") from error
    data = DataDir.at(data_dir)
    current = state.running(data)
    if current is None or "nats" not in current.urls:
        raise NotRunning(data.root)
    seed = bus_users.seed_file(data, user)
    if not seed.exists():
        raise StartError(
            f"The running server was started by a version that knows no bus user {user!r}: `caravan down`, then start "
            "it again."
        )
    redis_file = data.run / "redis.url"
    redis_url = redis_file.read_text().strip() if redis_file.exists() else ""
    return Line(current.urls["nats"], read_secret_file(seed), redis_url, patience=_PATIENCE)


def quiet_logs() -> None:
    """Warnings go to stderr as plain lines; the end of a run is told by the command itself."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("caravan_bus.process").setLevel(logging.CRITICAL)
