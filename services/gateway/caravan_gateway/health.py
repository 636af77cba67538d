"""Whether this gateway lives, and whether it can take work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caravan_contracts import VERSION
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


def router(not_ready: Callable[[], str], refresh: Callable[[], None]) -> APIRouter:
    """The routes; `not_ready` says why the gateway cannot take work, "" when it can; `refresh` updates gauges."""
    routes = APIRouter(tags=["Health"])

    def answer(extra: dict[str, Any]) -> JSONResponse:
        why = not_ready()
        body = {"status": "Error" if why else "OK", **extra, **({"message": why} if why else {})}
        return JSONResponse(body, 503 if why else 200)

    @routes.get("/livez", summary="The process lives")
    async def livez() -> dict[str, str]:
        return {"status": "OK"}

    @routes.get("/readyz", summary="It can take work now")
    async def readyz() -> JSONResponse:
        return answer({})

    @routes.get("/healthz", summary="Same as /readyz")
    async def healthz() -> JSONResponse:
        return answer({})

    @routes.get("/health", include_in_schema=False)
    @routes.get("/alpha/health", include_in_schema=False)
    @routes.get("/v1/health", summary="Same as /readyz")
    async def health() -> JSONResponse:
        return answer({})

    @routes.get("/v1/version", summary="Version of the server")
    async def version() -> dict[str, str]:
        return {"version": VERSION}

    @routes.get("/metrics", summary="Prometheus metrics")
    async def metrics() -> Response:
        refresh()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes
