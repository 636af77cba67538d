"""What answers of all kinds share: stop reasons, log probabilities, metrics."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import UpstreamFailed

Object = dict[str, Any]
_STOPPED: Final = {"stop": "end_of_turn", "tool_calls": "end_of_message", "function_call": "end_of_message"}


def stop_reason(finish: str | None, calls: bool = False) -> str:
    """Llama Stack's word. Whatever cut an answer short (length, a filter) is `out_of_tokens`: of the three words, the
    one for an answer that is not whole."""
    if calls and finish == "stop":
        return "end_of_message"
    return _STOPPED.get(finish or "stop", "out_of_tokens")


def logprobs(given: Any) -> list[Object] | None:
    """One object a token, of chat completions or of completions; None where there are none."""
    if not isinstance(given, dict):
        return None
    if isinstance(given.get("content"), list):
        return [{"logprobs_by_token": _by_token(token)} for token in given["content"]]
    tokens, own, top = given.get("tokens") or [], given.get("token_logprobs") or [], given.get("top_logprobs") or []
    made = []
    for number, token in enumerate(tokens):
        others = top[number] if number < len(top) and isinstance(top[number], dict) else {}
        mine = {token: own[number]} if number < len(own) and own[number] is not None else {}
        made.append({"logprobs_by_token": {**mine, **others}})
    return made or None


def metrics(usage: Any) -> list[Object] | None:
    """The tokens it cost."""
    if not isinstance(usage, dict):
        return None
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return [{"metric": name, "value": usage[name], "unit": "tokens"} for name in names if name in usage]


def first_choice(answer: bytes) -> tuple[Object, Any]:
    """Of an answer that did not stream: its first choice, and its usage. Raises UpstreamFailed."""
    data = read(answer)
    try:
        choice = data["choices"][0]
    except (KeyError, IndexError, TypeError) as error:
        raise UpstreamFailed("the provider's answer has no choices") from error
    if not isinstance(choice, dict):
        raise UpstreamFailed("the provider's answer has a choice that is no object")
    return choice, data.get("usage")


def read(answer: bytes) -> Object:
    """The object of an answer. Raises UpstreamFailed."""
    try:
        data = orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        raise UpstreamFailed("the provider's answer is no JSON") from error
    if not isinstance(data, dict):
        raise UpstreamFailed("the provider's answer is no JSON object")
    return data


def event(data: Object) -> bytes:
    """One event of a stream."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _by_token(token: Object) -> dict[str, float]:
    rows = [token, *(token.get("top_logprobs") or [])]
    return {row["token"]: row["logprob"] for row in rows if "token" in row and row.get("logprob") is not None}
