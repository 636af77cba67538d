"""Errors as Google writes them. Source: google.rpc.Code, and its mapping to HTTP."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import CaravanError

_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def object_of(error: CaravanError) -> dict[str, Any]:
    """``{"error": {code, message, status}}``; which field is wrong stands in the details."""
    default = "INVALID_ARGUMENT" if error.status < 500 else "INTERNAL"
    told: dict[str, Any] = {
        "code": error.status,
        "message": error.message,
        "status": _STATUSES.get(error.status, default),
    }
    if error.param:
        violation = {"field": error.param, "description": error.message}
        told["details"] = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
    return {"error": told}


def body_of(error: CaravanError) -> bytes:
    """:func:`object_of` as JSON."""
    return orjson.dumps(object_of(error))
