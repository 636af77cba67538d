"""Rows of the tables as OpenAI's objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from caravan_contracts.vectors import FileCounts, StoreExpiry, VectorStore

EXPIRES: Final = "s.active + make_interval(days => s.expires_days)"
STORE: Final = (
    "s.number, s.tenant, s.id, s.name, s.description, s.metadata, s.created, s.active, s.expires_days, s.provider, "
    f"s.model, s.dimension, s.chunking, {EXPIRES} AS expires, coalesce({EXPIRES} <= now(), false) AS expired"
)
"""Columns of a store `s`."""
UNSETTLE: Final = "UPDATE vector_stores SET unsettled = coalesce(unsettled, now()) WHERE number = $1"
"""Something came into a store. It is written each time, since it tells whoever makes the store ready just now."""
COUNTS: Final = """
SELECT store, count(*) FILTER (WHERE status = 'in_progress') AS in_progress,
    count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled, sum(bytes) AS bytes
FROM vector_files WHERE store = ANY($1) AND status <> 'removing' GROUP BY store
"""
"""Of some stores."""


@dataclass(frozen=True, slots=True)
class Store:
    """What every part of the service has to know of one."""

    number: int
    tenant: str
    id: str
    provider: str
    model: str
    dimension: int
    chunking: dict[str, Any]


def store(row: Any) -> Store:
    """Of a row with the columns :data:`STORE`."""
    return Store(
        row["number"], row["tenant"], row["id"], row["provider"], row["model"], row["dimension"], row["chunking"]
    )


def counts(row: Any) -> FileCounts:
    """Of a row with a column for each status; None is none."""
    if row is None:
        return FileCounts()
    each = {name: row[name] for name in ("in_progress", "completed", "failed", "cancelled")}
    return FileCounts(**each, total=sum(each.values()))


def vector_store(row: Any, counted: Any) -> VectorStore:
    """What clients see of a store and its counts."""
    files = counts(counted)
    expires, days = row["expires"], row["expires_days"]
    under_way = "in_progress" if files.in_progress else "completed"
    return VectorStore(
        id=row["id"],
        created_at=seconds(row["created"]),
        name=row["name"],
        description=row["description"],
        usage_bytes=int(counted["bytes"] or 0) if counted is not None else 0,
        file_counts=files,
        status="expired" if row["expired"] else under_way,
        expires_after=StoreExpiry(anchor="last_active_at", days=days) if days is not None else None,
        expires_at=seconds(expires) if expires is not None else None,
        last_active_at=seconds(row["active"]),
        metadata=row["metadata"],
        embedding_model=row["model"],
        embedding_dimension=row["dimension"],
        provider_id=row["provider"],
    )


def seconds(at: datetime) -> int:
    """Unix seconds."""
    return int(at.timestamp())
