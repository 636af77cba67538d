"""An upstream's errors in our shape: its status and message are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from caravan_contracts.errors import (
    CaravanError,
    ContextLengthExceeded,
    RateLimited,
    UpstreamBroke,
    UpstreamFailed,
    UpstreamRefused,
)

_CONTEXT_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})


def refusal(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> CaravanError:
    """The error for an answer with `status` ≥ 300."""
    detail = _detail(body)
    message = str(detail.get("message") or _text(body) or f"HTTP {status}")
    made: CaravanError
    if detail.get("code") in _CONTEXT_CODES:
        made = ContextLengthExceeded(message)
    elif status < 400:
        where = headers.get("location", "elsewhere")
        made = UpstreamFailed(f"provider {provider!r} redirects to {where}: make that its base_url")
        made.retryable = False
        return made
    elif status == 429:
        made = RateLimited(message, retry_after=_retry_after(headers))
    elif status >= 500:
        made = UpstreamFailed(f"provider {provider!r} failed: {message}", retry_after=_retry_after(headers))
    else:
        made = UpstreamRefused(message)
    made.status = status
    if status < 500:
        made.type = str(detail.get("type") or made.type)
        made.code = str(detail["code"]) if detail.get("code") else made.code
    made.param = str(detail["param"]) if detail.get("param") else None
    return made


def in_band_error(event: bytes) -> CaravanError | None:
    """The error an upstream put into its stream; None when `event` is none after all."""
    detail = _detail(event)
    if not detail:
        return None
    made = UpstreamBroke(str(detail.get("message") or "the provider's stream broke"))
    status = detail.get("code") if isinstance(detail.get("code"), int) else detail.get("status")
    if isinstance(status, int) and 400 <= status < 600:
        made.status = status
    if isinstance(detail.get("code"), str):
        made.code = detail["code"]
    if isinstance(detail.get("type"), str):
        made.type = detail["type"]
    return made


def _detail(body: bytes) -> dict[str, Any]:
    """OpenAI's ``{"error": {…}}``, vLLM's and Ollama's ``{"error": "…"}``, FastAPI's ``{"detail": …}``."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(data, list) and data:  # Gemini wraps it in a list
        data = data[0]
    if not isinstance(data, dict):
        return {}
    if data.get("object") == "error":  # vLLM, in a stream
        return data
    error = data.get("error", data.get("detail", data.get("message")))
    if isinstance(error, dict):
        return error
    return {"message": error if isinstance(error, str) else orjson.dumps(error).decode()} if error else {}


def _text(body: bytes) -> str:
    text = body[:300].decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers.get(name, "")) / unit)
        except ValueError:
            continue
    return None
