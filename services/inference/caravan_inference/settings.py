"""What an inference worker reads from its environment."""

from __future__ import annotations

from caravan_bus.settings import ServiceSettings
from caravan_contracts.registry import REPLAY_TYPE
from pydantic import Field


class Settings(ServiceSettings):
    """See :class:`ServiceSettings` for the rest."""

    providers: str = Field("*", validation_alias="CARAVAN_INFERENCE_PROVIDERS")
    """Comma-separated provider ids this worker serves; ``*`` = all."""
    exclude: str = Field("", validation_alias="CARAVAN_INFERENCE_EXCLUDE")
    """Comma-separated provider types this worker never serves."""
    slots: int = Field(1024, ge=1, validation_alias="CARAVAN_INFERENCE_SLOTS")
    """Requests at once per remote provider, unless the provider says otherwise."""
    refresh_seconds: float = Field(300.0, gt=0, validation_alias="CARAVAN_INFERENCE_REFRESH_SECONDS")
    """How often a provider is asked which models it has."""
    redis_url: str = Field("", validation_alias="REDIS_URL", repr=False)
    redis_url_file: str = Field("", validation_alias="REDIS_URL_FILE")

    def serves(self, provider_id: str, provider_type: str) -> bool:
        """Whether this worker is to serve that provider."""
        wanted = {part.strip() for part in self.providers.split(",")}
        unwanted = {REPLAY_TYPE, *(part.strip() for part in self.exclude.split(","))}
        return ("*" in wanted or provider_id in wanted) and provider_type not in unwanted
