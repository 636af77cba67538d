"""What is asked beside making a response and recalling one. The body is the client's, as large as a request may be,
so an agents worker is asked, and answers, as with a response."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field


class ResponseOperation(StrEnum):
    """What an agents worker does with the input of a response, without making one."""

    COUNT = "count"
    """The body is that of POST /v1/responses/input_tokens; the answer a :class:`TokenCount`."""
    COUNT_CHAT = "count_chat"
    """The body is that of a chat completion, as the gateway makes it of other APIs' requests; the answer a
    :class:`TokenCount`."""
    COMPACT = "compact"
    """The body is that of POST /v1/responses/compact; the answer OpenAI's object ``response.compaction``."""


class TokenCount(BaseModel):
    """How many tokens an input has."""

    input_tokens: int = Field(ge=0)
    estimate: bool
    """Whether it was reckoned from the text, not counted by the model's own tokenizer."""
