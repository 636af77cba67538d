"""What the gateway reads from its environment."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Self

from caravan_bus.router import RoutingOptions
from caravan_bus.settings import ServiceSettings
from pydantic import Field, model_validator


class Settings(ServiceSettings):
    """See :class:`ServiceSettings` for the rest."""

    host: str = Field("127.0.0.1", validation_alias="CARAVAN_GATEWAY_HOST")
    port: int = Field(8321, ge=1, le=65535, validation_alias="CARAVAN_GATEWAY_PORT")
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024, validation_alias="CARAVAN_GATEWAY_MAX_BODY_BYTES")
    body_timeout: float = Field(30.0, gt=0, validation_alias="CARAVAN_GATEWAY_BODY_TIMEOUT")
    """Seconds a client may take to send its body."""
    request_timeout: float = Field(600.0, gt=0, validation_alias="CARAVAN_GATEWAY_REQUEST_TIMEOUT")
    """Seconds a request may take in all, unless its header X-Caravan-Timeout asks for less."""
    queue_limit: int = Field(1024, ge=1, validation_alias="CARAVAN_GATEWAY_QUEUE_LIMIT")
    """Requests that may wait for a provider whose slots are all taken."""
    queue_tenant_limit: int = Field(512, ge=1, validation_alias="CARAVAN_GATEWAY_QUEUE_TENANT_LIMIT")
    """Of them, requests of one tenant."""
    queue_bytes: int = Field(256 * 1024 * 1024, ge=1024 * 1024, validation_alias="CARAVAN_GATEWAY_QUEUE_BYTES")
    """Bodies of all that wait; half of it for one tenant."""
    queue_seconds: float = Field(30.0, gt=0, validation_alias="CARAVAN_GATEWAY_QUEUE_SECONDS")
    """Longest wait."""
    socket_idle_seconds: float = Field(600.0, gt=0, validation_alias="CARAVAN_GATEWAY_SOCKET_IDLE_SECONDS")
    """How long a WebSocket stays open on which nothing is asked."""
    store_buffer_bytes: int = Field(
        64 * 1024 * 1024, ge=1024 * 1024, validation_alias="CARAVAN_GATEWAY_STORE_BUFFER_BYTES"
    )
    """Completions to be stored that the work queue has not confirmed; what is over it is lost, and counted."""
    idempotency_seconds: float = Field(86_400.0, ge=1, validation_alias="CARAVAN_GATEWAY_IDEMPOTENCY_SECONDS")
    """How long the answer to a request with an Idempotency-Key is kept."""
    idempotency_bytes: int = Field(64 * 1024 * 1024, ge=0, validation_alias="CARAVAN_GATEWAY_IDEMPOTENCY_BYTES")
    """Of such answers, of one tenant; the oldest make room."""
    cache_bytes: int = Field(64 * 1024 * 1024, ge=0, validation_alias="CARAVAN_GATEWAY_CACHE_BYTES")
    """Of answers of one tenant in the response cache; those whose time ends first make room."""
    api_keys_file: Path | None = Field(None, validation_alias="CARAVAN_GATEWAY_API_KEYS_FILE")
    """One key a line: ``key [tenant [user [role,role]]]``; ``#`` begins a comment."""
    allow_anonymous: bool = Field(False, validation_alias="CARAVAN_GATEWAY_ALLOW_ANONYMOUS")
    redis_url: str = Field("", validation_alias="REDIS_URL", repr=False)
    redis_url_file: str = Field("", validation_alias="REDIS_URL_FILE")

    objects_url: str = Field("", validation_alias="CARAVAN_OBJECTS_URL", repr=False)
    """Where the bytes of files lie, as the files service has it; "" = no files here."""
    uploads_at_once: int = Field(64, ge=1, le=4096, validation_alias="CARAVAN_GATEWAY_UPLOADS_AT_ONCE")
    """Files and parts that are taken at once; half of them of one tenant."""

    def admission(self) -> RoutingOptions:
        """The bounds of waiting."""
        return RoutingOptions(
            queue_limit=self.queue_limit,
            tenant_limit=self.queue_tenant_limit,
            queue_bytes=self.queue_bytes,
            queue_timeout=self.queue_seconds,
        )

    @model_validator(mode="after")
    def _refuse_open_door(self) -> Self:
        if self.api_keys_file is None and not self.allow_anonymous and not _is_loopback(self.host):
            raise ValueError(
                f"binding {self.host} without API keys would let anybody in: set CARAVAN_GATEWAY_API_KEYS_FILE, "
                "or CARAVAN_GATEWAY_ALLOW_ANONYMOUS=true if something in front of it checks who is asking"
            )
        return self


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
