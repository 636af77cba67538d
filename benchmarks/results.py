"""What one measurement says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ON_THE_PATH = ("gateway", "nats", "worker", "agents")
PEER = "peer"
"""The column of a server that is not Caravan."""


@dataclass(frozen=True)
class Spread:
    """Percentiles in microseconds."""

    n: int
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True)
class Load:
    """What the load generator saw in its window."""

    connections: int
    seconds: float
    ok: int
    errors: int
    reconnects: int
    tokens: int
    latency: Spread
    first_token: Spread
    token_delay: Spread
    """From the upstream writing a token to the client having read it."""
    token_gap: Spread

    @classmethod
    def of(cls, printed: Mapping[str, Any]) -> Load:
        """From the JSON object it printed, whose names are ours."""
        read: dict[str, Any] = {name: Spread(**it) if isinstance(it, dict) else it for name, it in printed.items()}
        return cls(**read)


@dataclass(frozen=True)
class Cost:
    """What the load cost between the two ends of the window."""

    cpu: dict[str, float]
    """Seconds by column: gateway, nats, worker, rest; and upstream, generator."""
    rss: dict[str, int]
    """Bytes at the end of the window, by column."""
    foreign: float
    """Cores kept busy by everybody else on this machine: what disturbed the figures."""

    def on_the_path(self) -> float:
        return sum(self.cpu.get(role, 0.0) for role in (*ON_THE_PATH, PEER))


@dataclass(frozen=True)
class Measured:
    load: Load
    cost: Cost


@dataclass(frozen=True)
class Pair:
    """One scenario once: through a server, and straight to the upstream just before."""

    scenario: str
    repetition: int
    mesh: Measured
    direct: Measured
    server: str = "caravan"
