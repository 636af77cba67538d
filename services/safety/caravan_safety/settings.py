"""What the safety service reads from its environment."""

from __future__ import annotations

from caravan_bus.settings import ServiceSettings
from caravan_storage.settings import DatabaseSettings, RedisSettings
from pydantic import Field


class Settings(ServiceSettings, DatabaseSettings, RedisSettings):
    """Beside where the servers are: how much is looked at at once, and how long the audit is kept."""

    database_url: str = Field(
        "postgresql://caravan@127.0.0.1:5432/caravan", validation_alias="DATABASE_URL", repr=False
    )
    at_once: int = Field(32, ge=1, le=1024, validation_alias="CARAVAN_SAFETY_AT_ONCE")
    """Passages that one shield looks at; as many times eight wait, one more is refused."""
    keep_days: float = Field(90.0, gt=0, validation_alias="CARAVAN_SAFETY_KEEP_DAYS")
    """A row of the audit is forgotten after so many days."""
    sweep_seconds: float = Field(60.0, gt=0, validation_alias="CARAVAN_SAFETY_SWEEP_SECONDS")
    """Pause between two looks for rows to forget."""
    moderation_shield: str = Field("", validation_alias="CARAVAN_SAFETY_MODERATION_SHIELD")
    """Asked by moderations that name no model; "" = `moderation`, or the only shield that there is."""
    allowed_hosts: str = Field("", validation_alias="CARAVAN_SAFETY_ALLOWED_HOSTS")
    """Hosts, addresses and networks beside the public Internet that shields may call; commas between."""
