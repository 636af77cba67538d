"""Requests for text in OpenAI's words."""

from __future__ import annotations

from typing import Any

import orjson
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.inference import Verb

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.ollama.messages import messages_of, with_pictures
from caravan_gateway.dialects.ollama.options import parameters


def model_of(data: dict[str, Any]) -> str:
    """Raises InvalidRequest."""
    model: str = field(data, "model", str) or ""
    if not model:
        raise InvalidRequest("'model' is missing: name one of GET /api/tags", param="model", code="missing_model")
    return model


def streams(data: dict[str, Any]) -> bool:
    """Whether the answer is to come in pieces: it is, unless the client says no."""
    return field(data, "stream", bool) is not False


def is_load(data: dict[str, Any]) -> bool:
    """Whether nothing is asked: with Ollama that loads the model, and here none has to be loaded."""
    return not data.get("messages") and not data.get("prompt") and not data.get("suffix") and not data.get("images")


def chat(data: dict[str, Any]) -> bytes:
    """``/api/chat`` as a chat completion. Raises InvalidRequest."""
    made = _common(data)
    made["messages"] = messages_of(field(data, "messages", list))
    if tools := field(data, "tools", list):
        made["tools"] = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools)]
    return orjson.dumps(made)


def generate(data: dict[str, Any]) -> tuple[Verb, bytes]:
    """``/api/generate`` as a chat completion, or, where the prompt is to be taken as it is, as a completion. Raises
    InvalidRequest."""
    made = _common(data)
    prompt, suffix = field(data, "prompt", str) or "", field(data, "suffix", str)
    if field(data, "template", str):
        raise InvalidRequest(
            "'template' is the provider's: send the finished prompt with 'raw', or none", param="template"
        )
    images = field(data, "images", list)
    if field(data, "raw", bool) or suffix:
        if images:
            raise InvalidRequest("'images' do not go with 'raw' or 'suffix'", param="images")
        made["prompt"] = prompt
        if suffix:
            made["suffix"] = suffix
        if made.pop("logprobs", False):
            made["logprobs"] = made.pop("top_logprobs", 0)
        return Verb.COMPLETIONS, orjson.dumps(made)
    system = field(data, "system", str)
    made["messages"] = [{"role": "system", "content": system}] if system else []
    made["messages"].append({"role": "user", "content": with_pictures(prompt, images, "images")})
    return Verb.CHAT, orjson.dumps(made)


def _common(data: dict[str, Any]) -> dict[str, Any]:
    made = {"model": model_of(data), **parameters(data)}
    field(data, "keep_alive", (str, int, float))
    if streams(data):
        made.update(stream=True, stream_options={"include_usage": True})
    return made


def _tool(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict) or not isinstance(given.get("function"), dict):
        raise InvalidRequest(f"'{where}' should have a 'function'", param=where)
    return {"type": "function", "function": given["function"]}
