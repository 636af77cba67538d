"""Which provider serves the model that a client wrote. Pure: built from the registry's resources, change by change.

:meth:`Catalog.route` is asked first: a route answers for its id, unless a model resource of the same tenant has that
very id (the registry lets nobody make both; discovery may). So a route hides aliases and bare names, and what a tenant
owns hides what is shared. A route's targets are looked up as models, in the tenant that owns the route: never routes.

The name of a model is looked up in this order, at each step in the caller's own tenant before the shared tenant
`default`:

1. the id of a model resource, as it was registered or discovered (``ollama/llama3.2:3b``, ``house-model``)
2. ``<provider id>/<the provider's own model id>``
3. an alias
4. the provider's own model id alone (``llama3.2:3b``)
5. ``<provider id>/<anything>`` of a provider whose config says ``allow_unlisted: true`` (or whose type implies it)

Steps 3 and 4 answer only when all that is found is one model of one provider.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from caravan_contracts.context import DEFAULT_TENANT
from caravan_contracts.errors import ModelNotFound
from caravan_contracts.registry import UNLISTED_TYPES, ModelSpec, ModelType, Resource, ResourceKind, key_of
from caravan_contracts.routes import RouteSpec
from pydantic import ValidationError

MAX_LISTED: Final = 10
MAX_COMPARED: Final = 400
"""Names compared for "did you mean": a miss must not cost the event loop more than some milliseconds."""
MAX_QUOTED: Final = 128
_SAFETY: Final = (ResourceKind.SHIELD, ResourceKind.GUARDRAIL)
LATEST: Final = ":latest"
"""Ollama's tag that may be left out."""


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """Where a request for a model goes."""

    provider_id: str
    resource_id: str
    """The provider's own id of the model."""
    model_type: ModelType
    resource: Resource | None
    """None when the provider takes models it does not list."""

    @property
    def id(self) -> str:
        """The id under which the model is listed."""
        return self.resource.id if self.resource is not None else f"{self.provider_id}/{self.resource_id}"


@dataclass(frozen=True, slots=True)
class Route:
    """A name that stands for several targets."""

    resource: Resource
    spec: RouteSpec

    @property
    def id(self) -> str:
        """What clients write as `model`."""
        return self.resource.id

    @property
    def tenant(self) -> str:
        """Who owns it, and in whose name its targets are looked up."""
        return self.resource.tenant


Named = dict[str, dict[str, ModelTarget]]
"""Name -> {id of the model resource: target}."""


@dataclass(slots=True)
class _Scope:
    """What one tenant owns, by every name it can be called."""

    size: int = 0
    providers: dict[str, Resource] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    models: dict[str, ModelTarget] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    qualified: Named = field(default_factory=dict)
    aliases: Named = field(default_factory=dict)
    bare: Named = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    safety: dict[ResourceKind, dict[str, Resource]] = field(default_factory=lambda: {kind: {} for kind in _SAFETY})


class Catalog:
    """The registry's resources, indexed by name. Not thread-safe; meant for one event loop."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._rows: dict[str, Resource] = {}
        self._scopes: dict[str, _Scope] = {}
        self._routes = 0
        self.caching = 0
        """How many models and routes, of any tenant, have answers kept of requests that do not ask for it."""
        self.guarded = 0
        """How many guardrails there are, of any tenant."""
        self.safety_changes = 0
        """How often shields or guardrails came, changed or went."""
        self.found: dict[tuple[str, str, str], Any] = {}
        """What was found in it for a verb, a name and a tenant, by whoever asks the same again; forgotten with each
        change."""
        self.unreadable: dict[str, str] = {}
        """Keys of models and routes whose body this version cannot read, and why. They resolve to nothing."""
        self.apply(resources)

    def replace(self, resources: Iterable[Resource]) -> None:
        """Forget everything and begin with `resources`."""
        self._rows.clear()
        self._scopes.clear()
        self._routes = 0
        self.caching = 0
        self.guarded = 0
        self.safety_changes += 1
        self.unreadable.clear()
        self.apply(resources)

    def apply(self, changed: Iterable[Resource] = (), removed: Iterable[str] = ()) -> None:
        """Take over a change: new and replaced resources, then keys (``<tenant>/<kind>/<id>``) of removed ones."""
        self.found.clear()
        for resource in changed:
            key = key_of(resource.tenant, resource.kind, resource.id)
            self._drop(key)
            self._rows[key] = resource
            self._routes += resource.kind is ResourceKind.ROUTE
            self.caching += _always_cached(resource)
            self.guarded += resource.kind is ResourceKind.GUARDRAIL
            self.safety_changes += resource.kind in _SAFETY
            self._add(key, resource)
        for key in removed:
            self._drop(key)

    def resolve(self, model: str, tenant: str = DEFAULT_TENANT) -> ModelTarget:
        """The target of the name a client wrote. Raises ModelNotFound with what could have been meant."""
        scopes = self._visible(tenant)
        for scope in scopes:
            target = scope.models.get(model)
            if target is not None:
                return target
        for scope in scopes:
            found = scope.qualified.get(model)
            if found:
                return next(iter(found.values()))
        target = self._by_short_name(model, scopes) or self._unlisted(model, scopes)
        if target is None:
            raise self._unknown(model, tenant)
        return target

    def route(self, name: str, tenant: str = DEFAULT_TENANT) -> Route | None:
        """The route of that name; None when the name is a model's, or nobody's."""
        if not self._routes:
            return None  # most have none, and this is asked for each request
        for scope in self._visible(tenant):
            if name in scope.models:
                return None
            route = scope.routes.get(name)
            if route is not None:
                return route
        return None

    def routes(self, tenant: str = DEFAULT_TENANT) -> list[Resource]:
        """Every route the tenant may use, by id; a tenant's own hides a shared one of the same id."""
        seen: dict[str, Resource] = {}
        for scope in self._visible(tenant):
            for name, route in scope.routes.items():
                seen.setdefault(name, route.resource)
        return [seen[name] for name in sorted(seen)]

    def type_of(self, provider_id: str, resource_id: str, tenant: str = DEFAULT_TENANT) -> ModelType | None:
        """What a provider's model is for, by the provider's own id of it; None when it is not registered."""
        for scope in self._visible(tenant):
            for target in scope.qualified.get(f"{provider_id}/{resource_id}", {}).values():
                return target.model_type
        return None

    def models(self, tenant: str = DEFAULT_TENANT) -> list[Resource]:
        """Every model the tenant may use, by id; a tenant's own hides a shared one of the same id."""
        seen: dict[str, Resource] = {}
        for scope in self._visible(tenant):
            for name, target in scope.models.items():
                if target.resource is not None:
                    seen.setdefault(name, target.resource)
        return [seen[name] for name in sorted(seen)]

    def providers(self, tenant: str = DEFAULT_TENANT) -> list[Resource]:
        """Every provider the tenant may use, by id."""
        seen: dict[str, Resource] = {}
        for scope in self._visible(tenant):
            for name, resource in scope.providers.items():
                seen.setdefault(name, resource)
        return [seen[name] for name in sorted(seen)]

    def provider(self, id: str, tenant: str = DEFAULT_TENANT) -> Resource | None:
        """One provider the tenant may use."""
        for scope in self._visible(tenant):
            if id in scope.providers:
                return scope.providers[id]
        return None

    def shield(self, id: str, tenant: str = DEFAULT_TENANT) -> Resource | None:
        """One shield the tenant may use. A shared one hides its own of the same id, unlike everywhere else: what holds
        for everybody must not be replaced by one of them."""
        shields = [scope.safety[ResourceKind.SHIELD] for scope in reversed(self._visible(tenant))]
        return next((rows[id] for rows in shields if id in rows), None)

    def shields(self, tenant: str = DEFAULT_TENANT) -> list[Resource]:
        """Every shield the tenant may use, by id."""
        seen: dict[str, Resource] = {}
        for scope in self._visible(tenant):
            seen |= scope.safety[ResourceKind.SHIELD]
        return [seen[name] for name in sorted(seen)]

    def guardrails(self, tenant: str = DEFAULT_TENANT) -> list[Resource]:
        """Every guardrail that holds for the tenant, the shared ones first: none hides another."""
        scopes = reversed(self._visible(tenant))
        return [row for scope in scopes for _, row in sorted(scope.safety[ResourceKind.GUARDRAIL].items())]

    def all_providers(self) -> Iterator[Resource]:
        """The providers of every tenant: what a worker may be asked to serve."""
        for scope in self._scopes.values():
            yield from scope.providers.values()

    def _visible(self, tenant: str) -> tuple[_Scope, ...]:
        shared = self._scopes.get(DEFAULT_TENANT)
        own = self._scopes.get(tenant) if tenant != DEFAULT_TENANT else None
        return tuple(scope for scope in (own, shared) if scope is not None)

    def _add(self, key: str, resource: Resource) -> None:
        scope = self._scopes.setdefault(resource.tenant, _Scope())
        scope.size += 1
        if resource.kind is ResourceKind.PROVIDER:
            scope.providers[resource.id] = resource
            if _takes_unlisted(resource):
                scope.unlisted.add(resource.id)
            return
        if resource.kind in scope.safety:
            scope.safety[resource.kind][resource.id] = resource
            return
        try:
            if resource.kind is ResourceKind.ROUTE:
                scope.routes[resource.id] = Route(resource, RouteSpec.model_validate(resource.body))
            if resource.kind is not ResourceKind.MODEL:
                return
            spec = resource.model
        except ValidationError as error:
            self.unreadable[key] = str(error)
            return
        if spec.disabled:
            scope.disabled.add(resource.id)
            return
        target = ModelTarget(spec.provider_id, spec.provider_resource_id, spec.model_type, resource)
        scope.models[resource.id] = target
        for names, name in _names(scope, spec):
            names.setdefault(name, {})[resource.id] = target

    def _drop(self, key: str) -> None:
        resource = self._rows.pop(key, None)
        self.unreadable.pop(key, None)
        if resource is None:
            return
        self._routes -= resource.kind is ResourceKind.ROUTE
        self.caching -= _always_cached(resource)
        self.guarded -= resource.kind is ResourceKind.GUARDRAIL
        self.safety_changes += resource.kind in _SAFETY
        scope = self._scopes[resource.tenant]
        scope.size -= 1
        if scope.size == 0:
            del self._scopes[resource.tenant]
            return
        if resource.kind is ResourceKind.PROVIDER:
            scope.providers.pop(resource.id, None)
            scope.unlisted.discard(resource.id)
            return
        if resource.kind is ResourceKind.ROUTE:
            scope.routes.pop(resource.id, None)
            return
        if resource.kind in scope.safety:
            scope.safety[resource.kind].pop(resource.id, None)
            return
        scope.disabled.discard(resource.id)
        if scope.models.pop(resource.id, None) is not None:
            for names, name in _names(scope, resource.model):
                left = names[name]
                left.pop(resource.id, None)
                if not left:
                    del names[name]

    def _by_short_name(self, model: str, scopes: tuple[_Scope, ...]) -> ModelTarget | None:
        for scope in scopes:
            found = scope.aliases.get(model)
            if found:
                return self._only(model, found)
        for scope in scopes:
            found = scope.bare.get(model)
            if found:
                return self._only(model, found)
        return None

    @staticmethod
    def _unlisted(model: str, scopes: tuple[_Scope, ...]) -> ModelTarget | None:
        provider_id, _, name = model.partition("/")
        if name and not any(model in scope.disabled for scope in scopes):
            for scope in scopes:
                if provider_id in scope.unlisted:
                    return ModelTarget(provider_id, name, ModelType.LLM, None)
        return None

    @staticmethod
    def _only(model: str, found: dict[str, ModelTarget]) -> ModelTarget:
        targets = [target for target in found.values() if target.resource_id == model] or list(found.values())
        if len({(target.provider_id, target.resource_id) for target in targets}) == 1:
            return targets[0]
        ids = sorted(found)
        raise ModelNotFound(
            f"The model '{model[:MAX_QUOTED]}' is ambiguous: {_listed(ids)} would do. Write one of these ids.",
            param="model",
        )

    def _unknown(self, model: str, tenant: str) -> ModelNotFound:
        shown = f"The model '{model[:MAX_QUOTED]}' does not exist."
        ids = [resource.id for resource in (*self.models(tenant), *self.routes(tenant))]
        if not ids:
            hint = (
                "There is no model yet: name a provider in the stack file (caravan.yaml), its models are then "
                "found by themselves, or register one with POST /v1/models."
            )
        elif near := _near(model[:MAX_QUOTED], ids):
            hint = f"Did you mean {_listed(near, 'or')}?"
        elif len(ids) <= MAX_LISTED:
            hint = f"There {'is' if len(ids) == 1 else 'are'} {_listed(ids)}."
        else:
            hint = f"GET /v1/models lists the {len(ids)} models there are."
        return ModelNotFound(f"{shown} {hint}", param="model")


def _always_cached(resource: Resource) -> bool:
    cache = resource.body.get("cache")
    return isinstance(cache, dict) and cache.get("mode") == "always"


def _takes_unlisted(provider: Resource) -> bool:
    config = provider.body.get("config")
    said = config.get("allow_unlisted") if isinstance(config, dict) else None
    return provider.body.get("provider_type") in UNLISTED_TYPES if said is None else said is True


def _names(scope: _Scope, spec: ModelSpec) -> Iterator[tuple[Named, str]]:
    """Every name of a model beside its own id, and the index it belongs to."""
    own = spec.provider_resource_id
    for name in {own, own.removesuffix(LATEST)}:
        yield scope.qualified, f"{spec.provider_id}/{name}"
        yield scope.bare, name
    for alias in set(spec.aliases):
        yield scope.aliases, alias


def _near(model: str, ids: list[str]) -> list[str]:
    """At most three of `ids` that look like `model`, best first."""
    wanted = model.casefold()
    if not wanted:
        return []
    bare = wanted.rpartition("/")[2] or wanted
    holding = [name for name in ids if bare in name.casefold()]
    names: dict[str, str] = {}
    for candidate in (holding + ids)[:MAX_COMPARED]:
        folded = candidate.casefold()
        names.setdefault(folded, candidate)
        names.setdefault(folded.partition("/")[2] or folded, candidate)
    close = difflib.get_close_matches(wanted, names, n=6, cutoff=0.6)
    picked = list(dict.fromkeys(names[name] for name in close))
    if len(picked) < 3 and len(bare) >= 3:
        picked = list(dict.fromkeys((*picked, *holding[:3])))
    return picked[:3]


def _listed(ids: list[str], word: str = "and") -> str:
    """``'a', 'b' and 'c'``, cut when there are many."""
    shown = [f"'{name}'" for name in ids[:MAX_LISTED]]
    if len(ids) > MAX_LISTED:
        return f"{', '.join(shown)} and {len(ids) - MAX_LISTED} more"
    if len(shown) == 1:
        return shown[0]
    return f"{', '.join(shown[:-1])} {word} {shown[-1]}"
