"""The data folder: where everything that must survive a restart lies.

::

    DATA/lock            held by the running launcher
    DATA/state.json      what runs: pids, ports, URLs
    DATA/secrets.json    0600: bus keys and passwords, made at the first start
    DATA/bus/            foreign bus users: users.json (public keys), NAME.nk (0600)
    DATA/nats/           nats-server.conf, jetstream/
    DATA/postgres/       data/
    DATA/valkey/         valkey.conf, append-only file
    DATA/objects/        0700: the bytes of files
    DATA/run/            0600 files that children read: seeds and URLs with passwords
    DATA/logs/           one bounded log per child
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from caravan.errors import NoAccess

ENVIRONMENT = "CARAVAN_DATA_DIR"
_FRESH_BYTES, _LOW_BYTES = 200 * 1024**2, 32 * 1024**2


def default() -> Path:
    """``$CARAVAN_DATA_DIR``, else ``$XDG_DATA_HOME/caravan``, else ``~/.local/share/caravan``."""
    if chosen := os.environ.get(ENVIRONMENT):
        return Path(chosen)
    if home := os.environ.get("XDG_DATA_HOME"):
        return Path(home) / "caravan"
    return Path.home() / ".local" / "share" / "caravan"


@dataclass(frozen=True, slots=True)
class DataDir:
    """Paths inside one data folder; nothing exists before :meth:`make`."""

    root: Path

    @staticmethod
    def at(path: Path | str | None = None) -> DataDir:
        """The folder at `path`, or the default one."""
        return DataDir((Path(path) if path else default()).expanduser().absolute())

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @property
    def bus(self) -> Path:
        return self.root / "bus"

    @property
    def nats(self) -> Path:
        return self.root / "nats"

    @property
    def nats_config(self) -> Path:
        return self.nats / "nats-server.conf"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, child: str) -> Path:
        """The log of one child."""
        return self.logs / f"{child}.log"

    def make(self) -> None:
        """Create the folders, for this user alone; raises :class:`NoAccess`."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.bus, self.nats, self.postgres, self.valkey, self.objects, self.run, self.logs):
                folder.mkdir(exist_ok=True, mode=0o700)
            probe = self.root / ".write"
            probe.write_bytes(b"caravan" * 512)  # a full disk gives the name and refuses the bytes
            probe.unlink()
        except OSError as error:
            raise NoAccess.of(self.root, error) from error
        if self.nearly_full():
            raise NoAccess.full(self.root)

    def nearly_full(self) -> bool:
        """Whether the servers would soon fail for want of space; a folder without a cluster needs more."""
        fresh = not (self.postgres / "data").exists()
        return shutil.disk_usage(self.root).free < (_FRESH_BYTES if fresh else _LOW_BYTES)


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step by a 0600 file holding `text`; raises :class:`NoAccess`."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise NoAccess.of(path, error) from error
