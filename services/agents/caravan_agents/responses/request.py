"""Reads the body of POST /v1/responses into a request that can be trusted.

Source: OpenAI's API reference, "Create a model response". Fields that are not named here are kept and passed on to the
provider.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

import orjson
from caravan_contracts.completions import metadata_problem
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from caravan_contracts.openai import MAX_MODEL_ID
from openai.types.responses import ResponseIncludable, ResponsePrompt
from openai.types.shared import Reasoning

from caravan_agents.responses.checks import (
    a_list,
    a_name,
    a_text,
    an_object,
    conform,
    contradiction,
    missing,
    needed,
    wrong,
)
from caravan_agents.responses.ids import MakeId, new_id
from caravan_agents.responses.items import MAX_ID, Item, read_input
from caravan_agents.responses.tools import read_tool_choice, read_tools

Truncation = Literal["auto", "disabled"]
LOGPROBS: Final = "message.output_text.logprobs"
SEALED: Final = "reasoning.encrypted_content"
"""Of `include`."""
MIN_OUTPUT_TOKENS: Final = 16
_INCLUDABLE: Final = frozenset(get_args(ResponseIncludable))
TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_OF_CHAT: Final = {
    "messages": "input",
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "logprobs": "include",
    "functions": "tools",
    "function_call": "tool_choice",
    "n": "",
}
"""Fields of chat completions that would contradict what we say to the provider, and what says it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRequest:
    """What is asked for. Objects inside are OpenAI's, as they came; nobody changes them."""

    model: str
    """Empty only when a prompt may name it; whoever reads the prompt replaces it then."""
    input: tuple[Item, ...] = ()
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | None = None
    """The id of one."""
    prompt: dict[str, Any] | None = None
    """``{id[, version, variables]}``"""
    store: bool = True
    stream: bool = False
    background: bool = False
    include: frozenset[str] = frozenset()
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: str | dict[str, Any] = "auto"
    parallel_tool_calls: bool = True
    max_tool_calls: int | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    text_format: dict[str, Any] = field(default_factory=lambda: {"type": "text"})
    verbosity: str | None = None
    reasoning: dict[str, Any] | None = None
    truncation: Truncation = "disabled"
    context_management: tuple[dict[str, Any], ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    obfuscation: bool = False
    """Whether deltas carry random characters that hide their length."""
    user: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields that we do not know."""

    @property
    def logprobs(self) -> bool:
        """Whether the text comes with the probabilities of its tokens."""
        return LOGPROBS in self.include or bool(self.top_logprobs)

    @property
    def summary(self) -> bool:
        """Whether reasoning is shown as a summary."""
        given = self.reasoning or {}
        return given.get("summary") is not None or given.get("generate_summary") is not None


def read_request(body: bytes, make: MakeId = new_id) -> ResponseRequest:
    """Read and check `body`. Raises InvalidJSON, or InvalidRequest whose `param` names the field."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
    if not isinstance(data, dict):
        raise InvalidJSON("the body is a JSON object")
    for name, instead in _OF_CHAT.items():
        if name in data:
            hint = f": use '{instead}'" if instead else ""
            raise InvalidRequest(f"'{name}' is no field of a response{hint}", param=name, code="unknown_parameter")
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in data.items():
        read = _FIELDS.get(name)
        if read is None:
            if name not in _READ_WITH_OTHERS:
                extra[name] = value
        elif value is not None:
            known[name] = read(value, name)
    known.update(_text(data.get("text")))
    tools = read_tools(data.get("tools"))
    if data.get("input") is not None:
        known["input"] = read_input(data["input"], make)
    request = ResponseRequest(
        model=_model(data),
        tools=tools,
        tool_choice=read_tool_choice(data.get("tool_choice"), tools),
        obfuscation=_stream_options(data),
        extra=extra,
        **known,
    )
    _check_together(request)
    return request


def _model(data: dict[str, Any]) -> str:
    if data.get("model") is None and data.get("prompt") is not None:
        return ""
    model = data.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("'model' is missing: name one of GET /v1/models", param="model", code="missing_model")
    return a_text(model, "model", MAX_MODEL_ID)


def _stream_options(data: dict[str, Any]) -> bool:
    if data.get("stream_options") is None:
        return False
    if data.get("stream") is not True:
        raise contradiction("stream_options", "'stream_options' is only for streams: set 'stream' to true")
    options = an_object(data["stream_options"], "stream_options")
    return _flag(options.get("include_obfuscation", False), "stream_options.include_obfuscation")


def _check_together(request: ResponseRequest) -> None:
    if request.conversation and request.previous_response_id:
        raise contradiction(
            "previous_response_id", "'previous_response_id' cannot be used together with 'conversation'"
        )
    if request.background and not request.store:
        raise contradiction("background", "'background' needs 'store': what is not stored cannot be asked for later")
    if not request.input and not (request.prompt or request.previous_response_id or request.conversation):
        raise missing("input")


def _flag(value: Any, param: str) -> bool:
    if not isinstance(value, bool):
        raise wrong(param, "a boolean")
    return value


def _text_of(most: int) -> Callable[[Any, str], str]:
    return lambda value, param: a_text(value, param, most)


def _count(low: int, high: int = 2**31 - 1) -> Callable[[Any, str], int]:
    def read(value: Any, param: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(param, "an integer")
        if not low <= value <= high:
            raise wrong(param, f"at least {low}" if value < low else f"at most {high}")
        return value

    return read


def _number(low: float, high: float) -> Callable[[Any, str], float]:
    def read(value: Any, param: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(param, "a number")
        if not low <= value <= high:
            raise wrong(param, f"between {low:g} and {high:g}")
        return value

    return read


def _one_of(allowed: frozenset[str]) -> Callable[[Any, str], str]:
    def read(value: Any, param: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise wrong(param, "one of " + ", ".join(sorted(allowed)))
        return value

    return read


def _include(value: Any, param: str) -> frozenset[str]:
    one = _one_of(_INCLUDABLE)
    return frozenset(one(name, f"{param}[{at}]") for at, name in enumerate(a_list(value, param)))


def _conversation(value: Any, param: str) -> str:
    if isinstance(value, dict):
        return a_text(needed(value, "id", param), f"{param}.id", MAX_ID)
    if not isinstance(value, str):
        raise wrong(param, "an id, or an object with one")
    return a_text(value, param, MAX_ID)


def _like(kind: Any) -> Callable[[Any, str], dict[str, Any]]:
    def read(value: Any, param: str) -> dict[str, Any]:
        conform(kind, an_object(value, param), param)
        return dict(value)

    return read


def _metadata(value: Any, param: str) -> dict[str, str]:
    if problem := metadata_problem(value):
        raise InvalidRequest(f"'{param}' should be {problem}", param=param, code="invalid_metadata")
    return dict(value)


def _context_management(value: Any, param: str) -> tuple[dict[str, Any], ...]:
    entries = a_list(value, param)
    for at, entry in enumerate(entries):
        where = f"{param}[{at}]"
        if needed(an_object(entry, where), "type", where) != "compaction":
            raise wrong(f"{where}.type", "'compaction'")
        if entry.get("compact_threshold") is not None:
            _count(1)(entry["compact_threshold"], f"{where}.compact_threshold")
    return tuple(entries)


def _text(value: Any) -> dict[str, Any]:
    """`text_format` and `verbosity`."""
    made: dict[str, Any] = {}
    if value is None:
        return made
    text = an_object(value, "text")
    if text.get("verbosity") is not None:
        made["verbosity"] = _one_of(frozenset({"low", "medium", "high"}))(text["verbosity"], "text.verbosity")
    if text.get("format") is not None:
        made["text_format"] = _format(an_object(text["format"], "text.format"))
    return made


def _format(format: dict[str, Any]) -> dict[str, Any]:
    kind = needed(format, "type", "text.format")
    if kind == "json_schema":
        a_name(needed(format, "name", "text.format"), "text.format.name")
        an_object(needed(format, "schema", "text.format"), "text.format.schema")
        if format.get("strict") is not None:
            _flag(format["strict"], "text.format.strict")
        if format.get("description") is not None:
            a_text(format["description"], "text.format.description")
    elif kind not in ("text", "json_object"):
        raise wrong("text.format.type", "'text', 'json_object' or 'json_schema'")
    return format


_FIELDS: Final = MappingProxyType(
    {
        "instructions": _text_of(2**24),
        "previous_response_id": _text_of(MAX_ID),
        "conversation": _conversation,
        "prompt": _like(ResponsePrompt),
        "store": _flag,
        "stream": _flag,
        "background": _flag,
        "include": _include,
        "parallel_tool_calls": _flag,
        "max_tool_calls": _count(1),
        "max_output_tokens": _count(MIN_OUTPUT_TOKENS),
        "temperature": _number(0, 2),
        "top_p": _number(0, 1),
        "top_logprobs": _count(0, 20),
        "reasoning": _like(Reasoning),
        "truncation": _one_of(frozenset({"auto", "disabled"})),
        "context_management": _context_management,
        "metadata": _metadata,
        "safety_identifier": _text_of(128),
        "prompt_cache_key": _text_of(1024),
        "service_tier": _one_of(TIERS),
        "user": _text_of(1024),
    }
)
_READ_WITH_OTHERS: Final = frozenset({"model", "input", "tools", "tool_choice", "text", "stream_options"})
