"""Every dialect of the gateway, in one place: its hot routes, and its part of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caravan_bus.responses import AgentRuns
from fastapi import FastAPI

from caravan_gateway.asgi import App
from caravan_gateway.completions import CompletionRoute
from caravan_gateway.dialects.anthropic import routes as anthropic
from caravan_gateway.dialects.google import about as google_about
from caravan_gateway.dialects.google import table as google
from caravan_gateway.dialects.google.interactions import routes as interactions
from caravan_gateway.dialects.ollama import about as ollama_about
from caravan_gateway.dialects.ollama import table as ollama
from caravan_gateway.resources import Resources


def hot_routes(like: CompletionRoute, runs: AgentRuns) -> dict[str, App]:
    """By path. `like` is the route of chat completions; `runs` asks agents workers."""
    return {**anthropic.hot_routes(like, runs), **ollama.hot_routes(like), **interactions.hot_routes(like, runs)}


def find(like: CompletionRoute, runs: AgentRuns) -> Callable[[str], App | None]:
    """Of a path that names a model, what serves a POST to it."""
    return google.Paths(like, runs).find


def include(app: FastAPI, resources: Resources, runs: AgentRuns) -> None:
    """Add what of them FastAPI serves: before our own routes, for some paths are theirs for their clients alone."""
    app.include_router(google_about.router(resources))
    app.include_router(interactions.router(resources, runs))
    app.include_router(ollama_about.router(resources))


def document() -> dict[str, Any]:
    """Paths of the OpenAPI document."""
    return {**anthropic.document(), **ollama.document(), **google.document(), **interactions.document()}
