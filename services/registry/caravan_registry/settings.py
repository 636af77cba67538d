"""What the registry reads from its environment."""

from __future__ import annotations

from caravan_bus.settings import ServiceSettings
from caravan_storage.settings import DatabaseSettings, RedisSettings
from pydantic import Field


class Settings(ServiceSettings, DatabaseSettings, RedisSettings):
    """Beside where the servers are: the stack to begin with."""

    database_url: str = Field(
        "postgresql://caravan@127.0.0.1:5432/caravan", validation_alias="DATABASE_URL", repr=False
    )
    stack: str = Field("starter", validation_alias="CARAVAN_REGISTRY_STACK")
    """Path of a stack file, or the name of a ready-made one."""
