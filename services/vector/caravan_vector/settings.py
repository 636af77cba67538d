"""What the vector service reads from its environment."""

from __future__ import annotations

from typing import Literal

from caravan_bus.settings import ServiceSettings
from caravan_storage.settings import DatabaseSettings, RedisSettings
from pydantic import Field

from caravan_vector.indexes import DEFAULT, KNOWN
from caravan_vector.parsing.settings import ParsingSettings


class Settings(ServiceSettings, DatabaseSettings, RedisSettings, ParsingSettings):
    """Beside where the servers are, and what a document may cost: how much is read at once, and by which models."""

    database_url: str = Field(
        "postgresql://caravan@127.0.0.1:5432/caravan", validation_alias="DATABASE_URL", repr=False
    )
    objects_url: str = Field(min_length=1, validation_alias="CARAVAN_OBJECTS_URL", repr=False)
    """Where the bytes of files lie; the files service has the same."""
    at_once: int = Field(4, ge=1, le=256, validation_alias="CARAVAN_VECTOR_AT_ONCE")
    """Files that one process reads into stores."""
    embed_batch: int = Field(32, ge=1, le=512, validation_alias="CARAVAN_VECTOR_EMBED_BATCH")
    """Chunks that are embedded with one question."""
    embed_at_once: int = Field(4, ge=1, le=64, validation_alias="CARAVAN_VECTOR_EMBED_AT_ONCE")
    """Such questions under way, for files; those of searches do not wait for them."""
    patience: float = Field(3600.0, ge=1, validation_alias="CARAVAN_VECTOR_PATIENCE")
    """Seconds for which a file waits for a model, or whatever else it needs, before it fails."""
    index: str = Field(DEFAULT, validation_alias="CARAVAN_VECTOR_INDEX", pattern=f"^({'|'.join(KNOWN)})$")
    """Of stores that name no `provider_id`."""
    search_mode: Literal["vector", "keyword", "hybrid"] = Field("hybrid", validation_alias="CARAVAN_VECTOR_SEARCH_MODE")
    """Of searches that name none."""
    embedding_model: str = Field("", validation_alias="CARAVAN_VECTOR_EMBEDDING_MODEL")
    """Of stores that name none; "" = the first that the registry has."""
    writing_model: str = Field("", validation_alias="CARAVAN_VECTOR_REWRITE_MODEL")
    """Rewrites queries and writes contexts; "" = the first that the registry has."""
    sweep_seconds: float = Field(30.0, gt=0, validation_alias="CARAVAN_VECTOR_SWEEP_SECONDS")
    """Pause between two looks at what is left over."""
