"""What shields say, over HTTP: OpenAI's moderations, Llama Stack's run-shield, and the audit."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.context import Principal
from caravan_contracts.safety import (
    ListVerdicts,
    Moderate,
    Moderation,
    RunShield,
    ShieldAnswer,
    VerdictPage,
)
from fastapi import APIRouter, Depends, Query, Request, Response

from caravan_gateway.agents import answer, listed
from caravan_gateway.auth import need
from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources
from caravan_gateway.safety.asking import Safety

MODERATIONS: Final = "/v1/moderations"
RUN_SHIELD: Final = "/v1/safety/run-shield"
MAX_BODY: Final = 900 * 1024
"""Bytes of a body: it has to fit into one message."""

_MODERATE: Any = Depends(reading(Moderate))
_RUN: Any = Depends(reading(RunShield))


def router(resources: Resources, safety: Safety) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["Safety"])
    who = resources.who

    @routes.post(MODERATIONS, summary="What a shield says of texts and images", openapi_extra=documented(Moderate))
    async def create_moderation(
        request: Request, principal: Principal = Depends(who), body: Moderate = _MODERATE
    ) -> Response:
        """`model` is a shield; without one the default shield looks, or every light shield there is."""
        made = await safety.ask(request, principal, "moderate", body, Moderation)
        return answer(made.model_dump())

    @routes.post(RUN_SHIELD, summary="What a shield says of messages", openapi_extra=documented(RunShield))
    async def run_shield(request: Request, principal: Principal = Depends(who), body: RunShield = _RUN) -> Response:
        made = await safety.ask(request, principal, "run_shield", body, ShieldAnswer)
        return answer(made.model_dump(mode="json"))

    @routes.get("/v1/safety/verdicts", summary="The audit: what shields said of which requests, newest first")
    async def list_verdicts(
        request: Request,
        after: str = Query("", max_length=64),
        limit: int = Query(50, ge=1, le=500),
        flagged: bool | None = None,
        shield: str = Query("", max_length=256),
        request_id: str = Query("", max_length=1024),
        principal: Principal = Depends(who),
    ) -> Response:
        need(principal, "admin")
        asked = ListVerdicts(after=after, limit=limit, flagged=flagged, shield=shield, request_id=request_id)
        page = await safety.ask(request, principal, "list_verdicts", asked, VerdictPage)
        return listed([each.model_dump(mode="json") for each in page.data], "id", page.has_more)

    return routes
