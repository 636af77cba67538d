"""Bodies of resources as they are stored: checked, complete, and without what only workers say."""

from __future__ import annotations

from typing import Any

from caravan_contracts import references
from caravan_contracts.context import DEFAULT_TENANT
from caravan_contracts.errors import InvalidRequest, PermissionDenied, SecretInConfig
from caravan_contracts.registry import ModelSpec, ProviderSpec
from caravan_contracts.routes import RouteSpec

from caravan_registry import routes, rules
from caravan_registry.errors import parse, refuse


def of_provider(spec: ProviderSpec) -> dict[str, Any]:
    """The stored body of a provider: its status is kept beside it."""
    return spec.model_dump(mode="json", exclude={"status", "status_message"})


def of_model(spec: ModelSpec) -> dict[str, Any]:
    """The stored body of a model."""
    return spec.model_dump(mode="json")


def of_route(spec: RouteSpec) -> dict[str, Any]:
    """The stored body of a route: complete, so that a later version's defaults change no route that stands."""
    return spec.model_dump(mode="json")


def checked_provider(tenant: str, id: str, body: dict[str, Any]) -> ProviderSpec:
    """A provider that somebody asks for. Raises InvalidRequest, SecretInConfig or PermissionDenied."""
    refuse(rules.json_problem(body), "body")
    spec = parse(ProviderSpec, body, "body")
    refuse(rules.provider_id_problem(id), "id")
    refuse(rules.provider_type_problem(spec.provider_type), "body.provider_type")
    refuse(rules.config_problem(spec.config), "body.config")
    for path in references.literal_secrets(spec.config, "config"):
        key = path.rpartition(".")[2]
        raise SecretInConfig(
            f"{path} is a secret written out: set an environment variable where the workers run and write "
            f'"{key}": "${{env.NAME}}", or name a file of theirs with "{key}_file"',
            param=f"body.{path}",
        )
    _check_references(spec.config)
    if tenant != DEFAULT_TENANT and (reason := rules.tenant_problem(tenant, spec.provider_type, spec.config)):
        raise PermissionDenied(reason, param="body.config")
    return spec


def checked_model(id: str, body: dict[str, Any]) -> ModelSpec:
    """A model that somebody asks for. Raises InvalidRequest."""
    refuse(rules.json_problem(body), "body")
    spec = parse(ModelSpec, body, "body")
    refuse(rules.id_problem(id), "id")
    refuse(rules.id_problem(spec.provider_resource_id, "the provider's own model id"), "body.provider_resource_id")
    refuse(rules.aliases_problem(spec.aliases), "body.aliases")
    refuse(rules.metadata_problem(spec.metadata), "body.metadata")
    return spec


def checked_route(id: str, body: dict[str, Any]) -> RouteSpec:
    """A route that somebody asks for; its targets may join later. Raises InvalidRequest."""
    refuse(rules.json_problem(body), "body")
    refuse(rules.id_problem(id, "the route's id"), "id")
    body = routes.normalized(body)
    for path, reason in routes.unknown_keys(body):
        raise InvalidRequest(reason, param=".".join(["body", *map(str, path)])[:200])
    spec = parse(RouteSpec, body, "body")
    for place, target in enumerate(spec.targets):
        refuse(routes.target_problem(id, target.model), f"body.targets.{place}")
    return spec


def _check_references(value: Any) -> None:
    if isinstance(value, dict):
        for part in value.values():
            _check_references(part)
    elif isinstance(value, list):
        for part in value:
            _check_references(part)
    elif isinstance(value, str):
        try:
            references.check(value)
        except references.BadReference as error:
            raise InvalidRequest(str(error), param="body.config") from error
