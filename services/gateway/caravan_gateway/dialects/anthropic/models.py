"""Models as Anthropic's clients read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from caravan_contracts import headers as h
from fastapi import Request


def asks(request: Request) -> bool:
    """Whether one of its clients wants a list: each names a version. Others that know several lists would take ours for
    two of them."""
    return h.ANTHROPIC_VERSION in request.headers


def shown(model: dict[str, Any]) -> dict[str, Any]:
    """A model with what its clients read beside the fields of all."""
    made = datetime.fromtimestamp(model["created"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**model, "created_at": made, "display_name": model["id"]}
