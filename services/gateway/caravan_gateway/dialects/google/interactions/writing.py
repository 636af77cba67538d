"""A response as an interaction: the object, and the events of its stream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from caravan_contracts import chunks
from caravan_contracts.errors import CaravanError, UpstreamFailed
from caravan_contracts.sse import Splitter, payload

from caravan_gateway.dialects.calls import arguments_of

_STEPS: Final = {"message": "model_output", "function_call": "function_call", "reasoning": "thought"}
"""What stands in an interaction, of all that a response may put out."""
_DELTAS: Final = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.function_call_arguments.delta": "arguments_delta",
    "response.reasoning_summary_text.delta": "thought_summary",
    "response.reasoning_text.delta": "thought_summary",
}
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")
_DONE: Final = b"event: done\ndata: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class _Names:
    """Of the events of a stream."""

    created: str
    start: str
    part: str
    """The field of a start that says what begins."""
    delta: str
    stop: str
    completed: str


class InteractionWriter:
    """For one answer; see :class:`caravan_gateway.dialects.base.Writer`."""

    _names = _Names("interaction.created", "step.start", "step", "step.delta", "step.stop", "interaction.completed")

    def __init__(self, model: str) -> None:
        """`model` as the client wrote it."""
        self._model = model
        self._splitter = Splitter()
        self._places: dict[int, int] = {}
        """Of items that are steps: which one."""
        self._last: dict[str, Any] | None = None

    def feed(self, data: bytes) -> bytes:
        """See :meth:`Writer.feed`. Raises UpstreamFailed for what is no event."""
        found = (payload(one) for one in self._splitter.feed(data))
        return b"".join(self._said(_read(one)) for one in found if one and one != b"[DONE]")

    def end(self) -> bytes:
        """See :meth:`Writer.end`. Raises UpstreamFailed when the response failed, or never ended."""
        last = self._last
        if last is None or last.get("status") == "failed":
            told = (last or {}).get("error") or {}
            raise UpstreamFailed(str(told.get("message") or "the response did not end"), code=told.get("code"))
        return event(self._names.completed, interaction=interaction_of(last, self._model)) + _DONE

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Writer.whole`."""
        return orjson.dumps(interaction_of(_read(answer), self._model))

    def _said(self, told: dict[str, Any]) -> bytes:
        kind, names = told.get("type"), self._names
        if kind == "response.created":
            return event(names.created, interaction=interaction_of(told["response"], self._model))
        if kind in _ENDS:
            self._last = told["response"]
            return b""
        if kind == "response.output_item.added" and told["item"]["type"] in _STEPS:
            at = self._places[told["output_index"]] = len(self._places)
            return event(names.start, index=at, **{names.part: self._begun(told["item"])})
        place = self._places.get(told.get("output_index", -1))
        if place is None:
            return b""
        if kind == "response.output_item.done":
            return self._ended(told["item"], place)
        found = _DELTAS.get(str(kind))
        delta = self._delta(found, told["delta"]) if found else None
        return event(names.delta, index=place, delta=delta) if delta is not None else b""

    def _begun(self, item: dict[str, Any]) -> dict[str, Any]:
        return _begun(item)

    def _delta(self, kind: str, text: str) -> dict[str, Any] | None:
        if kind == "thought_summary":
            return {"type": kind, "content": {"type": "text", "text": text}}
        return {"type": kind, "arguments" if kind == "arguments_delta" else "text": text}

    def _ended(self, item: dict[str, Any], place: int) -> bytes:
        return event(self._names.stop, index=place)


class EarlierWriter(InteractionWriter):
    """In the words before steps: contents, of which a call comes whole."""

    _names = _Names(
        "interaction.start", "content.start", "content", "content.delta", "content.stop", "interaction.complete"
    )

    def _begun(self, item: dict[str, Any]) -> dict[str, Any]:
        return {"type": "text", "text": ""} if item["type"] == "message" else _begun(item)

    def _delta(self, kind: str, text: str) -> dict[str, Any] | None:
        return None if kind == "arguments_delta" else super()._delta(kind, text)

    def _ended(self, item: dict[str, Any], place: int) -> bytes:
        called = item["type"] == "function_call"
        before = event(self._names.delta, index=place, delta=_step(item)) if called else b""
        return before + super()._ended(item, place)


def event(kind: str, **more: Any) -> bytes:
    """One event of a stream."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"event_type": kind, **more}))


def error_event(error: CaravanError) -> bytes:
    """The end of a stream that broke."""
    return event("error", error={"code": error.code or error.type, "message": error.message})


def interaction_of(response: dict[str, Any], model: str) -> dict[str, Any]:
    """The object of a response. ``outputs`` is what earlier clients read in place of ``steps``."""
    steps = [_step(item) for item in response.get("output") or () if item.get("type") in _STEPS]
    created = datetime.fromtimestamp(response.get("created_at") or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    made: dict[str, Any] = {
        "id": response.get("id"),
        "object": "interaction",
        "model": model or response.get("model"),
        "role": "model",
        "status": _status(response, steps),
        "created": created,
        "updated": created,
        "steps": steps,
        "outputs": [output for step in steps for output in _outputs(step)],
    }
    if before := response.get("previous_response_id"):
        made["previous_interaction_id"] = before
    if error := response.get("error"):
        made["errors"] = [{"code": error.get("code"), "message": error.get("message")}]
    if usage := response.get("usage"):
        made["usage"] = _usage(usage)
    return made


def _status(response: dict[str, Any], steps: list[dict[str, Any]]) -> str:
    status = str(response.get("status") or "completed")
    called = any(step["type"] == "function_call" for step in steps)
    return "requires_action" if status == "completed" and called else status


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = {"type": _STEPS[item["type"]]}
    if item["type"] == "function_call":
        step.update(id=item["call_id"], name=item["name"], arguments={})
    return step


def _step(item: dict[str, Any]) -> dict[str, Any]:
    step = _begun(item)
    if item["type"] == "message":
        texts = [part.get("text") or part.get("refusal") or "" for part in item.get("content") or ()]
        step["content"] = [{"type": "text", "text": text} for text in texts]
    elif item["type"] == "reasoning":
        parts = [*(item.get("summary") or ()), *(item.get("content") or ())]
        step["summary"] = [{"type": "text", "text": part["text"]} for part in parts if part.get("text")]
    else:
        step["arguments"] = _arguments(item)
    return step


def _arguments(item: dict[str, Any]) -> dict[str, Any]:
    made = arguments_of(item.get("arguments") or "")
    if made is not None:
        return made
    if item.get("status") != "completed":
        return {}  # cut off, by a limit or by its user
    raise UpstreamFailed(f"the model called {item['name'][:100]!r} with arguments that are no JSON object")


def _outputs(step: dict[str, Any]) -> list[dict[str, Any]]:
    if step["type"] == "model_output":
        content: list[dict[str, Any]] = step["content"]
        return content
    return [step]


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    read, written = usage.get("input_tokens") or 0, usage.get("output_tokens") or 0
    thoughts = (usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "total_input_tokens": read,
        "total_output_tokens": max(0, written - thoughts),
        "total_thought_tokens": thoughts,
        "total_cached_tokens": (usage.get("input_tokens_details") or {}).get("cached_tokens") or 0,
        "total_tokens": usage.get("total_tokens") or read + written,
    }


def _read(data: bytes) -> dict[str, Any]:
    try:
        return chunks.read_chunk(data)
    except chunks.Unreadable as error:
        raise UpstreamFailed("the response could not be read") from error
