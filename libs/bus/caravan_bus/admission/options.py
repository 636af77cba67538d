"""The bounds of asking for a worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoutingOptions:
    """Bounds, in seconds, requests and bytes."""

    accept_timeout: float = 0.25
    queue_limit: int = 1024
    """Requests that may wait per provider."""
    tenant_limit: int = 512
    """Of them, requests of one tenant."""
    queue_bytes: int = 256 * 1024 * 1024
    """Bodies of all that wait in this process; half of it for one tenant."""
    queue_timeout: float = 30.0
    no_worker_timeout: float = 3.0
    """How long to wait for a first worker to appear: one that is being restarted is back by then."""
    reconnect_timeout: float = 5.0
    attempts: int = 4
