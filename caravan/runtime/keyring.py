"""Bus keys for servers that somebody else runs (containers): seeds and a NATS configuration in one folder."""

from __future__ import annotations

from pathlib import Path

from caravan_contracts.permissions import SERVICES

from caravan.errors import NoAccess
from caravan.runtime import bus_users, keys
from caravan.runtime.nats_config import NatsOptions, render
from caravan.runtime.paths import write_private

CONFIG = "nats.conf"


def fill(folder: Path, options: NatsOptions) -> Path:
    """Write ``NAME.nk`` (0600) for every service user and ``nats.conf`` with public keys only; the latter's path.

    Seeds that are there are kept, and foreign users made in this folder are in the configuration too.
    """
    public: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in SERVICES:
            path = folder / f"{name}.nk"
            if not path.exists():
                write_private(path, keys.new_seed() + "\n")
            public[name] = keys.public_key(path.read_text().strip())
    except OSError as error:
        raise NoAccess.of(folder, error) from error
    config = folder / CONFIG
    write_private(config, render(options, bus_users.everybody(folder, public)))
    return config
