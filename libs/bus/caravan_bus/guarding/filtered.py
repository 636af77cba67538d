"""What is said instead of an answer that may not pass: ``finish_reason`` ``content_filter``.

Source: OpenAI's API reference, "The chat completion object" and its chunk. The field ``caravan`` is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from caravan_contracts.inference import DONE_EVENT, Usage, Verb

from caravan_bus.guarding.output import Choice
from caravan_bus.guarding.sse import event

FIELD: Final = "caravan"
REASON: Final = "content_filter"


def choice(blocked: Mapping[str, Any]) -> dict[str, Any]:
    """Of an answer that does not stream."""
    made: dict[str, Any] = {"index": blocked.get("index", 0), "finish_reason": REASON, "logprobs": None}
    if "message" in blocked:
        return {**made, "message": {"role": "assistant", "content": None, "refusal": None}}
    return {**made, "text": ""}


def last_events(
    verb: Verb,
    head: Mapping[str, Any],
    choices: Mapping[int, Choice],
    told: Mapping[str, Any] | None,
    usage: Usage | None,
) -> bytes:
    """The end of a stream: `choices` are those that have begun, `told` what may be said of the reason, `usage` is None
    where nobody asked for it."""
    open_choices = [index for index, state in sorted(choices.items()) if not state.finished] or [0]
    made: list[dict[str, Any]] = []
    for index in open_choices:
        begun = index in choices and choices[index].begun
        if verb is Verb.CHAT:
            text: dict[str, Any] = {"delta": {} if begun else {"role": "assistant", "content": ""}}
        else:
            text = {"text": ""}
        made.append({"index": index, **text, "finish_reason": REASON, "logprobs": None})
    last: dict[str, Any] = {**head, "choices": made}
    if told is not None:
        last[FIELD] = dict(told)
    events = [event(last)]
    if usage is not None:
        events.append(event({**head, "choices": [], "usage": usage_object(usage)}))
    return b"".join([*events, DONE_EVENT])


def usage_object(usage: Usage) -> dict[str, Any]:
    """As it stands in a chunk."""
    read, made = usage.prompt_tokens, usage.completion_tokens
    return {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}
