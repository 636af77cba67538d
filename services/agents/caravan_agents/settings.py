"""What the agents service reads from its environment."""

from __future__ import annotations

from caravan_bus.settings import ServiceSettings
from caravan_contracts.conversations import LARGEST_ITEM
from caravan_contracts.prompts import LARGEST_PROMPT
from caravan_storage.settings import DatabaseSettings
from pydantic import Field


class Settings(ServiceSettings, DatabaseSettings):
    """Beside where the servers are: how long, and how much, is remembered."""

    database_url: str = Field(
        "postgresql://caravan@127.0.0.1:5432/caravan", validation_alias="DATABASE_URL", repr=False
    )
    completions_days: float = Field(30.0, gt=0, validation_alias="CARAVAN_AGENTS_COMPLETIONS_DAYS")
    """A stored chat completion is forgotten after so many days."""
    completions_max: int = Field(1_000_000, ge=1, validation_alias="CARAVAN_AGENTS_COMPLETIONS_MAX")
    """So many are kept of one tenant; beyond them its oldest are forgotten."""
    at_once: int = Field(8, ge=1, le=256, validation_alias="CARAVAN_AGENTS_AT_ONCE")
    """Jobs of the work queue done at once."""
    conversation_items: int = Field(10_000, ge=1, le=1_000_000, validation_alias="CARAVAN_AGENTS_CONVERSATION_ITEMS")
    """Items of one conversation."""
    conversation_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, le=1024**3, validation_alias="CARAVAN_AGENTS_CONVERSATION_BYTES"
    )
    """Of all items of one conversation."""
    item_bytes: int = Field(LARGEST_ITEM, ge=1024, le=LARGEST_ITEM, validation_alias="CARAVAN_AGENTS_ITEM_BYTES")
    """Of one item of a conversation, as JSON."""
    prompt_bytes: int = Field(64 * 1024, ge=1024, le=LARGEST_PROMPT, validation_alias="CARAVAN_AGENTS_PROMPT_BYTES")
    """Of one template of a prompt, as JSON."""
    prompt_versions: int = Field(1_000, ge=1, le=100_000, validation_alias="CARAVAN_AGENTS_PROMPT_VERSIONS")
    """Versions of one prompt."""
    redis_url: str = Field("", validation_alias="REDIS_URL", repr=False)
    redis_url_file: str = Field("", validation_alias="REDIS_URL_FILE")
    """Where bodies lie that are too large for the bus; without one they are refused."""
    responses_at_once: int = Field(256, ge=1, le=65_536, validation_alias="CARAVAN_AGENTS_RESPONSES_AT_ONCE")
    """Responses made at once."""
    recalls_at_once: int = Field(64, ge=1, le=65_536, validation_alias="CARAVAN_AGENTS_RECALLS_AT_ONCE")
    """Questions about stored responses answered at once."""
