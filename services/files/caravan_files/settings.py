"""What the files service reads from its environment."""

from __future__ import annotations

from caravan_bus.settings import ServiceSettings
from caravan_contracts.files import LARGEST_FILE
from caravan_storage.settings import DatabaseSettings
from pydantic import Field


class Settings(ServiceSettings, DatabaseSettings):
    """Beside where the servers are: how much is kept, and how long what is unfinished may be so."""

    database_url: str = Field(
        "postgresql://caravan@127.0.0.1:5432/caravan", validation_alias="DATABASE_URL", repr=False
    )
    objects_url: str = Field(min_length=1, validation_alias="CARAVAN_OBJECTS_URL", repr=False)
    """Where the bytes lie: ``file:///folder`` or ``s3://bucket/prefix?endpoint=…``. The gateway has the same."""
    file_bytes: int = Field(512 * 1024 * 1024, ge=1024, le=LARGEST_FILE, validation_alias="CARAVAN_FILES_BYTES")
    """Of one file."""
    tenant_bytes: int = Field(0, ge=0, validation_alias="CARAVAN_FILES_TENANT_BYTES")
    """Of all files of one tenant and of the parts of its uploads; 0 = as many as there is room for."""
    upload_seconds: float = Field(3600.0, gt=0, le=86_400, validation_alias="CARAVAN_FILES_UPLOAD_SECONDS")
    """What one transfer of bytes may take."""
    sweep_seconds: float = Field(600.0, gt=0, validation_alias="CARAVAN_FILES_SWEEP_SECONDS")
    """Pause between two looks at what is over."""
    orphan_seconds: float = Field(7200.0, gt=0, validation_alias="CARAVAN_FILES_ORPHAN_SECONDS")
    """What lies in the object store for so long, and no row tells of it, is removed."""
