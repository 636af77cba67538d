"""A request of the Messages API becomes the body of a chat completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from caravan_contracts.errors import InvalidJSON, InvalidRequest

from caravan_gateway.dialects.anthropic import tools
from caravan_gateway.dialects.anthropic.messages import chat_messages
from caravan_gateway.dialects.base import field, missing

Thinking = Literal["shown", "sealed", "none"]
"""Whether the answer shows what the model thinks, says only that it did, or leaves it out."""
_LOW_BUDGET: Final = 4096
_MEDIUM_BUDGET: Final = 16384
"""Tokens of thought below which the effort is low, and medium."""
_EFFORTS: Final = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}
_NOT_HERE: Final = {
    "mcp_servers": "MCP servers are called on POST /v1/responses, as tools of type 'mcp'",
    "container": "this server has no containers",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was read."""

    chat: dict[str, Any]
    """The body of a chat completion."""
    stream: bool
    stop_sequences: tuple[str, ...]
    thinking: Thinking


def read_request(body: bytes, *, counts: bool = False) -> Asked:
    """Read and check `body`; `counts` is a request to count tokens, which need not say how many the answer may have.

    Raises InvalidJSON, or InvalidRequest whose `param` names the field.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
    if not isinstance(data, dict):
        raise InvalidJSON("the body is a JSON object")
    for name, instead in _NOT_HERE.items():
        if data.get(name):
            raise InvalidRequest(f"'{name}' is not supported: {instead}", param=name, code="unsupported_parameter")
    model = field(data, "model", str)
    if not model:
        raise InvalidRequest("'model' is missing: name one of GET /v1/models", param="model", code="missing_model")
    stop = _stop_sequences(data)
    stream = bool(field(data, "stream", bool))
    chat: dict[str, Any] = {"model": model, "messages": chat_messages(data), **_limits(data, counts)}
    if stream:
        chat.update(stream=True, stream_options={"include_usage": True})
    if stop:
        chat["stop"] = list(stop)
    chat.update(tools.of_request(data))
    chat.update(_effort(data))
    chat.update(_format(data))
    return Asked(chat, stream, stop, _shown(data))


def _limits(data: dict[str, Any], counts: bool) -> dict[str, Any]:
    """How long, how random, and for whom."""
    made: dict[str, Any] = {}
    most = field(data, "max_tokens", int)
    if most is None and not counts:
        raise missing("max_tokens")
    if most is not None:
        if most < 1:
            raise InvalidRequest("'max_tokens' should be at least 1", param="max_tokens", code="invalid_value")
        made["max_completion_tokens"] = most
    for name, kind in (("temperature", (int, float)), ("top_p", (int, float)), ("top_k", int)):
        if (value := field(data, name, kind)) is not None:
            made[name] = value
    if user := field(field(data, "metadata", dict) or {}, "user_id", str, "metadata"):
        made["user"] = user
    if field(data, "service_tier", str) == "standard_only":
        made["service_tier"] = "default"
    return made


def _stop_sequences(data: dict[str, Any]) -> tuple[str, ...]:
    given = field(data, "stop_sequences", list) or []
    if not all(isinstance(one, str) and one for one in given):
        param = "stop_sequences"
        raise InvalidRequest(f"'{param}' should be a list of strings that are not empty", param=param)
    return tuple(given)


def _effort(data: dict[str, Any]) -> dict[str, Any]:
    """How much the model is to think: what `output_config` says, else what the budget comes to."""
    wanted = field(field(data, "output_config", dict) or {}, "effort", str, "output_config")
    if wanted is not None:
        if wanted not in _EFFORTS:
            param = "output_config.effort"
            raise InvalidRequest(f"'{param}' should be one of {', '.join(_EFFORTS)}", param=param, code="invalid_value")
        return {"reasoning_effort": _EFFORTS[wanted]}
    thinking = _thinking(data)
    if thinking.get("type") != "enabled":
        return {}
    budget = field(thinking, "budget_tokens", int, "thinking")
    if budget is None:
        raise missing("thinking.budget_tokens")
    return {"reasoning_effort": "low" if budget < _LOW_BUDGET else "medium" if budget < _MEDIUM_BUDGET else "high"}


def _shown(data: dict[str, Any]) -> Thinking:
    """Who does not ask for it is not shown it: the first block of the answer is then its text."""
    thinking = _thinking(data)
    if thinking.get("type") not in ("enabled", "adaptive"):
        return "none"
    return "sealed" if thinking.get("display") == "omitted" else "shown"


def _thinking(data: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = field(data, "thinking", dict) or {}
    if given and given.get("type") not in ("enabled", "adaptive", "disabled"):
        param = "thinking.type"
        raise InvalidRequest(f"'{param}' should be enabled, adaptive or disabled", param=param, code="invalid_value")
    return given


def _format(data: dict[str, Any]) -> dict[str, Any]:
    """The form of the answer; `output_format` is its older place."""
    config = field(data, "output_config", dict) or {}
    where, given = "output_config.format", field(config, "format", dict, "output_config")
    if given is None:
        where, given = "output_format", field(data, "output_format", dict)
    if given is None:
        return {}
    schema = field(given, "schema", dict, where)
    if given.get("type") != "json_schema" or schema is None:
        raise InvalidRequest(f"'{where}' should be a json_schema with its 'schema'", param=where, code="invalid_value")
    named = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
