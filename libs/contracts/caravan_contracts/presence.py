"""Presence: what a worker says of itself, as a heartbeat and whenever it becomes full or free."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import orjson

HEARTBEAT_SECONDS = 0.25
"""How often a worker whose load moved says so; an idle one may say so every fourth time."""
GONE_AFTER_SECONDS = 3.0
"""Silence after which a worker is taken for gone, if a probe has not said so before."""


class WorkerState(StrEnum):
    """Whether a worker takes requests."""

    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Load:
    """Slots of one provider on one worker."""

    slots: int
    used: int

    @property
    def free(self) -> int:
        """Slots nobody holds."""
        return max(0, self.slots - self.used)


@dataclass(frozen=True, slots=True)
class Presence:
    """One heartbeat of one worker."""

    worker: str
    service: str
    state: WorkerState
    seq: int
    """Grows with each message of this worker; an older one that arrives late is ignored."""
    providers: dict[str, Load] = field(default_factory=dict)
    """The providers it can serve now, and their slots."""
    busy: int = 0
    """Percent of a core that its process used since the heartbeat before."""

    def encode(self) -> bytes:
        """JSON."""
        return orjson.dumps(
            {
                "worker": self.worker,
                "service": self.service,
                "state": self.state,
                "seq": self.seq,
                "providers": {name: [load.slots, load.used] for name, load in self.providers.items()},
                "busy": self.busy,
            }
        )

    @staticmethod
    def decode(payload: bytes) -> Presence:
        """The opposite of :meth:`encode`; raises ValueError for anything else."""
        try:
            data = orjson.loads(payload)
            return Presence(
                worker=str(data["worker"]),
                service=str(data["service"]),
                state=WorkerState(data["state"]),
                seq=int(data["seq"]),
                providers={str(k): Load(int(v[0]), int(v[1])) for k, v in data["providers"].items()},
                busy=int(data.get("busy", 0)),
            )
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"no presence message: {error!r}") from error
