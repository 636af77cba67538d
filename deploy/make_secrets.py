"""Make the secrets of a compose deployment, once: passwords, bus keys, and the URLs that hold them.

    python make_secrets.py /secrets

Each reader has its own folder under the target, a volume that nobody else mounts; therefore files there are readable
by whatever uid that container runs as. What exists is kept, so running it again changes nothing.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

SERVICES = ("gateway", "registry", "inference", "agents", "files", "vector", "safety")
READABLE = 0o444


def main(root: Path) -> None:
    """Fill the folders below `root`."""
    postgres = password(root / "postgres" / "password", "POSTGRES_PASSWORD")
    valkey = password(root / "valkey" / "password", "VALKEY_PASSWORD")
    write(root / "valkey" / "valkey.conf", valkey_config(valkey))
    database = f"postgresql://caravan:{quote(postgres, safe='')}@postgres:5432/caravan\n"
    for service in ("registry", "agents", "files", "vector", "safety"):
        write(root / service / "database-url", database)
    password(root / "agents" / "secret", "CARAVAN_AGENTS_SECRET")
    for service in SERVICES:
        write(root / service / "redis-url", f"redis://:{quote(valkey, safe='')}@valkey:6379/0\n")
    bus_keys(root)


def password(path: Path, variable: str) -> str:
    """What the file says; at the first start, the environment's value or a new one."""
    if not path.exists():
        write(path, (os.environ.get(variable) or secrets.token_urlsafe(32)) + "\n")
    return path.read_text().strip()


def valkey_config(secret: str) -> str:
    """Valkey holds what replicas share for a while; when it is full, what would expire first goes first."""
    quoted = secret.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'requirepass "{quoted}"\n'
        "dir /data\n"
        "appendonly yes\n"
        f"maxmemory {os.environ.get('VALKEY_MAXMEMORY') or '512mb'}\n"
        "maxmemory-policy volatile-ttl\n"
    )


def write(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader never sees half of it."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(READABLE)
    new.replace(path)


def bus_keys(root: Path) -> None:
    """The NATS configuration with public keys only, and each service's seed into its own folder."""
    keyring = root / "keyring"
    command = [sys.executable, "-m", "caravan", "bus", "render-nats-config", "--dir", str(keyring)]
    subprocess.run(command, check=True, timeout=60)
    write(root / "nats" / "nats.conf", (keyring / "nats.conf").read_text())
    for service in SERVICES:
        write(root / service / "nkey", (keyring / f"{service}.nk").read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
