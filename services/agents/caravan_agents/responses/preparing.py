"""What has to be known before a model is asked: the prompt that is named, and what was said before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from caravan_contracts.errors import InvalidRequest

from caravan_agents.prompts.store import Store as Prompts
from caravan_agents.prompts.templates import render
from caravan_agents.responses.items import Item
from caravan_agents.responses.request import SEALED, ResponseRequest
from caravan_agents.responses.sealing import Sealing
from caravan_agents.responses.store import ResponseStore


def check(request: ResponseRequest, sealing: Sealing) -> None:
    """Raises SecretMissing for what cannot be sealed; better now than in the middle of the answer."""
    if request.context_management or SEALED in request.include:
        sealing.check()


async def prepare(request: ResponseRequest, tenant: str, prompts: Prompts) -> ResponseRequest:
    """With its prompt put in. Raises NotFound for a prompt that is not the tenant's."""
    if request.prompt is None:
        return request
    given = request.prompt
    version = given.get("version")
    if version is not None and not str(version).isdecimal():
        raise InvalidRequest("'prompt.version' is a number", param="prompt.version")
    prompt = await prompts.get(tenant, given["id"], int(version) if version else None)
    text = render(prompt.prompt, _texts(given.get("variables") or {}))
    if not request.model:
        raise InvalidRequest("'model' is missing: a prompt here names none", param="model", code="missing_model")
    return replace(request, instructions=f"{text}\n\n{request.instructions}" if request.instructions else text)


async def history(request: ResponseRequest, tenant: str, store: ResponseStore) -> tuple[list[Item], list[Item]]:
    """What was said before, and what is said now. Raises NotFound."""
    before: list[Item] = []
    if request.conversation:
        before = await store.said(tenant, request.conversation)
    elif request.previous_response_id:
        before = await store.history(tenant, request.previous_response_id)
    given = list(request.input)
    if any(item["type"] == "item_reference" for item in given):
        given = await _referred(given, before, tenant, store)
    return before, given


async def _referred(given: list[Item], before: list[Item], tenant: str, store: ResponseStore) -> list[Item]:
    """With the items that are referred to. Raises NotFound for one that nobody knows."""
    known = {item["id"]: item for item in before if item.get("id")}
    wanted = [item["id"] for item in given if item["type"] == "item_reference" and item["id"] not in known]
    if wanted:
        known |= await store.items(tenant, wanted)
    return [known[item["id"]] if item["type"] == "item_reference" else item for item in given]


def _texts(variables: Mapping[str, Any]) -> dict[str, str]:
    """Values of a prompt's variables. Raises InvalidRequest for one that is no text."""
    made = {}
    for name, value in variables.items():
        text = value.get("text") if isinstance(value, dict) and value.get("type") == "input_text" else value
        if not isinstance(text, str):
            raise InvalidRequest(f"'prompt.variables.{name[:100]}' is a text", param=f"prompt.variables.{name[:100]}")
        made[name] = text
    return made
