"""Rows of the tables as OpenAI's objects."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from caravan_contracts.files import File, Upload

FILE: Final = "number, id, key, purpose, filename, media_type, bytes, sha256, created, expires"
"""Columns of a file."""
SEEN: Final = "state = 'ready' AND (expires IS NULL OR expires > now())"
"""Which files anybody can see."""


def file(row: Any) -> File:
    """Of a row with the columns :data:`FILE`."""
    expires = row["expires"]
    return File(
        id=row["id"],
        bytes=row["bytes"],
        created_at=seconds(row["created"]),
        expires_at=seconds(expires) if expires is not None else None,
        filename=row["filename"],
        purpose=row["purpose"],
    )


def upload(row: Any, made: File | None = None) -> Upload:
    """Of a whole row of ``files_uploads`` with `over`: whether its time is."""
    return Upload(
        id=row["id"],
        bytes=row["bytes"],
        created_at=seconds(row["created"]),
        expires_at=seconds(row["expires"]),
        filename=row["filename"],
        purpose=row["purpose"],
        status="expired" if row["status"] == "pending" and row["over"] else row["status"],
        file=made,
    )


def seconds(at: datetime) -> int:
    """Unix seconds."""
    return int(at.timestamp())
