"""Every error of the FastAPI routes in OpenAI's shape, mapped in one place."""

from __future__ import annotations

import logging

from caravan_bus import metrics
from caravan_contracts.errors import CaravanError, InvalidJSON, InvalidRequest, MethodNotAllowed, NotFound
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from caravan_gateway import asgi
from caravan_gateway.dialects import table as dialects

log = logging.getLogger(__name__)


def response(error: CaravanError) -> Response:
    """The HTTP answer for an error."""
    metrics.ERRORS.labels(error.code or error.type).inc()
    headers = {name.decode(): value.decode() for name, value in asgi.error_headers(error)}
    return Response(error.to_json(), error.status, headers, "application/json")


def install(app: FastAPI) -> None:
    """Add the handlers."""

    @app.exception_handler(CaravanError)
    async def _ours(request: Request, error: CaravanError) -> Response:
        return response(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return response(InvalidJSON(f"the body is no JSON that can be read: {first['ctx']['error']}"))
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        text = f"'{where}': {first['msg']}" if where else str(first["msg"])
        return response(InvalidRequest(text, param=where or None, code="invalid_type"))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        where = f"{request.method} {request.url.path}"
        if error.status_code == 404:
            unknown = NotFound(f"there is no route {where}; see /docs", code="unknown_route")
            return response(dialects.absent(request.url.path) or unknown)
        if error.status_code == 405:
            return response(MethodNotAllowed(f"{where}: this route does not take {request.method}; see /docs"))
        if error.status_code == 400:  # what FastAPI says of JSON that is nested too deeply, or is no UTF-8
            return response(InvalidJSON("the body is no JSON that can be read"))
        made = InvalidRequest(str(error.detail))
        made.status = error.status_code
        return response(made)

    @app.exception_handler(Exception)
    async def _unforeseen(request: Request, error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return response(CaravanError(f"the gateway failed: {type(error).__name__}"))
