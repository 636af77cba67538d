"""Shields for the first two generations, in their words and paths; those of the third are our own routes.

Generation 1 names a shield by its `shield_type`, which with it is the identifier.
"""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.context import Principal
from caravan_contracts.registry import Resource
from caravan_contracts.safety import MOST_TEXTS, RunShield, ShieldAnswer
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from caravan_gateway.agents import answer
from caravan_gateway.bodies import reading
from caravan_gateway.dialects.llama_stack.lines import lines
from caravan_gateway.dialects.llama_stack.messages import messages
from caravan_gateway.resources import Resources
from caravan_gateway.safety.asking import Safety
from caravan_gateway.safety.shields import named, shield_object

RUN: Final = ("/safety/run_shield", "/alpha/safety/run-shield")
"""Where a shield is asked: of generation 1, and of generation 2."""


class Judged(BaseModel):
    """What is asked of a shield."""

    messages: list[Any] = Field(min_length=1, max_length=MOST_TEXTS)
    params: dict[str, Any] | None = None

    def of(self, shield: str) -> RunShield:
        """The question. Raises InvalidRequest."""
        return RunShield(shield_id=shield, messages=messages(self.messages, "messages"), params=self.params or {})


class FirstJudged(Judged):
    """Body of ``POST /safety/run_shield``."""

    shield_type: str = Field(min_length=1)


class SecondJudged(Judged):
    """Body of ``POST /alpha/safety/run-shield``."""

    shield_id: str = Field(min_length=1)


_FIRST: Any = Depends(reading(FirstJudged))
_SECOND: Any = Depends(reading(SecondJudged))


def router(resources: Resources, safety: Safety) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["Llama Stack before 0.1"], include_in_schema=False)
    catalog, who = resources.catalog, resources.who

    def shown(resource: Resource, principal: Principal) -> dict[str, Any]:
        made = shield_object(resource, principal)
        return {**made, "shield_type": made["provider_id"].replace("-", "_")}

    async def judged(asked: RunShield, request: Request, principal: Principal) -> Response:
        made = await safety.ask(request, principal, "run_shield", asked, ShieldAnswer)
        return answer(made.model_dump(mode="json"))

    @routes.get("/shields/list")
    @routes.get("/alpha/shields/list")
    async def list_shields(principal: Principal = Depends(who)) -> Response:
        return lines([shown(each, principal) for each in catalog().shields(principal.tenant)])

    @routes.get("/shields/get")
    async def get_first(shield_type: str = Query(), principal: Principal = Depends(who)) -> dict[str, Any]:
        return shown(named(catalog(), shield_type, principal.tenant), principal)

    @routes.get("/alpha/shields/get")
    async def get_second(identifier: str = Query(), principal: Principal = Depends(who)) -> dict[str, Any]:
        return shown(named(catalog(), identifier, principal.tenant), principal)

    @routes.post(RUN[0])
    async def run_first(request: Request, principal: Principal = Depends(who), body: FirstJudged = _FIRST) -> Response:
        return await judged(body.of(body.shield_type), request, principal)

    @routes.post(RUN[1])
    async def run_second(
        request: Request, principal: Principal = Depends(who), body: SecondJudged = _SECOND
    ) -> Response:
        return await judged(body.of(body.shield_id), request, principal)

    return routes
