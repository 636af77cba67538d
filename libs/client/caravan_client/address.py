"""Where the bus is, and who we are on it: arguments, then the environment, then a ``caravan up`` of this machine.

Found there is what the files of its data folder say, which only the owner of the folder can read: the seeds of all bus
users lie in it already. Nothing is written, and no user is made.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from caravan_contracts import subjects as s
from caravan_contracts.context import DEFAULT_TENANT

from caravan_client.errors import CaravanClientError

LOCAL_USER: Final = "local"
"""The bus user that ``caravan up`` makes for programs of its own account."""


@dataclass(frozen=True, slots=True)
class Address:
    """How to sign in. `seed` is the NKEY seed (``SU…``) of the bus user; "" only for a server without users."""

    url: str
    user: str
    tenant: str = DEFAULT_TENANT
    seed: str = field(default="", repr=False)


def find(
    url: str | None = None,
    user: str | None = None,
    tenant: str | None = None,
    seed: str | None = None,
    seed_file: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Address:
    """Each part from its argument, else NATS_URL, NATS_USER, NATS_TENANT, NATS_NKEY_SEED or NATS_NKEY_SEED_FILE, else
    from the data folder. A `data_dir` that is given goes before the environment.

    Raises CaravanClientError when something is missing.
    """
    env = {} if data_dir is not None else os.environ
    folder = Path(data_dir).expanduser() if data_dir is not None else _default_folder()
    url = url or env.get("NATS_URL")
    user = user or env.get("NATS_USER")
    tenant = tenant or env.get("NATS_TENANT")
    file = Path(seed_file).expanduser() if seed_file else None
    if not seed and file is None:
        seed = env.get("NATS_NKEY_SEED")
        named = env.get("NATS_NKEY_SEED_FILE")
        file = Path(named).expanduser() if named and not seed else None
    if file is not None and not user and file.suffix == ".nk":
        user = file.stem
    if not url:
        url = _url_of(folder)
        if not seed and file is None:
            user = user or _only_user(folder)
            file = folder / "bus" / f"{user}.nk"
    if not user:
        raise CaravanClientError("which bus user asks? Name it with user=, or in NATS_USER")
    if not tenant:
        tenant = _tenants(file.parent).get(user, DEFAULT_TENANT) if file is not None else DEFAULT_TENANT
    try:
        return Address(url, s.token(user), s.token(tenant), seed or (_read(file) if file is not None else ""))
    except ValueError as error:
        raise CaravanClientError(f"that is no name of a bus user or tenant: {error}") from error


def _default_folder() -> Path:
    if chosen := os.environ.get("CARAVAN_DATA_DIR"):
        return Path(chosen).expanduser()
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "caravan"


def _url_of(folder: Path) -> str:
    state = _json(folder / "state.json")
    urls = state.get("urls") if isinstance(state, dict) else None
    found = urls.get("nats") if isinstance(urls, dict) else None
    if not isinstance(found, str):
        raise CaravanClientError(
            f"there is no bus: set NATS_URL, or start `caravan up` on this machine (looked for in {folder})"
        )
    return found


def _only_user(folder: Path) -> str:
    names = sorted(_tenants(folder / "bus"))
    if LOCAL_USER in names:
        return LOCAL_USER
    if len(names) == 1:
        return names[0]
    hint = (
        f"choose one with user= or NATS_USER: {', '.join(names)}" if names else "`caravan bus user add NAME` makes one"
    )
    raise CaravanClientError(f"which bus user of {folder} asks? {hint}")


def _tenants(folder: Path) -> dict[str, str]:
    """Bus user -> tenant, as ``caravan bus user add`` notes them beside the seeds."""
    rows = _json(folder / "users.json")
    users = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {str(row["name"]): str(row["tenant"]) for row in users if {"name", "tenant"} <= row.keys()}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise CaravanClientError(f"{path} cannot be read: {error.strerror}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise CaravanClientError(f"the seed {path} cannot be read: {error.strerror}") from error
