"""Routes of a dialect that FastAPI serves: their errors in the dialect's shape too."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from caravan_bus import metrics
from caravan_contracts.errors import CaravanError, InvalidRequest
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.routing import Match

from caravan_gateway import asgi
from caravan_gateway.asgi import Scope

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def speaking(
    body_of: Callable[[CaravanError], bytes], only: Callable[[Scope], bool] = lambda _: True
) -> type[APIRoute]:
    """The `route_class` of a router whose errors have the bodies that `body_of` makes. It is passed by for requests
    that are not `only`: the same path may be another API's for others."""

    class Speaking(APIRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return super().matches(scope) if only(scope) else (Match.NONE, {})

        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handle(request)
                except CaravanError as error:
                    return _response(error, body_of)
                except RequestValidationError as error:
                    return _response(_invalid(error), body_of)

            return answer

    return Speaking


def _invalid(error: RequestValidationError) -> InvalidRequest:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
    return InvalidRequest(f"'{where}': {first['msg']}" if where else str(first["msg"]), param=where or None)


def _response(error: CaravanError, body_of: Callable[[CaravanError], bytes]) -> Response:
    metrics.ERRORS.labels(error.code or error.type).inc()
    headers = {name.decode(): value.decode() for name, value in asgi.error_headers(error)}
    return Response(body_of(error), error.status, headers, "application/json")
