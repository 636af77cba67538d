"""Configuration of an OpenAI-compatible provider, as it stands under `config` in the stack file."""

from __future__ import annotations

import ssl
from typing import Any

from caravan_contracts.errors import InvalidRequest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.openai_compatible.presets import PRESETS, Preset
from caravan_inference.providers.openai_compatible.rerank import Dialect


class TLS(BaseModel):
    """How the server's certificate is checked, and which one we show."""

    model_config = ConfigDict(extra="forbid")

    verify: bool = True
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None

    def context(self) -> ssl.SSLContext | bool:
        """What aiohttp takes as `ssl`. Raises OSError for a file that cannot be read."""
        if self.verify and self.ca_file is None and self.client_cert is None:
            return True
        made = ssl.create_default_context(cafile=self.ca_file)
        if not self.verify:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        if self.client_cert is not None:
            made.load_cert_chain(self.client_cert, self.client_key)
        return made


class Timeouts(BaseModel):
    """Seconds."""

    model_config = ConfigDict(extra="forbid")

    connect: float = Field(10.0, gt=0)
    read: float = Field(300.0, gt=0)
    """Longest silence between two reads."""


class Rerank(BaseModel):
    """Its rerank endpoint, if it has one."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field("/rerank", pattern=r"^/[!-~]*$")
    """Behind `base_url`."""
    dialect: Dialect = "cohere"
    """``cohere`` is also Jina's, vLLM's, llama.cpp's and Together's."""


class Config(BaseModel):
    """The whole of it. Secrets are resolved before they come here."""

    model_config = ConfigDict(extra="ignore")

    base_url: str = Field("", validation_alias=AliasChoices("base_url", "url", "host"))
    api_key: str = Field("", validation_alias=AliasChoices("api_key", "api_token"), repr=False)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    tls: TLS = TLS()
    proxy: str | None = None
    timeouts: Timeouts = Timeouts()
    allowed_models: list[str] | None = None
    usage_in_stream: bool | None = None
    flush_ms: float = Field(5.0, ge=0, le=50)
    """Frames of a quick stream leave at least this far apart, in milliseconds; 0 = as they come. See :mod:`pace`."""
    rerank: Rerank = Rerank()
    discover: bool = True
    """Ask ``/models``; when false only registered models exist."""


def read(options: ProviderOptions) -> tuple[Config, Preset]:
    """The configuration and its preset. Raises InvalidRequest saying what is wrong."""
    preset = PRESETS[options.type.partition("::")[2]]
    given: dict[str, Any] = {k: v for k, v in options.config.items() if v is not None}
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"provider {options.id!r}: config.{where}: {first['msg']}", param=where) from error
    if not config.base_url:
        if not preset.base_url:
            raise InvalidRequest(
                f"provider {options.id!r} of type {options.type} needs config.base_url", param="base_url"
            )
        config.base_url = preset.base_url
    if not config.base_url.startswith(("http://", "https://")):
        raise InvalidRequest(
            f"provider {options.id!r}: base_url should begin with http:// or https://", param="base_url"
        )
    config.base_url = config.base_url.rstrip("/")
    return config, preset
