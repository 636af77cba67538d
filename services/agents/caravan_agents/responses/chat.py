"""A request and its messages become the body of a streaming chat completion.

Source: OpenAI's API reference, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from caravan_agents.responses.messages import Message
from caravan_agents.responses.request import ResponseRequest
from caravan_agents.responses.tools import Offered, chosen, offered

_PASSED: Final = (
    "temperature",
    "top_p",
    "service_tier",
    "prompt_cache_key",
    "safety_identifier",
    "user",
    "verbosity",
)


def chat_body(
    request: ResponseRequest, messages: Sequence[Message], hosted: Sequence[Offered] = (), *, first: bool = True
) -> bytes:
    """The JSON to send.

    `hosted` are the functions of tools that run on the server. `first` is the first turn of a response: a tool that
    must be used is forced then alone, or no turn could ever answer in words.
    """
    body: dict[str, Any] = {
        **request.extra,
        "model": request.model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for name in _PASSED:
        if (value := getattr(request, name)) is not None:
            body[name] = value
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    if request.reasoning and request.reasoning.get("effort") is not None:
        body["reasoning_effort"] = request.reasoning["effort"]
    if request.logprobs:
        body["logprobs"] = True
        if request.top_logprobs is not None:
            body["top_logprobs"] = request.top_logprobs
    if (wanted := _response_format(request.text_format)) is not None:
        body["response_format"] = wanted
    body.update(_tools(request, [*offered(request.tools), *hosted], first))
    return orjson.dumps(body)


def _response_format(format: dict[str, Any]) -> dict[str, Any] | None:
    if format["type"] == "text":
        return None
    if format["type"] == "json_object":
        return {"type": "json_object"}
    names = ("name", "description", "schema", "strict")
    return {"type": "json_schema", "json_schema": {n: format[n] for n in names if format.get(n) is not None}}


def _tools(request: ResponseRequest, tools: list[Offered], first: bool) -> dict[str, Any]:
    if not tools:
        return {}
    choice: str | dict[str, Any] = request.tool_choice
    if isinstance(choice, dict):
        tools, choice = _limit(choice, tools)
    if not first and choice != "none":
        choice = "auto"
    made: dict[str, Any] = {}
    if tools:
        made["tools"] = [{"type": "function", "function": tool.function} for tool in tools]
        if choice != "auto":
            made["tool_choice"] = choice
        if not request.parallel_tool_calls:
            made["parallel_tool_calls"] = False
    return made


def _limit(choice: dict[str, Any], tools: list[Offered]) -> tuple[list[Offered], str | dict[str, Any]]:
    """The tools that may be used, and how. Only OpenAI's own chat completions know allowed_tools: everywhere the model
    is kept from the others when it does not see them."""
    if choice["type"] == "allowed_tools":
        allowed = [chosen(entry) for entry in choice["tools"]]
        return [tool for tool in tools if any(meant(tool) for meant in allowed)], choice["mode"]
    named = [tool for tool in tools if chosen(choice)(tool)]
    if len(named) == 1:
        return tools, {"type": "function", "function": {"name": named[0].name}}
    return named, "required"
