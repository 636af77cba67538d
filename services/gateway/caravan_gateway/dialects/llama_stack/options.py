"""Fields of a request beside what is said: the model, sampling, the format of the answer, log probabilities."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidJSON, InvalidRequest

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.llama_stack.generations import Generation

Object = dict[str, Any]
SHARED: Final = frozenset(("model", "model_id", "sampling_params", "response_format", "logprobs", "stream"))
"""Fields that are read here."""
_STRATEGIES: Final = ("greedy", "top_p", "top_k")
_NUMBERS: Final = ("temperature", "top_p", "top_k")


def read(body: bytes) -> Object:
    """The object of a body. Raises InvalidJSON, InvalidRequest."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
    if not isinstance(data, dict):
        raise InvalidRequest("the body should be a JSON object")
    return data


def model(data: Object, generation: Generation) -> str:
    """Both names are understood. Raises InvalidRequest."""
    found = field(data, "model_id", str) or field(data, "model", str)
    if not found:
        name = generation.model_field
        raise InvalidRequest(
            f"'{name}' is missing: one of the models that are listed", param=name, code="missing_required_parameter"
        )
    return str(found)


def others(data: Object, known: frozenset[str]) -> Object:
    """Fields that we do not know, for the provider. What is null was not said."""
    return {name: value for name, value in data.items() if name not in known and value is not None}


def sampling(data: Object) -> Object:
    """`sampling_params` in OpenAI's words, its strategy a word (generations 1 and 2) or an object. A number that goes
    with the word counts whatever the word. Raises InvalidRequest."""
    given = field(data, "sampling_params", dict) or {}
    strategy = field(given, "strategy", (str, dict), "sampling_params")
    numbers = strategy if isinstance(strategy, dict) else given
    kind = strategy.get("type") if isinstance(strategy, dict) else strategy
    if kind is not None and kind not in _STRATEGIES:
        raise InvalidRequest(
            f"'sampling_params.strategy' should be one of {', '.join(_STRATEGIES)}", param="sampling_params.strategy"
        )
    made = others(given, frozenset(("strategy", "max_tokens", "repetition_penalty", *_NUMBERS)))
    made |= {name: numbers[name] for name in _NUMBERS if numbers.get(name) is not None}
    if kind == "greedy":
        made.setdefault("temperature", 0)
    if given.get("max_tokens"):  # 0 is Llama Stack's word for no limit
        made["max_tokens"] = given["max_tokens"]
    if given.get("repetition_penalty") not in (None, 1, 1.0):  # of no effect, and not every provider knows it
        made["repetition_penalty"] = given["repetition_penalty"]
    return made


def response_format(data: Object) -> Object:
    """`response_format` in OpenAI's words, or nothing. Raises InvalidRequest for a grammar, which has none."""
    given = field(data, "response_format", dict)
    if given is None:
        return {}
    kind = given.get("type")
    if kind == "grammar":
        raise InvalidRequest(
            "a grammar cannot be passed on to a provider: use 'response_format' of type 'json_schema'",
            param="response_format",
            code="unsupported_value",
        )
    if kind != "json_schema":
        return {"response_format": given}
    schema = field(given, "json_schema", dict, "response_format") or {}
    if isinstance(schema.get("schema"), dict):  # OpenAI's own form
        return {"response_format": given}
    return {"response_format": {"type": kind, "json_schema": {"name": "answer", "schema": schema}}}


def top_logprobs(data: Object) -> int | None:
    """How many tokens each place is to have beside its own; None: no log probabilities. Raises InvalidRequest."""
    given = field(data, "logprobs", dict)
    return None if given is None else field(given, "top_k", int, "logprobs") or 0
