"""Which model a command asks for."""

from __future__ import annotations

import difflib
from typing import Any

from caravan.cli.gateway import Gateway, GatewayError


def chat_models(gateway: Gateway) -> list[dict[str, Any]]:
    """Those that can talk, in the server's order. Raises GatewayError when there is none."""
    found = [model for model in gateway.models() if model.get("model_type", "llm") == "llm"]
    if not found:
        raise GatewayError(
            "There is no chat model yet. Set a provider's key (OPENAI_API_KEY, OLLAMA_URL, ...) and start again, or "
            "see what the providers say: `caravan providers`."
        )
    return found


def first_model(gateway: Gateway) -> str:
    """The id of the first of them. Raises GatewayError."""
    return str(chat_models(gateway)[0]["id"])


def check(name: str, models: list[dict[str, Any]]) -> str:
    """`name`, an id or alias of one of `models`. Raises GatewayError with what is near it."""
    names = [str(one) for model in models for one in (model["id"], *model.get("aliases", []))]
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 3, 0.3) or names[:3]
    raise GatewayError(f"There is no chat model {name!r} here. There is: {', '.join(near)} (all: `caravan models`).")
