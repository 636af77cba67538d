"""Probabilities tell the text once more, and what else might have stood there."""

from __future__ import annotations

from typing import Any


def harmless(logprobs: Any, text: str) -> dict[str, Any] | None:
    """What of `logprobs` says no more than `text`; None when it says anything else."""
    if not isinstance(logprobs, dict):
        return None
    if isinstance(tokens := logprobs.get("tokens"), list):  # of completions that are no chat
        kept = {name: logprobs.get(name) for name in ("tokens", "token_logprobs", "text_offset")}
        return {**kept, "top_logprobs": None} if _says(tokens, text) else None
    rows = logprobs.get("content")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or logprobs.get("refusal"):
        return None
    tokens = [row.get("token") for row in rows]
    if not _says(tokens, text):
        return None
    made = [
        {"token": token, "logprob": row.get("logprob"), "bytes": list(token.encode()), "top_logprobs": []}
        for token, row in zip(tokens, rows, strict=True)
    ]
    return {"content": made, "refusal": None}


def _says(tokens: list[Any], text: str) -> bool:
    return all(isinstance(token, str) for token in tokens) and "".join(tokens) == text
