"""What a recorder or a replay reads from its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from caravan_bus.settings import ServiceSettings
from caravan_storage.settings import RedisSettings
from pydantic import Field

from caravan_recorder.options import Filter, Limits, RecordOptions, ReplayOptions
from caravan_recorder.writing import Mode

_LIMITS = Limits()


class Settings(ServiceSettings, RedisSettings):
    """See :class:`ServiceSettings` for the rest."""

    role: Literal["record", "replay"] = Field("record", validation_alias="CARAVAN_RECORDER_ROLE")
    cassette: Path = Field(validation_alias="CARAVAN_RECORDER_CASSETTE")
    """The file that is written, or replayed."""
    mode: Mode = Field(Mode.APPEND, validation_alias="CARAVAN_RECORDER_MODE")
    models: str = Field("", validation_alias="CARAVAN_RECORDER_MODELS")
    """Comma-separated; "" = all. So are the three below."""
    providers: str = Field("", validation_alias="CARAVAN_RECORDER_PROVIDERS")
    tenants: str = Field("", validation_alias="CARAVAN_RECORDER_TENANTS")
    verbs: str = Field("", validation_alias="CARAVAN_RECORDER_VERBS")
    max: int = Field(0, ge=0, validation_alias="CARAVAN_RECORDER_MAX")
    disk_bytes: int = Field(_LIMITS.disk_bytes, ge=4096, validation_alias="CARAVAN_RECORDER_MAX_BYTES")
    scrub_file: Path | None = Field(None, validation_alias="CARAVAN_RECORDER_SCRUB_FILE")
    """More patterns of secrets, a regular expression a line."""
    provider: str = Field("replay", validation_alias="CARAVAN_RECORDER_PROVIDER")
    speed: float = Field(1.0, ge=0, validation_alias="CARAVAN_RECORDER_SPEED")
    loop: bool = Field(False, validation_alias="CARAVAN_RECORDER_LOOP")
    ignore: str = Field("", validation_alias="CARAVAN_RECORDER_IGNORE")
    """Comma-separated fields of a request that do not matter."""

    def record_options(self) -> RecordOptions:
        """For the role `record`. Raises OSError when the file of patterns cannot be read."""
        lines = self.scrub_file.expanduser().read_text().splitlines() if self.scrub_file else []
        wanted = Filter(*(_list(text) for text in (self.models, self.providers, self.tenants, self.verbs)))
        limits = Limits(recordings=self.max, disk_bytes=self.disk_bytes)
        return RecordOptions(self.cassette, self.mode, wanted, limits, tuple(line for line in lines if line.strip()))

    def replay_options(self) -> ReplayOptions:
        """For the role `replay`."""
        return ReplayOptions(self.cassette, self.provider, self.speed, self.loop, _list(self.ignore))


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
