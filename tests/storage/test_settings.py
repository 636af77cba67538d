"""Where the servers are, from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from caravan_contracts.errors import CaravanError
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_storage.redis import Redis
from caravan_storage.settings import DatabaseSettings, RedisSettings


def test_a_url_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "url"
    file.write_text("redis://x\n")
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_URL_FILE", str(file))
    assert RedisSettings().redis_url == "redis://x"
    monkeypatch.setenv("REDIS_URL", "redis://direct")
    assert RedisSettings().redis_url == "redis://x", "the file is the more careful choice"
    monkeypatch.delenv("REDIS_URL_FILE")
    assert RedisSettings().redis_url == "redis://direct"


def test_a_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DATABASE_URL_FILE", "/nowhere/url")
    with pytest.raises(ValueError, match="/nowhere/url"):
        DatabaseSettings()


def test_what_is_no_url_is_told_at_once() -> None:
    with pytest.raises(CaravanError, match="REDIS_URL"):
        Redis("localhost:6379")
    with pytest.raises(CaravanError, match="DATABASE_URL"):
        Postgres(PostgresOptions("localhost:5432/x"))
