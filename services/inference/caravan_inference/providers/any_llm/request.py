"""The client's JSON as any-llm's arguments.

Only OpenAI's own fields, and those the operator names, become arguments: SDKs take headers, addresses and keys by the
same door.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from caravan_contracts.inference import Usage

_REFUSED: Final = ("functions", "function_call", "audio", "prediction")
"""Fields that would be missed in the answer; others that any-llm does not have are left out."""


def read(body: bytes) -> dict[str, Any]:
    """The JSON object. Raises InvalidJSON."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise InvalidJSON("the body should be a JSON object")
    return data


def chat(data: dict[str, Any], arguments: Sequence[str], fields: Sequence[str], *, openai: bool) -> dict[str, Any]:
    """Options of ``acompletion``. Raises InvalidRequest for what cannot be said to it."""
    for name in _REFUSED:
        if data.get(name) is not None:
            raise InvalidRequest(
                f"'{name}' is not supported by this provider", param=name, code="unsupported_parameter"
            )
    made = {name: data[name] for name in (*arguments, *fields) if data.get(name) is not None}
    if made.get("response_format") == {"type": "text"}:
        del made["response_format"]
    limit = made.get("max_completion_tokens")
    if limit is not None and not openai:
        # the name that any-llm translates for each upstream
        made["max_tokens"] = made.pop("max_completion_tokens")
    return made


def embedding(data: dict[str, Any], fields: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Texts and options of ``aembedding``. Raises InvalidRequest for tokens: upstreams have their own."""
    given = data.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("'input' should be text or a list of texts: this provider takes no tokens", param="input")
    names = ("dimensions", "encoding_format", "user", *fields)
    return texts, {name: data[name] for name in names if data.get(name) is not None}


def usage_of(given: Any) -> Usage | None:
    """any-llm's usage object as ours."""
    return Usage.from_openai(given.model_dump()) if given is not None else None
