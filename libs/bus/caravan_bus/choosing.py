"""Which worker gets a request.

The owner of its prompt's prefix first. Then one that is not short of CPU. Of workers with many slots, whose work is
done elsewhere, two are filled by an eighth before the next two have any: streams in one process share its wake-ups,
and cost half of what they cost each in its own; and two, because a worker that dies takes its streams with it. Each
caller has its own order of them. Of workers with few slots, whose engines compute, the least loaded.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from caravan_bus.presence import WorkerEntry

Refused = dict[str, int]
"""Workers that refused a request, and the heartbeat after which they did."""
MANY_SLOTS: Final = 64
SHARES: Final = 8
TOGETHER: Final = 2
BUSY: Final = 60
"""Percent of a core above which a worker is spared while others are not."""


def choose(entries: Sequence[WorkerEntry], provider: str, affinity: bytes, refused: Refused) -> WorkerEntry | None:
    """One of `entries`, which are in the caller's order, that has a free slot for `provider`; None when none has."""
    if len(entries) == 1:
        only = entries[0]
        return only if only.free(provider) > 0 and not has_refused(only, refused) else None
    best: WorkerEntry | None = None
    best_rank = (-1, 0, 0, 0, 0)
    owner = _owner(entries, affinity) if affinity else None
    for place, entry in enumerate(entries):
        free = entry.free(provider)
        if free <= 0 or has_refused(entry, refused):
            continue
        slots = entry.presence.providers[provider].slots
        used = slots - free
        many = slots >= MANY_SLOTS
        rank = (
            1 if entry is owner else 0,
            0 if many and entry.presence.busy >= BUSY else 1,
            -(used * SHARES // slots) if many else -used * 1000 // slots,
            -(place // TOGETHER) if many else 0,
            -used if many else 0,
        )
        if rank > best_rank:
            best, best_rank = entry, rank
    return best


def has_refused(entry: WorkerEntry, refused: Refused) -> bool:
    """Whether it refused, and has said nothing since."""
    return refused.get(entry.presence.worker) == entry.presence.seq


def _owner(entries: Sequence[WorkerEntry], affinity: bytes) -> WorkerEntry:
    """Rendezvous hashing: a worker that comes or goes moves only its own prefixes."""
    return max(
        entries,
        key=lambda entry: zlib.crc32(entry.presence.worker.encode(), zlib.crc32(affinity)),
    )
