"""What a launcher tells whoever started it: progress, the end of the start, warnings. One JSON object per line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

Kind = Literal["child", "ready", "failed", "warning", "stopping", "stopped"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    kind: Kind
    name: str = ""
    """The child's name."""
    phase: str = ""
    text: str = ""
    """The error's or warning's paragraph."""

    def encode(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @staticmethod
    def decode(line: bytes) -> Event:
        """The opposite of :meth:`encode`."""
        return Event(**json.loads(line))


class Reporter(Protocol):
    """Shows events to somebody."""

    def __call__(self, event: Event) -> None:
        """Show one; must not block for long."""
        ...
