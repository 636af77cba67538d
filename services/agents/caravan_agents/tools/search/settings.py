"""Which search engine there is, from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from caravan_bus.settings import read_secret_file
from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from caravan_agents.tools.search.providers import ENGINES


class SearchSettings(BaseSettings):
    """Without a provider, `web_search` is refused."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", populate_by_name=True)

    search_provider: str = Field("", validation_alias="CARAVAN_AGENTS_SEARCH_PROVIDER")
    """One of :data:`caravan_agents.tools.search.providers.ENGINES`; "" = none."""
    search_key: str = Field("", validation_alias="CARAVAN_AGENTS_SEARCH_KEY", repr=False)
    search_key_file: Path | None = Field(None, validation_alias="CARAVAN_AGENTS_SEARCH_KEY_FILE")
    search_url: str = Field("", validation_alias="CARAVAN_AGENTS_SEARCH_URL", repr=False)
    """Where it is, if not at its usual place."""
    search_seconds: float = Field(15.0, gt=0, le=120, validation_alias="CARAVAN_AGENTS_SEARCH_SECONDS")
    """Of one search, its second try included."""

    @model_validator(mode="after")
    def _check_search(self) -> Self:
        if self.search_key_file is not None and not self.search_key:
            self.search_key = read_secret_file(self.search_key_file)
        if not self.search_provider:
            return self
        engine = ENGINES.get(self.search_provider)
        if engine is None:
            raise ValueError(f"CARAVAN_AGENTS_SEARCH_PROVIDER should be one of {', '.join(ENGINES)}")
        if engine.needs_key and not self.search_key:
            raise ValueError(
                f"the search provider {self.search_provider} needs CARAVAN_AGENTS_SEARCH_KEY or "
                "CARAVAN_AGENTS_SEARCH_KEY_FILE"
            )
        self.search_url = self.search_url or engine.url
        parts = urlsplit(self.search_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"the search provider {self.search_provider} needs CARAVAN_AGENTS_SEARCH_URL, an http(s) address"
            )
        return self
