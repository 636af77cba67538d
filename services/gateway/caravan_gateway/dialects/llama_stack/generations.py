"""What differs from one generation of Llama Stack to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Generation:
    """How one of them writes its answers. Requests are read in the words of all of them."""

    model_field: str
    """What it calls the model in a request: named in errors."""
    typed: bool
    """Whether deltas are objects with a `type`, arguments are given as text too, and answers have metrics."""
    failed: str
    """`parse_status` of a tool call whose arguments are no JSON object."""
    succeeded: str
    batch: str
    """The field of a batch's answer."""

    def text_delta(self, text: str) -> Any:
        """A piece of text in a chat's stream."""
        return {"type": "text", "text": text} if self.typed else text

    def call_delta(self, call: Any, status: str) -> dict[str, Any]:
        """A piece of a tool call in a chat's stream: text of its arguments, or the whole call."""
        if self.typed:
            return {"type": "tool_call", "tool_call": call, "parse_status": status}
        return {"content": call, "parse_status": status}


FIRST: Final = Generation("model", False, "failure", "success", "completion_message_batch")
SECOND: Final = Generation("model_id", False, "failure", "success", "completion_message_batch")
THIRD: Final = Generation("model_id", True, "failed", "succeeded", "batch")
