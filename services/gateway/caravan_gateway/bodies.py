"""Bodies of the FastAPI routes that are kept as they are: read strictly, before anything else sees them.

Python's own reader takes numbers and characters that are no JSON, and none of them could be kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import orjson
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Body = TypeVar("Body", bound=BaseModel)
MAX_DEPTH: Final = 100
"""Of objects and lists within each other: what writes them on the bus goes no deeper than 200."""


def reading(kind: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """A FastAPI dependency: the body of a request as `kind`. No body at all is an empty object."""

    async def read(request: Request) -> Body:
        try:
            data = orjson.loads(await request.body() or b"{}")
        except orjson.JSONDecodeError as error:
            raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
        if not isinstance(data, dict):
            raise InvalidRequest("the body should be a JSON object")
        if _too_deep(data):
            raise InvalidJSON(f"the body has more than {MAX_DEPTH} objects and lists within each other")
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error

    return read


def _too_deep(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            each
            for held in level
            for each in (held.values() if isinstance(held, dict) else held)
            if isinstance(each, dict | list)
        ]
        if not level:
            return False
    return True


def documented(kind: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of such a body: `openapi_extra` of the route."""
    schema = kind.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
