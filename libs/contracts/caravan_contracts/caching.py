"""When answers of a model or a route are kept for exactly equal requests."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

MAX_SECONDS: Final = 30 * 86_400.0


class Cache(BaseModel):
    """Answers kept for exactly equal requests."""

    model_config = ConfigDict(extra="ignore")

    mode: Literal["off", "header", "always"] = "header"
    """``header``: only for requests with ``X-Caravan-Cache: use``."""
    seconds: float = Field(default=3600.0, gt=0, le=MAX_SECONDS)

    @field_validator("mode", mode="before")
    @classmethod
    def _off(cls, said: Any) -> Any:
        """YAML takes the word `off` for `false`."""
        return "off" if said is False else said
