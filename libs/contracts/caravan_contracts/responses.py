"""Messages about responses (OpenAI's Responses API). One agents worker is asked, and answers as a stream of frames."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from caravan_contracts.completions import Order
from caravan_contracts.response_verbs import ResponseVerb as ResponseVerb

RUNS: Final = "responses"
RECALLS: Final = "recalls"
FOLLOWS: Final = "follows"
"""What presence counts the slots of: responses that are made, questions about those that were, and readers of events
that are made elsewhere."""


class Recall(BaseModel):
    """A question about stored responses."""

    operation: Literal["get", "delete", "list", "input_items", "cancel"]
    id: str = ""
    """Of the response; "" for a list."""
    after: str = ""
    limit: int = Field(20, ge=1, le=100)
    order: Order = "desc"
    model: str = ""
    """Only responses of this one."""
    include: list[str] = []


class Follow(BaseModel):
    """Who wants the events of a response."""

    id: str
    first: int = Field(0, ge=0)
    """The number of the first event."""
    include: list[str] = []
    """As of a :class:`Recall`. Events come as they were told; what there is not is refused."""


def list_object(rows: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """OpenAI's list."""
    return {
        "object": "list",
        "data": rows,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
        "has_more": has_more,
    }
