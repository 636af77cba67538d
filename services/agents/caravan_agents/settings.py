"""What the agents service reads from its environment."""

from __future__ import annotations

from typing import Self

from caravan_bus.settings import ServiceSettings, read_secret_file
from caravan_contracts.conversations import LARGEST_ITEM
from caravan_contracts.prompts import LARGEST_PROMPT
from caravan_storage.settings import DatabaseSettings
from pydantic import Field, model_validator

from caravan_agents.responses.sealing import Sealing
from caravan_agents.tools.search.settings import SearchSettings


class Settings(ServiceSettings, DatabaseSettings, SearchSettings):
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
    """Where bodies lie that are too large for the bus (without one they are refused), and the newest events of runs."""
    responses_at_once: int = Field(256, ge=1, le=65_536, validation_alias="CARAVAN_AGENTS_RESPONSES_AT_ONCE")
    """Responses made at once."""
    stack: str = Field("", validation_alias="CARAVAN_REGISTRY_STACK")
    """The registry's stack file, of which the webhooks are read here; a ready-made stack has none."""
    recalls_at_once: int = Field(64, ge=1, le=65_536, validation_alias="CARAVAN_AGENTS_RECALLS_AT_ONCE")
    """Questions about stored responses answered at once."""
    follows_at_once: int = Field(256, ge=1, le=65_536, validation_alias="CARAVAN_AGENTS_FOLLOWS_AT_ONCE")
    """Readers of the events of responses that are made elsewhere."""
    background_at_once: int = Field(32, ge=1, le=4_096, validation_alias="CARAVAN_AGENTS_BACKGROUND_AT_ONCE")
    """Responses in the background made at once."""
    background_queued: int = Field(10_000, ge=1, le=1_000_000, validation_alias="CARAVAN_AGENTS_BACKGROUND_QUEUED")
    """Responses in the background that may wait, of all tenants; one more is refused with 429."""
    background_seconds: float = Field(3600.0, gt=0, validation_alias="CARAVAN_AGENTS_BACKGROUND_SECONDS")
    """What one of them may take from when a worker takes it up."""
    events_hours: float = Field(24.0, gt=0, validation_alias="CARAVAN_AGENTS_EVENTS_HOURS")
    """How long the events of a stored response can be read again."""
    max_turns: int = Field(64, ge=1, le=1_000, validation_alias="CARAVAN_AGENTS_MAX_TURNS")
    """Turns of the model within one response; behind them it is given no tools, so that it answers in words."""
    allowed_hosts: str = Field("", validation_alias="CARAVAN_AGENTS_ALLOWED_HOSTS")
    """What users may name beside the public Internet: hosts, host:port, addresses and networks, with commas between."""
    connectors_file: str = Field("", validation_alias="CARAVAN_AGENTS_CONNECTORS_FILE")
    """MCP servers that requests name by `connector_id`."""
    mcp_seconds: float = Field(60.0, gt=0, le=3600, validation_alias="CARAVAN_AGENTS_MCP_SECONDS")
    """For one call of a tool of an MCP server."""
    mcp_list_seconds: float = Field(30.0, gt=0, le=3600, validation_alias="CARAVAN_AGENTS_MCP_LIST_SECONDS")
    """To connect to an MCP server and to list its tools."""
    mcp_answer_bytes: int = Field(
        1024 * 1024, ge=1024, le=64 * 1024 * 1024, validation_alias="CARAVAN_AGENTS_MCP_ANSWER_BYTES"
    )
    """Of the text of one answer of a tool of an MCP server."""
    mcp_cache_seconds: float = Field(60.0, ge=0, le=86_400, validation_alias="CARAVAN_AGENTS_MCP_CACHE_SECONDS")
    """A list of tools is remembered so long; 0 asks each time."""
    file_search_seconds: float = Field(30.0, gt=0, le=600, validation_alias="CARAVAN_AGENTS_FILE_SEARCH_SECONDS")
    """For one search of one vector store."""
    objects_url: str = Field("", validation_alias="CARAVAN_OBJECTS_URL", repr=False)
    """Where the bytes of files lie; without it an input cannot name one."""
    input_file_bytes: int = Field(
        32 * 1024 * 1024, ge=1, le=46 * 1024 * 1024, validation_alias="CARAVAN_AGENTS_INPUT_FILE_BYTES"
    )
    """Of all files that one input names; with the third that Base64 adds they fit into a claim check."""
    secret: str = Field("", validation_alias="CARAVAN_AGENTS_SECRET", repr=False)
    secret_file: str = Field("", validation_alias="CARAVAN_AGENTS_SECRET_FILE")
    """What is encrypted for clients to keep: at least 32 characters. Several, with blanks between them: the first
    encrypts, all of them open."""

    @model_validator(mode="after")
    def _read_secret(self) -> Self:
        if not self.secret and self.secret_file:
            self.secret = read_secret_file(self.secret_file)
        Sealing.of(self.secret)
        return self
