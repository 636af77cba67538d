"""Configuration of a provider of any-llm, as it stands under `config` in the stack file."""

from __future__ import annotations

from typing import Any

from caravan_contracts.context import DEFAULT_TENANT
from caravan_contracts.errors import InvalidRequest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from caravan_inference.providers.base import ProviderOptions


class Timeouts(BaseModel):
    """Seconds."""

    model_config = ConfigDict(extra="forbid")

    read: float = Field(300.0, gt=0)
    """Longest silence of the upstream, where its SDK can be told."""


class Config(BaseModel):
    """The whole of it. Secrets are resolved before they come here."""

    model_config = ConfigDict(extra="forbid")

    api_key: str = Field("", validation_alias=AliasChoices("api_key", "api_token"), repr=False)
    """Without it any-llm looks into the worker's environment, under the name the upstream's own tools use."""
    base_url: str = Field("", validation_alias=AliasChoices("base_url", "api_base", "url"))
    """Another address than the upstream's usual one."""
    client: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Arguments of the SDK's client: ``region_name`` of Bedrock, ``project`` and ``location`` of Vertex …"""
    fields: list[str] = Field(default_factory=list)
    """Fields of a request, beside OpenAI's, that callers may pass to the SDK."""
    timeouts: Timeouts = Timeouts()
    allowed_models: list[str] | None = None
    allow_unlisted: bool = False
    """Read by the catalog; here only so that it may be written."""
    discover: bool = True
    """Ask for its models; when false only registered models exist."""


def read(options: ProviderOptions) -> Config:
    """The configuration. Raises InvalidRequest saying what is wrong."""
    if options.tenant != DEFAULT_TENANT:
        raise InvalidRequest(
            f"provider {options.id!r}: providers of any-llm belong to the shared tenant, for they use the "
            "credentials of the worker's environment"
        )
    given = {name: value for name, value in options.config.items() if value is not None}
    try:
        return Config.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"provider {options.id!r}: config.{where}: {first['msg']}", param=where) from error
