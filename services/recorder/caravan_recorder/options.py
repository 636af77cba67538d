"""What a recorder, a replay and a load were asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from caravan_contracts.registry import REPLAY_TYPE

from caravan_recorder.writing import Mode

__all__ = ["REPLAY_TYPE", "Filter", "Limits", "LoadOptions", "RecordOptions", "ReplayOptions"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests are recorded; an empty tuple lets all pass."""

    models: tuple[str, ...] = ()
    """The id that the client wrote, or the provider's own."""
    providers: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()

    def wants(self, verb: str, provider: str, tenant: str, models: tuple[str, ...]) -> bool:
        """Whether a request passes; `models` are all its names."""
        return (
            (not self.verbs or verb in self.verbs)
            and (not self.providers or provider in self.providers)
            and (not self.tenants or tenant in self.tenants)
            and (not self.models or any(name in self.models for name in models))
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a recorder, in bytes and recordings."""

    recordings: int = 0
    """Stop after so many; 0 = go on."""
    stream_bytes: int = 32 * 1024 * 1024
    """Of one request and its answer; a larger one is not recorded."""
    memory_bytes: int = 256 * 1024 * 1024
    """Of everything that is under way or waits to be written."""
    open_streams: int = 4096
    disk_bytes: int = 1024 * 1024 * 1024
    """Of the file; recording ends there."""


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """One run of a recorder."""

    cassette: Path
    mode: Mode = Mode.NEW
    filter: Filter = field(default_factory=Filter)
    limits: Limits = field(default_factory=Limits)
    scrubs: tuple[str, ...] = ()
    """More patterns of secrets."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """One run of a replay."""

    cassette: Path
    provider: str = "replay"
    speed: float = 1.0
    """1 = as it was recorded, 2 = twice as fast, 0 = without any pause."""
    loop: bool = False
    """Equal requests get their recordings in a circle; otherwise the last one again and again."""
    ignore: tuple[str, ...] = ()
    """More fields of a request that do not matter."""
    errors: bool = True
    """Whether recorded errors are answers too."""
    slots: int = 1024


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """One run of recorded requests as load."""

    cassette: Path
    model: str
    speed: float = 1.0
    """Of the recorded spacing; 0 = all at once, within `concurrency`."""
    rate: float = 0.0
    """Requests a second instead of the recorded spacing; 0 = recorded."""
    concurrency: int = 256
    """Most requests at once."""
    repeat: int = 1
    timeout: float = 600.0
    """Seconds for one request."""
