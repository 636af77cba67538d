"""Probabilities of tokens: chat completions have one shape, events and parts of text have two more."""

from __future__ import annotations

from typing import Any


def read(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of a chunk's choice."""
    given = choice.get("logprobs")
    content = given.get("content") if isinstance(given, dict) else None
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def in_delta(logprobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As `output_text.delta` and `output_text.done` have them."""
    return [{**_one(one), "top_logprobs": [_one(top) for top in one.get("top_logprobs") or ()]} for one in logprobs]


def in_part(logprobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the part has them: with bytes."""
    return [
        {**_with_bytes(one), "top_logprobs": [_with_bytes(top) for top in one.get("top_logprobs") or ()]}
        for one in logprobs
    ]


def _one(one: dict[str, Any]) -> dict[str, Any]:
    return {"token": one.get("token", ""), "logprob": one.get("logprob", 0.0)}


def _with_bytes(one: dict[str, Any]) -> dict[str, Any]:
    known = one.get("bytes")
    return {**_one(one), "bytes": list(str(one.get("token", "")).encode()) if known is None else known}
