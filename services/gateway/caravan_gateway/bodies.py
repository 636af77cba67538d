"""Bodies of the FastAPI routes that are kept as they are: read strictly, before anything else sees them.

Python's own reader takes numbers and characters that are no JSON, and none of them could be kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Body = TypeVar("Body", bound=BaseModel)


def reading(kind: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """A FastAPI dependency: the body of a request as `kind`. No body at all is an empty object."""

    async def read(request: Request) -> Body:
        try:
            data = orjson.loads(await request.body() or b"{}")
        except orjson.JSONDecodeError as error:
            raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
        if not isinstance(data, dict):
            raise InvalidRequest("the body should be a JSON object")
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error

    return read


def documented(kind: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of such a body: `openapi_extra` of the route."""
    schema = kind.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
