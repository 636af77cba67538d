"""What workers find at providers: models come and go by it, and providers get a status."""

from __future__ import annotations

import logging

from caravan_contracts.errors import NotFound
from caravan_contracts.registry import (
    DiscoveredModel,
    ModelSpec,
    ReportModels,
    Resource,
    ResourceKind,
    Source,
)

from caravan_registry import bodies, rules
from caravan_registry.store import Change

log = logging.getLogger(__name__)

MAX_MESSAGE = 500


async def take(change: Change, report: ReportModels) -> None:
    """Bring the provider's discovered models to what the report says; equal reports change nothing.

    An error keeps the models: a provider that is down for a while has not lost them. Raises NotFound.
    """
    provider = await change.provider(report.provider_id)
    if provider is None:
        raise NotFound(f"there is no provider {report.provider_id[:80]!r} any more", param="provider_id")
    spec = provider.provider
    message = "".join(c if c.isprintable() else " " for c in report.message)[:MAX_MESSAGE]
    if (spec.status, spec.status_message) != (report.status, message):
        await change.set_status(provider, report.status, message)
    if report.status == "ok":
        await _replace_models(change, provider, report.models)


async def _replace_models(change: Change, provider: Resource, found: list[DiscoveredModel]) -> None:
    tenant = provider.tenant
    there = {model.id: model for model in await change.models_of(provider.id) if model.tenant == tenant}
    listed = {f"{provider.id}/{model.id}": model for model in found}
    for name, model in listed.items():
        spec = ModelSpec(
            provider_id=provider.id,
            provider_resource_id=model.id,
            model_type=model.model_type,
            metadata=model.metadata,
        )
        before = there.get(name)
        if before is not None and (before.source is not Source.DISCOVERED or before.model.disabled):
            continue  # registered by hand, or deleted by hand
        body = bodies.of_model(spec)
        if before is not None and before.body == body:
            continue
        if reason := rules.id_problem(model.id) or rules.id_problem(name) or rules.json_problem(model.metadata):
            log.warning("a model of provider %s is left out: %s", provider.id, reason)
            continue
        await change.put(tenant, ResourceKind.MODEL, name, Source.DISCOVERED, body)
    await change.remove(
        model
        for name, model in there.items()
        if model.source is Source.DISCOVERED and not model.model.disabled and name not in listed
    )
