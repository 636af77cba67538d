"""What the registry does when it is asked: read, put, delete, and take what workers report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from caravan_contracts import subjects
from caravan_contracts.context import DEFAULT_TENANT, RequestContext
from caravan_contracts.errors import Conflict, DeadlineExceeded, InvalidRequest, NotFound, PermissionDenied
from caravan_contracts.registry import (
    Changed,
    DeleteResource,
    ModelSpec,
    PutResource,
    ReportAccepted,
    ReportModels,
    Resource,
    ResourceKind,
    SnapshotRequest,
    Source,
)
from caravan_contracts.routes import RouteSpec
from caravan_contracts.safety import GuardrailSpec

from caravan_registry import bodies, reports, rules
from caravan_registry.follower import Follower
from caravan_registry.store import Change, Store

WRITE_SECONDS: Final = 8.0
"""Longest time for one change, waiting for those before it included."""


class RegistryService:
    """One per process. Changes of this process follow one another, so that their facts do too."""

    def __init__(self, store: Store, follower: Follower) -> None:
        self._store = store
        self._follower = follower
        self._turn = asyncio.Lock()

    async def snapshot(self, request: SnapshotRequest) -> bytes:
        """A SnapshotPage as JSON. Raises DependencyDown while nothing is known."""
        if not request.after:
            await self._follower.look()
        return self._follower.mirror.page(request)

    async def put(self, request: PutResource, context: RequestContext) -> Changed:
        """Create or replace. Raises InvalidRequest, SecretInConfig, PermissionDenied, Conflict, DependencyDown."""
        tenant = _administered(context)
        body, check = _checked(tenant, request)
        async with self._change(context) as change:
            before = await change.get(tenant, request.kind, request.id)
            _check_revision(request, before)
            await check(change)
            if before is not None and before.source is Source.API and _same(before, body):
                made = before
            else:
                made = await change.put(tenant, request.kind, request.id, Source.API, body)
        return Changed(resource=made, revision=change.revision)

    async def delete(self, request: DeleteResource, context: RequestContext) -> Changed:
        """Remove. A discovered model leaves a tombstone, or the next report would bring it back; a provider takes
        its models along. Raises NotFound, Conflict (it stands in the stack file), PermissionDenied, DependencyDown."""
        tenant = _administered(context)
        if rules.id_problem(request.id):  # no such thing can be there, and PostgreSQL takes no zero byte
            raise NotFound(f"there is no {request.kind} {request.id[:200]!r}", param="id")
        async with self._change(context) as change:
            found = await change.get(tenant, request.kind, request.id)
            if found is None or (found.kind is ResourceKind.MODEL and found.model.disabled):
                raise NotFound(f"there is no {request.kind} {request.id[:200]!r}", param="id")
            if found.source is Source.STACK:
                raise Conflict(
                    f"the {request.kind} {request.id!r} stands in the stack file: take it out there and restart "
                    "the registry",
                    param="id",
                )
            if found.kind is ResourceKind.PROVIDER:
                await change.remove([found, *await change.models_of(found.id)])
            elif found.source is Source.DISCOVERED:
                body = bodies.of_model(found.model.model_copy(update={"disabled": True}))
                found = await change.put(tenant, found.kind, found.id, Source.DISCOVERED, body)
            else:
                await change.remove([found])
        return Changed(resource=found, revision=change.revision)

    async def report_models(self, request: ReportModels, context: RequestContext) -> ReportAccepted:
        """Take what a worker found. Raises NotFound for a provider that is gone, DependencyDown."""
        async with self._change(context) as change:
            await reports.take(change, request)
        return ReportAccepted(revision=change.revision)

    @asynccontextmanager
    async def _change(self, context: RequestContext) -> AsyncIterator[Change]:
        """A change; after its commit the mirror has it and the fact is published."""
        self._follower.check_writable()
        try:
            async with asyncio.timeout(min(WRITE_SECONDS, max(0.0, context.remaining))):
                async with self._turn:
                    async with self._store.change() as change:
                        yield change
                    if change.fact is not None:
                        self._follower.changed(change.fact)
        except TimeoutError as error:
            self._follower.wake()  # it may have been committed all the same
            raise DeadlineExceeded(
                "the change could not be made in time; look whether it was, and try again"
            ) from error


def _administered(context: RequestContext) -> str:
    """The tenant that the caller may change."""
    principal = context.principal
    if not principal.may("admin"):
        raise PermissionDenied(f"{principal.subject!r} may not change the registry: it needs the role admin")
    try:
        return subjects.token(principal.tenant)
    except ValueError as error:
        raise InvalidRequest(f"the tenant {principal.tenant[:80]!r} is no name of a tenant") from error


def _checked(tenant: str, request: PutResource) -> tuple[dict[str, Any], Callable[[Change], Awaitable[None]]]:
    """The body to store, and what has to hold of everything that is there already."""
    name = request.id
    if request.kind is ResourceKind.PROVIDER:
        provider = bodies.checked_provider(tenant, name, request.body)
        return bodies.of_provider(provider), lambda change: _check_owner(change, tenant, name)
    if request.kind is ResourceKind.ROUTE:
        route = bodies.checked_route(name, request.body)
        return bodies.of_route(route), lambda change: _check_route(change, tenant, name, route)
    if request.kind is ResourceKind.SHIELD:
        shield = bodies.checked_shield(tenant, name, request.body)
        return bodies.of_shield(shield), lambda change: _check_shield(change, tenant, name)
    if request.kind is ResourceKind.GUARDRAIL:
        guardrail = bodies.checked_guardrail(name, request.body)
        return bodies.of_guardrail(guardrail), lambda change: _check_guardrail(change, tenant, guardrail)
    model = bodies.checked_model(name, request.body)
    return bodies.of_model(model), lambda change: _check_model(change, tenant, name, model)


def _same(before: Resource, body: dict[str, object]) -> bool:
    stored = bodies.of_provider(before.provider) if before.kind is ResourceKind.PROVIDER else before.body
    return stored == body


def _check_revision(request: PutResource, before: Resource | None) -> None:
    if request.if_revision is None:
        return
    now = before.revision if before is not None else 0
    if now != request.if_revision:
        raise Conflict(
            f"the {request.kind} {request.id!r} is at revision {now}, not {request.if_revision}: read it again",
            param="if_revision",
        )


async def _check_shield(change: Change, tenant: str, id: str) -> None:
    """What guardrails of the shared tenant name must be what it has registered, for every tenant."""
    if tenant != DEFAULT_TENANT and await change.get(DEFAULT_TENANT, ResourceKind.SHIELD, id) is not None:
        raise Conflict(f"{id[:200]!r} is the name of a shared shield: choose another", param="id")


async def _check_guardrail(change: Change, tenant: str, spec: GuardrailSpec) -> None:
    """A shield that is not there would be one that gives no verdict."""
    for place, line in enumerate(spec.checks):
        for shield in line.shields:
            for owner in (tenant, DEFAULT_TENANT):
                if await change.get(owner, ResourceKind.SHIELD, shield) is not None:
                    break
            else:
                raise InvalidRequest(
                    f"there is no shield {shield[:200]!r}: register it with POST /v1/shields first",
                    param=f"checks.{place}.shields",
                )


async def _check_owner(change: Change, tenant: str, id: str) -> None:
    taken = await change.provider(id)
    if taken is not None and taken.tenant != tenant:
        raise Conflict(f"the provider id {id!r} is taken: choose another", param="id")


async def _check_model(change: Change, tenant: str, id: str, spec: ModelSpec) -> None:
    provider = await change.provider(spec.provider_id)
    if provider is None or provider.tenant not in (tenant, DEFAULT_TENANT):
        there = ", ".join(await change.provider_ids(tenant, DEFAULT_TENANT)) or "none"
        raise InvalidRequest(
            f"there is no provider {spec.provider_id[:80]!r}; there are: {there}. Name one as provider_id, or write "
            "the id as <provider id>/<the provider's own model id>",
            param="provider_id",
        )
    if taken := await change.routes_named([tenant], [id, *spec.aliases]):
        raise Conflict(f"{taken[0]!r} is the name of a route: choose another, or remove the route", param="id")
    if spec.aliases and (others := await change.named(tenant, id, spec.aliases)):
        raise Conflict(f"an alias is the name of another model already: {', '.join(others)}", param="aliases")


async def _check_route(change: Change, tenant: str, id: str, spec: RouteSpec) -> None:
    """A name means one thing to a tenant: a model of its own would be used and never the route. What is shared may be
    hidden by what it owns."""
    if others := await change.models_named([tenant], [id]):
        raise Conflict(f"{id[:200]!r} is a name of the model {others[0]!r}: a route needs one of its own", param="id")
    if found := await change.routes_named([tenant, DEFAULT_TENANT], [target.model for target in spec.targets]):
        raise Conflict(f"the target {found[0]!r} is a route itself: name the models it stands for", param="targets")
    if above := await change.routes_to(tenant, id):
        raise Conflict(f"{id[:200]!r} is a target of the route {above[0]!r}: a route names no route", param="id")
