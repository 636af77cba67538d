"""Settings every service has, from the environment alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def instance_id(service: str) -> str:
    """A new id of a process: ``<service>-<8 hex>``. A process that starts again is another worker."""
    return f"{service}-{secrets.token_hex(4)}"


class ServiceSettings(BaseSettings):
    """What any service reads. Each ``*_file`` variant names a file that holds the value."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", populate_by_name=True)

    nats_url: str = Field("nats://127.0.0.1:4222", validation_alias="NATS_URL")
    nats_nkey_seed: str = Field("", validation_alias="NATS_NKEY_SEED", repr=False)
    nats_nkey_seed_file: Path | None = Field(None, validation_alias="NATS_NKEY_SEED_FILE")
    log_level: str = Field("info", validation_alias="CARAVAN_LOG_LEVEL")
    log_format: str = Field("json", validation_alias="CARAVAN_LOG_FORMAT", pattern="^(json|text)$")
    ops_host: str = Field("127.0.0.1", validation_alias="CARAVAN_OPS_HOST")
    ops_port: int = Field(0, validation_alias="CARAVAN_OPS_PORT", ge=0, le=65535)
    drain_seconds: float = Field(30.0, validation_alias="CARAVAN_DRAIN_SECONDS", ge=0)
    instance: str = Field(
        "",
        validation_alias="CARAVAN_INSTANCE",
        pattern=r"^([a-z0-9][a-z0-9_-]{0,62})?$",
    )

    @model_validator(mode="after")
    def _read_seed(self) -> Self:
        if not self.nats_nkey_seed and self.nats_nkey_seed_file is not None:
            self.nats_nkey_seed = read_secret_file(self.nats_nkey_seed_file)
        return self


def read_secret_file(path: str | os.PathLike[str]) -> str:
    """The first line of a secret's file. Raises ValueError naming the file."""
    try:
        return Path(path).expanduser().read_text().strip()
    except OSError as error:
        raise ValueError(f"the secret's file {path} cannot be read: {error.strerror}") from error
