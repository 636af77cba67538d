"""What is measured: Caravan, another gateway, or the upstream alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CARAVAN = "caravan"


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    launcher: int = 0
    """Pid; every process of the server descends from it. 0: its cost does not matter."""
    roles: Mapping[int, str] = field(default_factory=dict)
    """Pid -> column, for the processes on the path of a request."""
    other: str = "rest"
    """Column of all others."""
    prefix: str = ""
    """What it puts before the upstream's model names."""
    headers: tuple[str, ...] = ()
