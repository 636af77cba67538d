"""Answers of the Responses API: OpenAI's objects with attributes, as :mod:`answers` has them.

Items, parts and events are of many types, told apart by `type`. Each kind is one class here, with the fields of all of
its types: what a type does not have is None.
"""

from __future__ import annotations

from typing import Any

from caravan_client.answers import Object


class InputTokensDetails(Object):
    cached_tokens: int | None


class OutputTokensDetails(Object):
    reasoning_tokens: int | None


class ResponseUsage(Object):
    """Tokens, as the provider counted them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails | None
    output_tokens_details: OutputTokensDetails | None


class ResponseError(Object):
    """Why a response failed."""

    code: str
    message: str


class IncompleteDetails(Object):
    """Why a response is shorter than it would have been."""

    reason: str | None


class ResponsePart(Object):
    """A piece of the content of an item: text, refusal, image, file."""

    type: str
    text: str | None
    refusal: str | None
    annotations: list[dict[str, Any]] | None
    logprobs: list[dict[str, Any]] | None


class ResponseItem(Object):
    """A message, a call, the outcome of one, a thought: can be put into `input` of the next request as it is."""

    type: str
    id: str | None
    status: str | None
    role: str | None
    content: list[ResponsePart] | None
    summary: list[ResponsePart] | None
    encrypted_content: str | None
    call_id: str | None
    name: str | None
    arguments: str | None
    input: str | None
    output: Any
    error: Any
    server_label: str | None
    tools: list[dict[str, Any]] | None
    approval_request_id: str | None
    action: dict[str, Any] | None


class ResponseConversation(Object):
    id: str


class Response(Object):
    """Answer of ``responses.create``, ``retrieve`` and ``cancel``."""

    id: str
    object: str
    created_at: float
    status: str | None
    """queued, in_progress, completed, incomplete, failed, cancelled."""
    model: str
    output: list[ResponseItem]
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    usage: ResponseUsage | None
    background: bool | None
    completed_at: float | None
    conversation: ResponseConversation | None
    instructions: str | list[Any] | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str] | None
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt: dict[str, Any] | None
    prompt_cache_key: str | None
    reasoning: dict[str, Any] | None
    safety_identifier: str | None
    service_tier: str | None
    store: bool | None
    temperature: float | None
    text: dict[str, Any] | None
    tool_choice: Any
    tools: list[dict[str, Any]]
    top_logprobs: int | None
    top_p: float | None
    truncation: str | None
    user: str | None

    @property
    def output_text(self) -> str:
        """The text of all messages in it."""
        parts = [part for item in self.output if item.type == "message" for part in item.content or ()]
        return "".join(part.text or "" for part in parts if part.type == "output_text")


class ResponseStreamEvent(Object):
    """One event of a stream of ``responses.create`` or ``retrieve``."""

    type: str
    sequence_number: int
    """The next event has the next one; ``retrieve(id, stream=True, starting_after=…)`` goes on behind it."""
    response: Response | None
    item: ResponseItem | None
    part: ResponsePart | None
    item_id: str | None
    output_index: int | None
    content_index: int | None
    summary_index: int | None
    delta: str | None
    text: str | None
    refusal: str | None
    arguments: str | None
    input: str | None
    logprobs: list[dict[str, Any]] | None
    annotation: dict[str, Any] | None
    annotation_index: int | None


class Page(Object):
    """Some of a list."""

    object: str
    data: list[Any]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResponseItemPage(Page):
    """Part of what went into a response."""

    data: list[ResponseItem]


class ResponsePage(Page):
    """Some stored responses."""

    data: list[Response]
