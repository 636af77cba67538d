"""Configuration of an OpenAI-compatible provider, as it stands under `config` in the stack file."""

from __future__ import annotations

import base64
import re
import ssl
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from caravan_contracts.errors import InvalidRequest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from caravan_inference.providers.base import ProviderOptions
from caravan_inference.providers.openai_compatible.presets import PRESETS, Preset
from caravan_inference.providers.openai_compatible.rerank import Dialect

_AUTH: Final = "Authorization"
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_FRAMING: Final = frozenset(
    ("connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade")
)
"""Headers of the client itself: a second one of them would let one request pass for two."""


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

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    base_url: str = Field("", validation_alias=AliasChoices("base_url", "url", "host"))
    api_key: str = Field("", validation_alias=AliasChoices("api_key", "api_token"), repr=False)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    tls: TLS = TLS()
    proxy: str | None = None
    timeouts: Timeouts = Timeouts()
    allowed_models: list[str] | None = None
    usage_in_stream: bool | None = None
    flush_ms: float = Field(8.0, ge=0, le=50)
    """Frames of a quick stream leave at least this far apart, in milliseconds; 0 = as they come. See :mod:`pace`."""
    messages: bool | None = None
    """Whether it speaks Anthropic's Messages API, too; None = as its type implies. Who asks it decides by that
    (:mod:`caravan_bus.native`)."""
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
    _read_headers(options.id, config)
    _read_address(options.id, config)
    return config, preset


def _read_headers(provider: str, config: Config) -> None:
    """Check `headers`; the one that carries the key has one spelling, so that it is never sent twice."""
    for name in config.headers:
        if not _TOKEN.match(name) or name.lower() in _FRAMING:
            raise InvalidRequest(
                f"provider {provider!r}: config.headers may not hold {name[:80]!r}: it is no header, or one that "
                "frames a request",
                param="headers",
            )
    config.headers = {_AUTH if name.lower() == _AUTH.lower() else name: v for name, v in config.headers.items()}


def _read_address(provider: str, config: Config) -> None:
    """Check `base_url`, and move a user and password in it to where they are sent and never shown."""
    url = config.base_url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidRequest(f"provider {provider!r}: base_url: {_blameless(error)}", param="base_url") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InvalidRequest(f"provider {provider!r}: base_url should look like http://host:port/v1", param="base_url")
    if not url.isprintable() or " " in url or parts.query or parts.fragment:
        raise InvalidRequest(
            f"provider {provider!r}: base_url should hold no spaces and nothing behind its path", param="base_url"
        )
    user, at, place = parts.netloc.rpartition("@")
    if at:
        credentials = base64.b64encode(unquote(user).encode()).decode()
        config.headers = {_AUTH: f"Basic {credentials}", **config.headers}
    config.base_url = urlunsplit((parts.scheme, place, parts.path, "", "")).rstrip("/")


def _blameless(error: ValueError) -> str:
    """What urlsplit says, but for the part of the address that it quotes: there may be a password in it."""
    return "its port is no number from 1 to 65535" if "port" in str(error).lower() else "it is no URL"
