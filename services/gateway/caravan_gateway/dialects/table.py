"""Every dialect of the gateway, in one place: its hot routes, and its part of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from caravan_bus.responses import AgentRuns
from caravan_contracts.errors import NotFound
from caravan_contracts.inference import Verb
from fastapi import FastAPI

from caravan_gateway.asgi import App
from caravan_gateway.completions import CompletionRoute
from caravan_gateway.dialects.anthropic import routes as anthropic
from caravan_gateway.dialects.google import about as google_about
from caravan_gateway.dialects.google import table as google
from caravan_gateway.dialects.google.interactions import routes as interactions
from caravan_gateway.dialects.llama_stack import absent as llama_stack_absent
from caravan_gateway.dialects.llama_stack import routes as llama_stack
from caravan_gateway.dialects.ollama import about as ollama_about
from caravan_gateway.dialects.ollama import table as ollama
from caravan_gateway.resources import Resources
from caravan_gateway.safety.asking import Safety
from caravan_gateway.vectors.asking import Vectors

LARGER: Final = llama_stack.LARGER
"""Bytes of a body, of paths where FastAPI may read more than elsewhere."""


@dataclass(frozen=True, slots=True)
class Services:
    """Whom dialects ask beside models."""

    runs: AgentRuns
    vectors: Vectors
    safety: Safety


def hot_routes(like: CompletionRoute, runs: AgentRuns, rerank: App) -> dict[str, App]:
    """By path. `like` is the route of chat completions; `runs` asks agents workers; `rerank` is the route of
    ``/v1alpha/inference/rerank``."""
    return {
        **anthropic.hot_routes(like, runs),
        **ollama.hot_routes(like),
        **interactions.hot_routes(like, runs),
        **llama_stack.hot_routes(like, rerank),
    }


def openai_routes(verbs: Mapping[str, Verb], like: CompletionRoute) -> dict[str, App]:
    """OpenAI's own routes, by path, as clients of other APIs can read them too; `verbs` has the same paths."""
    return llama_stack.openai_routes(verbs, like)


def find(like: CompletionRoute, runs: AgentRuns) -> Callable[[str], App | None]:
    """Of a path that names a model, what serves a POST to it."""
    return google.Paths(like, runs).find


def include(app: FastAPI, resources: Resources, services: Services) -> None:
    """Add what of them FastAPI serves: before our own routes, for some paths are theirs for their clients alone."""
    app.include_router(google_about.router(resources))
    app.include_router(interactions.router(resources, services.runs))
    app.include_router(ollama_about.router(resources))
    app.include_router(llama_stack.router(resources, app.openapi, services.vectors, services.safety))


def absent(path: str) -> NotFound | None:
    """For a path where there is no route: what to use instead; None for one that no other API has."""
    return llama_stack_absent.explained(path)


def document() -> dict[str, Any]:
    """Paths of the OpenAPI document."""
    tables = (anthropic, ollama, google, interactions, llama_stack)
    return {path: item for table in tables for path, item in table.document().items()}
