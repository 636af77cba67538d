"""Reading an OpenAI request once: what routing needs, and a 400 that names the field when something is wrong.

Only the types of the fields we know are checked; fields we do not know pass through to the provider untouched.
Source: the OpenAI API reference (chat completions, completions, embeddings); Cohere's and Jina's (rerank); Anthropic's
(messages), which is left to the provider but for what we need of it ourselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from caravan_contracts.completions import metadata_problem
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from caravan_contracts.inference import Verb
from caravan_contracts.rerank import MAX_DOCUMENTS

MAX_MODEL_ID: Final = 256


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What everybody between the client and the provider may know of a request."""

    model: str
    stream: bool
    include_usage: bool
    store: bool = False
    """Whether the answer is to be kept (chat only)."""


Check = Callable[[Any], str]
"""What a value should be, or "" when it is."""


def _is(kind: type | tuple[type, ...], name: str) -> Check:
    def check(value: Any) -> str:
        wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        return name if wrong else ""

    return check


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "a number"
        return "" if low <= value <= high else f"between {low:g} and {high:g}"

    return check


def _count(low: int, high: int = 2**31 - 1) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int):
            return "an integer"
        if value < low:
            return f"at least {low}"
        return "" if value <= high else f"at most {high}"

    return check


def _stop(value: Any) -> str:
    if isinstance(value, str):
        return ""
    return "" if isinstance(value, list) and all(isinstance(x, str) for x in value) else "a string or a list of strings"


def _prompt(value: Any) -> str:
    if isinstance(value, str):
        return ""
    if not isinstance(value, list) or not value:
        return "a string, or a list of strings, tokens or token lists that is not empty"
    first = value[0]
    if isinstance(first, str):
        return "" if all(isinstance(x, str) for x in value) else "a list of strings only"
    if isinstance(first, int) and not isinstance(first, bool):
        return "" if all(isinstance(x, int) for x in value) else "a list of tokens (integers) only"
    if isinstance(first, list):
        return "" if all(isinstance(x, list) and x for x in value) else "a list of token lists that are not empty"
    return "a string, or a list of strings, tokens or token lists"


def _documents(value: Any) -> str:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_DOCUMENTS:
        return f"a list of 1 to {MAX_DOCUMENTS} documents"
    return "" if all(isinstance(x, str | dict) for x in value) else "a list of strings or objects"


def _one_of(*allowed: str) -> Check:
    names = " or ".join(repr(a) for a in allowed)

    def check(value: Any) -> str:
        return "" if isinstance(value, str) and value in allowed else names

    return check


def _str_or_dict(value: Any) -> str:
    return "" if isinstance(value, str | dict) else "a string or an object"


_BOOL = _is(bool, "a boolean")
_LIST = _is(list, "a list")
_DICT = _is(dict, "an object")
_SAMPLING: Final[dict[str, Check]] = {
    "stream": _BOOL,
    "stream_options": _DICT,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "n": _count(1, 128),
    "max_tokens": _count(0),
    "seed": _count(-(2**63), 2**63),
    "stop": _stop,
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "logit_bias": _DICT,
    "user": _is(str, "a string"),
}
_FIELDS: Final[dict[Verb, dict[str, Check]]] = {
    Verb.CHAT: {
        **_SAMPLING,
        "max_completion_tokens": _count(1),
        "tools": _LIST,
        "tool_choice": _str_or_dict,
        "parallel_tool_calls": _BOOL,
        "response_format": _DICT,
        "logprobs": _BOOL,
        "top_logprobs": _count(0, 20),
        "metadata": _DICT,
        "store": _BOOL,
    },
    Verb.COMPLETIONS: {
        **_SAMPLING,
        "logprobs": _count(0, 20),
        "echo": _BOOL,
        "best_of": _count(1, 128),
    },
    Verb.EMBEDDINGS: {
        "encoding_format": _one_of("float", "base64"),
        "dimensions": _count(1),
        "user": _is(str, "a string"),
    },
    Verb.RERANK: {
        "query": _str_or_dict,
        "documents": _documents,
        "top_n": _count(1),
        "return_documents": _BOOL,
    },
    Verb.MESSAGES: {"stream": _BOOL, "stream_options": _DICT, "messages": _LIST},
}
_NEEDED: Final = {
    Verb.CHAT: ("messages",),
    Verb.COMPLETIONS: ("prompt",),
    Verb.EMBEDDINGS: ("input",),
    Verb.RERANK: ("query", "documents"),
    Verb.MESSAGES: ("messages",),
}
_STREAMING: Final = frozenset({Verb.CHAT, Verb.COMPLETIONS, Verb.MESSAGES})
_CHECKED: Final = frozenset({Verb.RERANK, Verb.MESSAGES})
"""Their needed fields are checked with all others."""


def read_request(verb: Verb, body: bytes) -> RequestFacts:
    """Check `body` and say what it asks for. Raises InvalidJSON or InvalidRequest naming the field."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
    if not isinstance(data, dict):
        raise InvalidJSON("the body is a JSON object")
    model = data.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest(
            "'model' is missing: name one of GET /v1/models",
            param="model",
            code="missing_model",
        )
    if len(model) > MAX_MODEL_ID:
        raise InvalidRequest(f"'model' has at most {MAX_MODEL_ID} characters", param="model")
    checks = _FIELDS[verb]
    for name, value in data.items():
        check = checks.get(name)
        if check is not None and value is not None and (wrong := check(value)):
            raise InvalidRequest(f"'{name}' should be {wrong}", param=name, code="invalid_type")
    _check_needed(verb, data)
    options = data.get("stream_options") or {}
    stream = bool(data.get("stream"))
    if data.get("stream_options") is not None and not stream and verb in _STREAMING:
        raise InvalidRequest(
            "'stream_options' is only for streams: set 'stream' to true",
            param="stream_options",
        )
    store = verb is Verb.CHAT and data.get("store") is True
    if store and data.get("metadata") is not None and (wrong := metadata_problem(data["metadata"])):
        raise InvalidRequest(f"'metadata' should be {wrong}", param="metadata", code="invalid_metadata")
    return RequestFacts(
        model,
        stream and verb in _STREAMING,
        bool(options.get("include_usage")),
        store,
    )


def _check_needed(verb: Verb, data: dict[str, Any]) -> None:
    for name in _NEEDED[verb]:
        if data.get(name) is None:
            raise InvalidRequest(f"'{name}' is missing", param=name, code="missing_required_parameter")
    if verb in _CHECKED:
        return
    name = _NEEDED[verb][0]
    value = data[name]
    if verb is Verb.CHAT:
        if not isinstance(value, list) or not value:
            raise InvalidRequest(
                "'messages' should be a list that is not empty",
                param="messages",
                code="invalid_type",
            )
        for i, message in enumerate(value):
            if not isinstance(message, dict) or not isinstance(message.get("role"), str):
                raise InvalidRequest(
                    f"'messages[{i}]' should be an object with a 'role'",
                    param=f"messages[{i}]",
                    code="invalid_type",
                )
            content = message.get("content")
            if content is not None and not isinstance(content, str | list):
                where = f"messages[{i}].content"
                raise InvalidRequest(
                    f"'{where}' should be a string or a list of parts",
                    param=where,
                    code="invalid_type",
                )
    elif wrong := _prompt(value):
        raise InvalidRequest(f"'{name}' should be {wrong}", param=name, code="invalid_type")
