"""What docker-compose.yml says of NATS, PostgreSQL and Valkey, so that tests run what is deployed."""

from __future__ import annotations

import runpy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PORTS = {"nats": 4222, "postgres": 5432, "valkey": 6379}
"""The port of each server inside its container. Compose publishes none of them."""


@dataclass(frozen=True)
class ContainerSpec:
    """One container, before it has a port on this machine."""

    name: str
    image: str
    port: int
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    """Folder on this machine -> where the container sees it, read only."""
    shm_size: str | None = None


def specs(secrets: Path) -> dict[str, ContainerSpec]:
    """The three servers by name; their secrets and configuration are those that :func:`make_secrets` put in `secrets`.

    Volumes that hold data are left out: a container keeps its data as long as it is there, and tests want no more.
    """
    folders = secret_folders(secrets)
    return {name: _spec(name, service, folders) for name, service in _services().items() if name in PORTS}


def make_secrets(secrets: Path) -> None:
    """Fill `secrets` as the service of that name does in compose: one folder per volume, and the keyring."""
    for folder in secret_folders(secrets).values():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # each server's own user reads it, whoever that is
    runpy.run_path(str(ROOT / "deploy" / "make_secrets.py"))["main"](secrets)


def secret_folders(secrets: Path) -> dict[str, Path]:
    """Name of the volume -> its folder below `secrets`."""
    pairs = (volume.split(":") for volume in _services()["secrets"]["volumes"])
    return {name: secrets / Path(target).relative_to("/secrets") for name, target, *_ in pairs}


def open_nats(jetstream: bool = False) -> ContainerSpec:
    """The same NATS without our configuration: no users."""
    arguments: tuple[str, ...] = ("-a", "0.0.0.0", "-p", str(PORTS["nats"]))
    if jetstream:
        arguments += ("-js", "-sd", "/tmp/jetstream")
    return ContainerSpec("nats", _services()["nats"]["image"], PORTS["nats"], arguments)


def _services() -> dict[str, dict[str, Any]]:
    read: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return read


def _spec(name: str, service: dict[str, Any], folders: dict[str, Path]) -> ContainerSpec:
    if "${" in str(service):
        raise NotImplementedError(f"docker-compose.yml: {name} takes variables; tests would have to fill them in")
    volumes = [volume.split(":") for volume in service.get("volumes", ())]
    return ContainerSpec(
        name=name,
        image=service["image"],
        port=PORTS[name],
        command=tuple(service.get("command", ())),
        environment=dict(service.get("environment", {})),
        mounts={str(folders[volume]): target for volume, target, *_ in volumes if volume in folders},
        shm_size=service.get("shm_size"),
    )
