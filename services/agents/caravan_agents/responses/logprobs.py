"""Probabilities of tokens: chat completions have one shape, events and parts of text have two more."""

from __future__ import annotations

from typing import Any

Logprob = dict[str, Any]
"""``{token, logprob, bytes, top_logprobs}``, as a part of text has it; a top one has no more below it."""


def read(choice: dict[str, Any]) -> list[Logprob]:
    """Those of a chunk's choice; what is no token is left out."""
    given = choice.get("logprobs")
    if not isinstance(given, dict):
        return []
    return [
        {**one, "top_logprobs": [top for top, _rest in _tokens(rest.get("top_logprobs"))]}
        for one, rest in _tokens(given.get("content"))
    ]


def in_events(logprobs: list[Logprob]) -> list[dict[str, Any]]:
    """As `output_text.delta` and `output_text.done` have them: without bytes."""
    return [{**_shown(one), "top_logprobs": [_shown(top) for top in one["top_logprobs"]]} for one in logprobs]


def _shown(one: Logprob) -> dict[str, Any]:
    return {"token": one["token"], "logprob": one["logprob"]}


def _tokens(given: Any) -> list[tuple[Logprob, dict[str, Any]]]:
    """The tokens of a list, each with what it was read from."""
    made = []
    for one in given if isinstance(given, list) else ():
        token, value = (one.get("token"), one.get("logprob")) if isinstance(one, dict) else (None, None)
        if isinstance(token, str) and isinstance(value, int | float):
            known = one.get("bytes")
            data = known if _is_bytes(known) else list(token.encode())
            made.append(({"token": token, "logprob": value, "bytes": data}, one))
    return made


def _is_bytes(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, int) for one in value)
