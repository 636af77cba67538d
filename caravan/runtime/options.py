"""What ``caravan up`` was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from caravan import defaults
from caravan.errors import StartError

MOST_WORKERS = 64
NEEDED = ("gateway", "registry")
"""Services of which there is one at least."""
LOCAL_PROVIDERS = ("inline::llama-cpp", "inline::onnx-embeddings")


@dataclass(frozen=True, slots=True)
class MeshOptions:
    """One mesh on one machine."""

    data_dir: Path | None = None
    """None = the default one."""
    host: str = defaults.HOST
    port: int = defaults.PORT
    """Of the gateways; 0 = a free one."""
    stack: str = "starter"
    """Path of a stack file or the name of a ready-made one."""
    scale: Mapping[str, int] = field(default_factory=dict)
    """Processes per service, 1 unless named; 0 = none, of a service that runs elsewhere or is not wanted."""
    local_model: bool = True


def parse_scale(texts: Iterable[str], known: Iterable[str]) -> dict[str, int]:
    """``["inference=3,gateway=2"]`` -> ``{"inference": 3, "gateway": 2}``; raises :class:`StartError`."""
    names = tuple(known)
    scale: dict[str, int] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        name, equals, count = part.partition("=")
        least = 1 if name in NEEDED else 0
        if not equals or not count.isdecimal() or not least <= int(count) <= MOST_WORKERS:
            raise StartError(
                f"--scale {part!r}: write SERVICE=NUMBER with a number from {least} to {MOST_WORKERS}, as in "
                "`--scale inference=3 --scale gateway=2`."
            )
        if name not in names:
            raise StartError(f"--scale {part!r}: there is no service {name!r} here. There are: {', '.join(names)}.")
        scale[name] = int(count)
    return scale


def find_stack(asked: str | None) -> str:
    """The stack to use: what was asked for, $CARAVAN_REGISTRY_STACK, ./caravan.yaml, or ``starter``.

    A path comes back absolute, since services may run elsewhere; raises :class:`StartError` when it does not exist.
    """
    chosen = asked or os.environ.get("CARAVAN_REGISTRY_STACK")
    if not chosen:
        here = Path("caravan.yaml")
        return str(here.absolute()) if here.is_file() else "starter"
    path = Path(chosen).expanduser()
    if path.is_file():
        return str(path.absolute())
    if path.suffix or len(path.parts) > 1:
        raise StartError(
            f"The stack file {chosen} does not exist. Give its path, or the name of a ready-made stack "
            "(starter, openai, ollama, vllm)."
        )
    return chosen
