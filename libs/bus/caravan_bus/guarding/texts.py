"""The texts of a request, by the stage at which guardrails look at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from caravan_contracts.inference import Verb
from caravan_contracts.safety import Said, Stage

_RESULTS: Final = ("tool", "function")
_TEXTS: Final = ("text", "refusal", "input_text", "output_text")

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands in a request."""

    stage: Stage
    role: Role
    holder: Any
    key: str | int

    @property
    def text(self) -> str:
        """What stands there."""
        return str(self.holder[self.key])

    def replace(self, text: str) -> None:
        """Put another one there."""
        self.holder[self.key] = text

    def said(self) -> Said:
        """As a part of the conversation."""
        return Said(role=self.role, content=self.text)


def places(verb: Verb, data: dict[str, Any]) -> Iterator[Place]:
    """Every text that is not empty, in its order.

    What the model itself said before is not asked about again; but an assistant's message at the end, which it is to go
    on with, is the caller's.
    """
    if verb is Verb.CHAT:
        yield from _of_messages(data["messages"])
    elif verb is Verb.COMPLETIONS:
        yield from _of_value(data, "prompt", Stage.INPUT)
    elif verb is Verb.EMBEDDINGS:
        yield from _of_value(data, "input", Stage.EMBEDDINGS)
    else:
        yield from _of_value(data, "query", Stage.EMBEDDINGS)
        yield from _of_value(data, "documents", Stage.EMBEDDINGS)


def unreadable(verb: Verb, data: dict[str, Any]) -> str:
    """The field that has tokens instead of text; "" when there is none."""
    field = {Verb.COMPLETIONS: "prompt", Verb.EMBEDDINGS: "input"}.get(verb, "")
    value = data.get(field)
    return field if isinstance(value, list) and value and not isinstance(value[0], str) else ""


def _of_messages(messages: list[dict[str, Any]]) -> Iterator[Place]:
    for message in messages:
        role = message["role"]
        stage = Stage.TOOL_RESULTS if role in _RESULTS else Stage.INPUT
        if role == "assistant" and message is not messages[-1]:
            stage = Stage.OUTPUT
        yield from _of_content(message, "content", stage, _role(role))


def _role(role: str) -> Role:
    if role in _RESULTS:
        return "tool"
    if role in ("system", "developer"):
        return "system"
    return "assistant" if role == "assistant" else "user"


def _of_value(data: dict[str, Any], key: str, stage: Stage) -> Iterator[Place]:
    return _of_content(data, key, stage, "user")


def _of_content(holder: dict[str, Any], key: str, stage: Stage, role: Role) -> Iterator[Place]:
    value = holder.get(key)
    if isinstance(value, str) and value:
        yield Place(stage, role, holder, key)
    elif isinstance(value, dict):
        yield from _of_part(value, stage, role)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            if isinstance(part, str) and part:
                yield Place(stage, role, value, index)
            elif isinstance(part, dict):
                yield from _of_part(part, stage, role)


def _of_part(part: dict[str, Any], stage: Stage, role: Role) -> Iterator[Place]:
    for name in _TEXTS:
        if isinstance(part.get(name), str) and part[name]:
            yield Place(stage, role, part, name)
