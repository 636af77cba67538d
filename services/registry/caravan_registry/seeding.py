"""The stack file's resources in the tables: put at the start of every replica; equal ones change nothing."""

from __future__ import annotations

import logging
from typing import Any

from caravan_contracts.context import DEFAULT_TENANT
from caravan_contracts.registry import ChangeFact, Resource, ResourceKind, Source

from caravan_registry import bodies
from caravan_registry.stack import Stack
from caravan_registry.store import Change, Store

log = logging.getLogger(__name__)

Wanted = dict[tuple[ResourceKind, str], dict[str, Any]]


async def seed(store: Store, stack: Stack) -> ChangeFact | None:
    """Bring the rows of the stack to what the file says; what was changed. Raises DependencyDown.

    Rows that were put at run time win over the file; rows of an earlier file that it no longer names go, and with a
    provider what was discovered at it.
    """
    async with store.change() as change:
        before = {(row.kind, row.id): row for row in await change.from_source(Source.STACK)}
        wanted = await _wanted(change, stack)
        for (kind, name), body in wanted.items():
            await _put(change, kind, name, body)
        gone = [row for key, row in before.items() if key not in wanted]
        for row in gone:
            if row.kind is ResourceKind.PROVIDER:
                models = await change.models_of(row.id)
                await change.remove(model for model in models if _is_listed(model))
        await change.remove(gone)
    return change.fact


async def _wanted(change: Change, stack: Stack) -> Wanted:
    wanted: Wanted = {}
    for name, provider in stack.providers.items():
        taken = await change.provider(name)
        if taken is not None and taken.tenant != DEFAULT_TENANT:
            log.error("the provider %s of %s belongs to tenant %s already: rename it", name, stack.source, taken.tenant)
            continue
        wanted[ResourceKind.PROVIDER, name] = bodies.of_provider(provider)
    for name, model in stack.models.items():
        if (ResourceKind.PROVIDER, model.provider_id) in wanted:
            wanted[ResourceKind.MODEL, name] = bodies.of_model(model)
    for name, route in stack.routes.items():
        wanted[ResourceKind.ROUTE, name] = bodies.of_route(route)
    for name, shield in stack.shields.items():
        wanted[ResourceKind.SHIELD, name] = bodies.of_shield(shield)
    for name, guardrail in stack.guardrails.items():
        wanted[ResourceKind.GUARDRAIL, name] = bodies.of_guardrail(guardrail)
    return wanted


async def _put(change: Change, kind: ResourceKind, id: str, body: dict[str, Any]) -> None:
    now = await change.get(DEFAULT_TENANT, kind, id)
    if now is not None and now.source is Source.API:
        log.info("the %s %s was changed at run time: the stack file's is not used", kind, id)
        return
    stored = None if now is None else bodies.of_provider(now.provider) if kind is ResourceKind.PROVIDER else now.body
    if now is None or now.source is not Source.STACK or stored != body:
        await change.put(DEFAULT_TENANT, kind, id, Source.STACK, body)


def _is_listed(model: Resource) -> bool:
    return model.source is Source.DISCOVERED and not model.model.disabled
