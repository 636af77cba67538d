"""Keys and passwords of one instance: made at the first start, kept in one 0600 file."""

from __future__ import annotations

import json
import secrets as random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caravan.errors import NoAccess, StartError
from caravan.runtime import keys
from caravan.runtime.paths import DataDir, write_private


@dataclass(frozen=True, slots=True)
class Secrets:
    """Everything secret of one instance. Its repr shows nothing."""

    seeds: dict[str, str] = field(repr=False)
    """NKEY seed of each bus user of ours."""
    postgres_password: str = field(repr=False)
    valkey_password: str = field(repr=False)
    agents_secret: str = field(repr=False)
    """What the agents service encrypts with, for clients to keep."""

    def public_keys(self) -> dict[str, str]:
        """Public key of each bus user."""
        return {user: keys.public_key(seed) for user, seed in self.seeds.items()}


def load(data: DataDir, users: tuple[str, ...]) -> Secrets:
    """Read the secrets of `data`; make those that are missing (all of them at the first start).

    Raises :class:`NoAccess` when the file can't be read or written, :class:`StartError` when it is damaged.
    """
    known = _read(data.secrets)
    seeds = dict(known.get("nkey_seeds", {}))
    fresh = Secrets(
        seeds={user: seeds.get(user) or keys.new_seed() for user in users} | seeds,
        postgres_password=known.get("postgres_password") or random.token_urlsafe(32),
        valkey_password=known.get("valkey_password") or random.token_urlsafe(32),
        agents_secret=known.get("agents_secret") or random.token_urlsafe(32),
    )
    text = json.dumps(
        {
            "nkey_seeds": fresh.seeds,
            "postgres_password": fresh.postgres_password,
            "valkey_password": fresh.valkey_password,
            "agents_secret": fresh.agents_secret,
        },
        indent=2,
    )
    if known != json.loads(text):
        write_private(data.secrets, text)
    return fresh


def _read(path: Path) -> dict[str, Any]:
    try:
        path.chmod(0o600)
        known = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise NoAccess.of(path, error) from error
    except ValueError as error:
        raise StartError(_damaged(path)) from error
    if not isinstance(known, dict):
        raise StartError(_damaged(path))
    return known


def _damaged(path: Path) -> str:
    return (
        f"The secrets file {path} can't be read as JSON. Put back a copy of it; without one, its passwords are lost "
        "and the data folder has to be moved away to start afresh."
    )
