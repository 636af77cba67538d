"""Messages about responses (OpenAI's Responses API). One agents worker is asked, and answers as a stream of frames."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from caravan_contracts.completions import Order

RUNS: Final = "responses"
RECALLS: Final = "recalls"
"""What presence counts the slots of: responses that are made, and questions about those that were."""


class ResponseVerb(StrEnum):
    """What an agents worker does beside request and reply."""

    RESPOND = "respond"
    """The body is that of POST /v1/responses; the answer its events, or the whole object."""
    RECALL = "recall"
    """The body is a :class:`Recall`; the answer one JSON object."""


class Recall(BaseModel):
    """A question about stored responses."""

    operation: Literal["get", "delete", "list", "input_items"]
    id: str = ""
    """Of the response; "" for a list."""
    after: str = ""
    limit: int = Field(20, ge=1, le=100)
    order: Order = "desc"
    model: str = ""
    """Only responses of this one."""
    include: list[str] = []


def list_object(rows: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """OpenAI's list."""
    return {
        "object": "list",
        "data": rows,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
        "has_more": has_more,
    }
