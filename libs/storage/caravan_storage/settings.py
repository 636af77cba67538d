"""Where PostgreSQL and Redis are, from the environment. A service's settings inherit what it uses."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """``DATABASE_URL`` (``postgresql://user:password@host:port/name``), or the file that holds it."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", populate_by_name=True)

    database_url: str = Field("", validation_alias="DATABASE_URL", repr=False)
    database_url_file: Path | None = Field(None, validation_alias="DATABASE_URL_FILE")

    @model_validator(mode="after")
    def _read_database_url(self) -> Self:
        self.database_url = _read(self.database_url_file) or self.database_url
        return self


class RedisSettings(BaseSettings):
    """``REDIS_URL`` (``redis://user:password@host:port/0``), or the file that holds it. Empty = no Redis."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", populate_by_name=True)

    redis_url: str = Field("", validation_alias="REDIS_URL", repr=False)
    redis_url_file: Path | None = Field(None, validation_alias="REDIS_URL_FILE")

    @model_validator(mode="after")
    def _read_redis_url(self) -> Self:
        self.redis_url = _read(self.redis_url_file) or self.redis_url
        return self


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.expanduser().read_text().strip()
    except OSError as error:
        raise ValueError(f"the secret's file {path} cannot be read: {error.strerror}") from error
