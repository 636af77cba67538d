"""Bodies of resources as they are stored: checked, complete, and without what only workers say."""

from __future__ import annotations

from typing import Any

from caravan_contracts import references
from caravan_contracts.context import DEFAULT_TENANT
from caravan_contracts.errors import InvalidRequest, PermissionDenied, SecretInConfig
from caravan_contracts.registry import ModelSpec, ProviderSpec
from caravan_contracts.routes import RouteSpec
from caravan_contracts.safety import GuardrailSpec, ShieldSpec

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
    _check_secrets(spec.config, "config")
    _check_references(spec.config, "body.config")
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


def of_shield(spec: ShieldSpec) -> dict[str, Any]:
    """The stored body of a shield; references to secrets are still references."""
    return spec.model_dump(mode="json")


def of_guardrail(spec: GuardrailSpec) -> dict[str, Any]:
    """The stored body of a guardrail: complete, as that of a route."""
    return spec.model_dump(mode="json")


def checked_shield(tenant: str, id: str, body: dict[str, Any]) -> ShieldSpec:
    """A shield that somebody asks for; whether its settings can be used is known where it runs. Raises InvalidRequest,
    SecretInConfig or PermissionDenied."""
    refuse(rules.json_problem(body), "body")
    spec = parse(ShieldSpec, body, "body")
    refuse(rules.id_problem(id, "the shield's id"), "id")
    refuse(rules.shield_problem(spec), "body.provider_type")
    _check_secrets(spec.params, "params")
    _check_references(spec.params, "body.params")
    if tenant != DEFAULT_TENANT and (reason := rules.tenant_secrets_problem(tenant, spec.params, "params")):
        raise PermissionDenied(reason, param="body.params")
    return spec


def checked_guardrail(id: str, body: dict[str, Any]) -> GuardrailSpec:
    """A guardrail that somebody asks for. Raises InvalidRequest."""
    refuse(rules.json_problem(body), "body")
    refuse(rules.id_problem(id, "the guardrail's id"), "id")
    refuse(rules.guardrail_id_problem(id), "id")
    return parse(GuardrailSpec, body, "body")


def _check_secrets(value: dict[str, Any], where: str) -> None:
    for path in references.literal_secrets(value, where):
        key = path.rpartition(".")[2]
        raise SecretInConfig(
            f"{path} is a secret written out: set an environment variable where the workers run and write "
            f'"{key}": "${{env.NAME}}", or name a file of theirs with "{key}_file"',
            param=f"body.{path}",
        )


def _check_references(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for part in value.values():
            _check_references(part, where)
    elif isinstance(value, list):
        for part in value:
            _check_references(part, where)
    elif isinstance(value, str):
        try:
            references.check(value)
        except references.BadReference as error:
            raise InvalidRequest(str(error), param=where) from error
