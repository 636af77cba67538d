"""Rows of the tables as OpenAI's objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.vectors import FileBatch, FileStatus, LastError, StoreFile

from caravan_vector.stores.rows import counts, seconds

FILE: Final = "f.number, f.id, f.filename, f.attributes, f.chunking, f.status, f.error, f.reason, f.created, f.bytes"
"""Columns of a file `f`."""
BATCH_COUNTS: Final = """
SELECT count(*) FILTER (WHERE status = 'in_progress') AS in_progress,
    count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled
FROM vector_batch_files b JOIN vector_files f ON f.number = b.file WHERE b.batch = $1 AND f.status <> 'removing'
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be attached, checked."""

    id: str
    filename: str
    attributes: dict[str, Any] | None
    """None = whatever it has."""
    chunking: dict[str, Any]


def store_file(row: Any, store: str) -> StoreFile:
    """What clients see of a row with the columns :data:`FILE`."""
    return StoreFile(
        id=row["id"],
        created_at=seconds(row["created"]),
        vector_store_id=store,
        status=row["status"],
        usage_bytes=row["bytes"],
        last_error=LastError(code=row["error"], message=row["reason"] or "") if row["error"] else None,
        attributes=row["attributes"],
        chunking_strategy=row["chunking"],
    )


def file_batch(row: Any, counted: Any, store: str) -> FileBatch:
    """What clients see of a batch and its counts."""
    files = counts(counted)
    status: FileStatus = "completed"
    if row["cancelled"]:
        status = "cancelled"
    elif files.in_progress:
        status = "in_progress"
    elif files.total and files.failed == files.total:
        status = "failed"
    return FileBatch(
        id=row["id"],
        created_at=seconds(row["created"]),
        vector_store_id=store,
        status=status,
        file_counts=files,
    )
