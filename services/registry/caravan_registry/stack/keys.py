"""Which keys may stand where, in our own layout and in the one of Llama Stack and OGX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from caravan_contracts.routes import RouteSpec
from caravan_contracts.safety import GuardrailSpec
from caravan_contracts.webhooks import WebhookSpec

from caravan_registry.stack.document import Entry
from caravan_registry.stack.problems import Problems, did_you_mean

TOP: Final = {
    "version": "version",
    "providers": "providers",
    "models": "models",
    "routes": "routes",
    "webhooks": "webhooks",
    "shields": "shields",
    "guardrails": "guardrails",
    "registered_resources": "registered_resources",
}
PROVIDER: Final = {
    "id": "id",
    "provider_id": "id",
    "type": "type",
    "provider_type": "type",
    "config": "config",
    "slots": "slots",
}
MODEL: Final = {
    "id": "id",
    "model_id": "id",
    "identifier": "id",
    "provider": "provider",
    "provider_id": "provider",
    "provider_model_id": "provider_model_id",
    "provider_resource_id": "provider_model_id",
    "type": "type",
    "model_type": "type",
    "aliases": "aliases",
    "metadata": "metadata",
    "cache": "cache",
}
ROUTE: Final = {"id": "id", "name": "id", **{name: name for name in RouteSpec.model_fields}}
WEBHOOK: Final = {name: name for name in WebhookSpec.model_fields}
SHIELD: Final = {
    "id": "id",
    "shield_id": "id",
    "identifier": "id",
    "type": "provider_type",
    "provider_type": "provider_type",
    "provider_id": "provider_id",
    "provider_shield_id": "provider_shield_id",
    "model": "provider_shield_id",
    "params": "params",
}
GUARDRAIL: Final = {"id": "id", **{name: name for name in GuardrailSpec.model_fields}}
RESOURCES: Final = {"models": "models", "shields": "shields"}

IGNORED_TOP: Final = frozenset(
    [
        "apis",
        "batches",
        "benchmarks",
        "built_at",
        "cache_store",
        "connectors",
        "container_image",
        "conversations_store",
        "datasets",
        "distro_name",
        "eval_tasks",
        "external_apis_dir",
        "external_providers_dir",
        "image_name",
        "image_type",
        "inference_store",
        "logging",
        "logging_config",
        "memory_banks",
        "metadata_store",
        "safety",
        "scoring_fns",
        "server",
        "storage",
        "telemetry",
        "tool_groups",
        "vector_dbs",
        "vector_stores",
    ]
)
"""Keys of the other layout that mean nothing here: named in a warning, for the file would not do all it says."""
IGNORED_APIS: Final = frozenset(
    [
        "agents",
        "batches",
        "connectors",
        "conversations",
        "datasetio",
        "eval",
        "file_processors",
        "files",
        "files_search",
        "interactions",
        "memory",
        "messages",
        "post_training",
        "prompts",
        "responses",
        "safety",
        "scoring",
        "skills",
        "telemetry",
        "tool_runtime",
        "vector_io",
    ]
)
IGNORED_RESOURCES: Final = frozenset(
    [
        "benchmarks",
        "datasets",
        "eval_tasks",
        "prompts",
        "scoring_fns",
        "tool_groups",
        "vector_dbs",
        "vector_stores",
    ]
)
IGNORED_PROVIDER: Final = frozenset({"module"})
IGNORED_MODEL: Final = frozenset({"model_validation"})


def fields(
    entry: Entry, known: Mapping[str, str], ignored: frozenset[str], what: str, problems: Problems
) -> dict[str, Entry]:
    """The values of a mapping under our own names for its keys; what is unknown, doubled or ignored is told."""
    if not isinstance(entry.value, dict):
        problems.error(entry, f"{what} should be a mapping (key: value)")
        return {}
    found: dict[str, Entry] = {}
    for key, value in entry.value.items():
        name = known.get(key)
        if name is None:
            if key in ignored:
                problems.warning(entry.key(key), f"{key!r} is not used by Caravan")
            else:
                problems.error(entry.key(key), f"{what} has no key {key!r}.{did_you_mean(key, known)}")
        elif name in found:
            problems.error(entry.key(key), f"{key!r} says the same as another key here")
        else:
            found[name] = value
    return found


def items(entry: Entry | None, what: str, problems: Problems) -> list[Entry]:
    """The entries of a list; nothing for a key without a value."""
    if entry is None or entry.value is None:
        return []
    if not isinstance(entry.value, list):
        problems.error(entry, f"{what} should be a list (lines that begin with -)")
        return []
    return entry.value
