"""How an answer is to be made, in OpenAI's words."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.base import field

_NUMBER: Final = (int, float)
_OPTIONS: Final[dict[str, type | tuple[type, ...]]] = {
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "seed": int,
    "stop": (str, list),
    # not OpenAI's: servers on llama.cpp take them by these names
    "top_k": int,
    "min_p": _NUMBER,
    "typical_p": _NUMBER,
    "repeat_penalty": _NUMBER,
    "repeat_last_n": int,
    "mirostat": int,
    "mirostat_tau": _NUMBER,
    "mirostat_eta": _NUMBER,
}
"""Those that have the same name there. Others, such as ``num_ctx``, say how a model is loaded: not ours to choose."""
_EFFORTS: Final = ("low", "medium", "high")


def parameters(data: dict[str, Any]) -> dict[str, Any]:
    """Of ``options``, ``format``, ``think`` and ``logprobs``. Raises InvalidRequest."""
    options = field(data, "options", dict) or {}
    found = {name: field(options, name, kind, "options") for name, kind in _OPTIONS.items()}
    most = field(options, "num_predict", int, "options")
    made = {name: value for name, value in found.items() if value is not None}
    if most is not None and most > 0:  # 0 and less: as many as there are
        made["max_tokens"] = most
    made.update(_format(data))
    if effort := _effort(data):
        made["reasoning_effort"] = effort
    if field(data, "logprobs", bool):
        made["logprobs"] = True
        if (top := field(data, "top_logprobs", int)) is not None:
            made["top_logprobs"] = top
    return made


def _format(data: dict[str, Any]) -> dict[str, Any]:
    wanted = field(data, "format", (str, dict))
    if not wanted:
        return {}
    if wanted == "json":
        return {"response_format": {"type": "json_object"}}
    if isinstance(wanted, str):
        raise InvalidRequest("'format' should be \"json\" or a JSON schema", param="format")
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted}}}


def _effort(data: dict[str, Any]) -> str:
    """Empty when it is the model's own choice, and when it should not think: a model that cannot would refuse to be
    told, and Ollama's does not. What is thought all the same is left out of the answer."""
    think = field(data, "think", (bool, str))
    if isinstance(think, str) and think not in _EFFORTS:
        raise InvalidRequest('\'think\' should be true, false, "low", "medium" or "high"', param="think")
    return think if isinstance(think, str) else "medium" if think else ""
