"""Users of the bus: our own, and foreign ones made with ``caravan bus user add``.

Foreign users live in a folder: ``users.json`` (public keys only) and one 0600 file ``NAME.nk`` each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from caravan_contracts import permissions, subjects

from caravan.errors import NoAccess, StartError
from caravan.runtime import keys
from caravan.runtime.nats_config import BusUser
from caravan.runtime.paths import DataDir, write_private
from caravan.runtime.secrets import Secrets

DEFAULT_TENANT = "default"
LOCAL = "local"
"""The foreign user that programs of this account are unless they are told otherwise (``caravan_client``)."""


@dataclass(frozen=True, slots=True)
class ForeignUser:
    """A bus user that is no service of ours; its seed is in a file of its own and nowhere else."""

    name: str
    tenant: str
    public_key: str

    @property
    def permissions(self) -> permissions.Permissions:
        """What it may say and hear."""
        return permissions.for_foreign(self.tenant, self.name)


def seed_file(data: DataDir, name: str) -> Path:
    """The file with the seed of a bus user, ours or foreign."""
    return data.run / f"{name}.nk" if name in permissions.SERVICES else data.bus / f"{name}.nk"


def write_service_seeds(data: DataDir, secrets: Secrets) -> None:
    """One 0600 seed file per service, which is all of the secrets that a service gets to see."""
    for name in permissions.SERVICES:
        write_private(seed_file(data, name), secrets.seeds[name] + "\n")


def foreign(folder: Path) -> list[ForeignUser]:
    """Foreign users by name."""
    path = folder / "users.json"
    try:
        return [ForeignUser(**row) for row in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise NoAccess.of(path, error) from error
    except (ValueError, TypeError) as error:
        raise StartError(f"The list of bus users {path} is damaged ({error}). Repair or remove it.") from error


def add(folder: Path, name: str, tenant: str = DEFAULT_TENANT) -> ForeignUser:
    """Make a foreign user and its seed file; raises :class:`StartError` for a name that can't be one."""
    try:
        permissions.for_foreign(subjects.token(tenant), subjects.token(name))
    except ValueError as error:
        raise StartError(f"The bus user can't be made: {error}.") from error
    users = foreign(folder)
    if any(user.name == name for user in users):
        raise StartError(f"The bus user {name!r} exists already. Remove it first: `caravan bus user remove {name}`.")
    seed = keys.new_seed()
    user = ForeignUser(name, tenant, keys.public_key(seed))
    write_private(folder / f"{name}.nk", seed + "\n")
    _write(folder, [*users, user])
    return user


def make_local(folder: Path) -> None:
    """At the first start: a user for programs of the account that owns the folder, which can read the seeds of all
    others anyway. Once it was removed it stays away."""
    if not (folder / "users.json").exists():
        add(folder, LOCAL)


def remove(folder: Path, name: str) -> None:
    """Forget a foreign user and its seed; raises :class:`StartError` when there is none."""
    users = foreign(folder)
    rest = [user for user in users if user.name != name]
    if len(rest) == len(users):
        raise StartError(f"There is no foreign bus user {name!r}. List them: `caravan bus user list`.")
    _write(folder, rest)
    (folder / f"{name}.nk").unlink(missing_ok=True)


def everybody(folder: Path, public_keys: Mapping[str, str]) -> list[BusUser]:
    """Every user that a server should know: ours with `public_keys`, and the foreign ones of `folder`."""
    own = [BusUser(name, public_keys[name], permissions.for_service(name)) for name in permissions.SERVICES]
    return own + [BusUser(user.name, user.public_key, user.permissions) for user in foreign(folder)]


def _write(folder: Path, users: list[ForeignUser]) -> None:
    rows = [asdict(user) for user in sorted(users, key=lambda user: user.name)]
    write_private(folder / "users.json", json.dumps(rows, indent=2))
