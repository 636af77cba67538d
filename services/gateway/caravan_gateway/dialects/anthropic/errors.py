"""Errors in Anthropic's shape.

Source: Anthropic's API reference, "Errors".
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import CaravanError, ContextLengthExceeded

from caravan_gateway.dialects.anthropic.blocks import event

_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_TOO_LONG: Final = "prompt is too long"
"""By these words clients know that they have to make it shorter."""


def body(error: CaravanError, request_id: str) -> bytes:
    """Of an answer that failed."""
    return orjson.dumps({**_told(error), "request_id": request_id})


def last_event(error: CaravanError) -> bytes:
    """Of a stream that broke."""
    return event(_told(error))


def _told(error: CaravanError) -> dict[str, Any]:
    kind = _TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
    message = error.message
    if error.code == ContextLengthExceeded.code and _TOO_LONG not in message:
        message = f"{_TOO_LONG}: {message}"
    return {"type": "error", "error": {"type": kind, "message": message}}
