"""Users of the bus: our own, and foreign ones made with ``caravan bus user add``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from caravan_contracts import permissions, subjects

from caravan.runtime import keys
from caravan.runtime.errors import NoAccess, StartError
from caravan.runtime.nats_config import BusUser
from caravan.runtime.paths import DataDir, write_private
from caravan.runtime.secrets import Secrets

DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class ForeignUser:
    """A bus user that is no service of ours; its seed is in a file of its own and nowhere else."""

    name: str
    tenant: str
    public_key: str


def seed_file(data: DataDir, name: str) -> Path:
    """The file with the seed of a bus user, ours or foreign."""
    return data.run / f"{name}.nk" if name in permissions.SERVICES else data.bus / f"{name}.nk"


def write_service_seeds(data: DataDir, secrets: Secrets) -> None:
    """One 0600 seed file per service, which is all of the secrets that a service gets to see."""
    for name in permissions.SERVICES:
        write_private(seed_file(data, name), secrets.seeds[name] + "\n")


def foreign(data: DataDir) -> list[ForeignUser]:
    """Foreign users by name."""
    path = data.bus / "users.json"
    try:
        rows = json.loads(path.read_text())
        return [ForeignUser(**row) for row in rows]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise NoAccess.of(path, error) from error
    except (ValueError, TypeError) as error:
        raise StartError(f"The list of bus users {path} is damaged ({error}). Repair or remove it.") from error


def add(data: DataDir, name: str, tenant: str = DEFAULT_TENANT) -> ForeignUser:
    """Make a foreign user and its seed file; raises :class:`StartError` for a name that can't be one."""
    try:
        subjects.token(tenant)
        permissions.for_foreign(tenant, subjects.token(name))
    except ValueError as error:
        raise StartError(f"A bus user can't be made: {error}.") from error
    users = foreign(data)
    if any(user.name == name for user in users):
        raise StartError(f"The bus user {name!r} exists already. Remove it first: `caravan bus user remove {name}`.")
    seed = keys.new_seed()
    user = ForeignUser(name, tenant, keys.public_key(seed))
    write_private(seed_file(data, name), seed + "\n")
    _write(data, [*users, user])
    return user


def remove(data: DataDir, name: str) -> None:
    """Forget a foreign user and its seed; raises :class:`StartError` when there is none."""
    users = foreign(data)
    rest = [user for user in users if user.name != name]
    if len(rest) == len(users):
        raise StartError(f"There is no foreign bus user {name!r}. List them: `caravan bus user list`.")
    _write(data, rest)
    seed_file(data, name).unlink(missing_ok=True)


def everybody(data: DataDir, secrets: Secrets) -> list[BusUser]:
    """Every user that the server should know."""
    public = secrets.public_keys()
    own = [BusUser(name, public[name], permissions.for_service(name)) for name in permissions.SERVICES]
    return own + [
        BusUser(user.name, user.public_key, permissions.for_foreign(user.tenant, user.name)) for user in foreign(data)
    ]


def _write(data: DataDir, users: list[ForeignUser]) -> None:
    rows = [asdict(user) for user in sorted(users, key=lambda user: user.name)]
    write_private(data.bus / "users.json", json.dumps(rows, indent=2))
