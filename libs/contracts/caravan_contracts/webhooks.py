"""Endpoints that are told when a response has ended; a row of the stack file's ``webhooks``."""

from __future__ import annotations

from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

EventType = Literal["response.completed", "response.failed", "response.cancelled", "response.incomplete"]
EVENT_TYPES: Final[tuple[str, ...]] = get_args(EventType)
SIGNING_PREFIX: Final = "whsec_"
"""Of a secret in the Standard Webhooks form: base64 follows."""


class WebhookSpec(BaseModel):
    """One endpoint. `secret` is a reference to the environment; whoever delivers resolves it."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2048, description="Where events are posted: https, or http.")
    secret: str = Field("", repr=False, description="${env.NAME}: what events are signed with, whsec_ and base64.")
    secret_file: str = Field("", description="A file that the agents service reads, instead of secret.")
    events: list[EventType] = Field(
        default_factory=lambda: list(get_args(EventType)), min_length=1, description="Which; default: all."
    )
    tenant: str = Field("default", min_length=1, description="Whose responses; default: those of the tenant default.")
    allow_private: bool = Field(False, description="Whether the URL may lead to a private address.")

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            reachable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            reachable = False
        if not reachable or "@" in parts.netloc:
            raise ValueError("a webhook's url is an http(s) address, without a name or a password in it")
        return url

    @model_validator(mode="after")
    def _check_secret(self) -> WebhookSpec:
        if bool(self.secret) == bool(self.secret_file):
            raise ValueError("a webhook has either a secret (${env.NAME}) or a secret_file")
        return self
