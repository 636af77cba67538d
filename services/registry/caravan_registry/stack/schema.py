"""The stack file as JSON Schema, so that editors complete and check it."""

from __future__ import annotations

from typing import Any

from caravan_contracts.registry import ModelType
from caravan_contracts.routes import RouteSpec
from caravan_contracts.safety import GuardrailSpec, ShieldSpec
from caravan_contracts.webhooks import WebhookSpec

from caravan_registry.stack.providers import KNOWN_TYPES

_REFERENCE = {"type": "string", "pattern": r"\$\{env\.[A-Z0-9_]+"}
_TEXT_OR_EMPTY = {"type": ["string", "null"]}
_SHIELD_IDS = ("id", "shield_id", "identifier")


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. Our own layout in full; the keys of Llama Stack's layout are allowed beside it."""
    provider = {"$ref": "#/$defs/provider"}
    model = {"$ref": "#/$defs/model"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Caravan stack file",
        "description": "Which providers, models and routes a mesh begins with.",
        "type": "object",
        "properties": {
            "version": {"enum": [1, 2, "1", "2"]},
            "providers": {
                "description": "Where models run.",
                "anyOf": [
                    {"type": "array", "items": provider},
                    {"type": "object", "properties": {"inference": {"type": "array", "items": provider}}},
                    {"type": "null"},
                ],
            },
            "models": {
                "description": "Names and facts beside what the providers list by themselves.",
                "type": ["array", "null"],
                "items": model,
            },
            "routes": {
                "description": "One name for several models: which is asked first, and what is done when it fails.",
                "type": ["array", "null"],
                "items": {"$ref": "#/$defs/route"},
            },
            "webhooks": {
                "description": "Endpoints that are told when a response has ended.",
                "type": ["array", "null"],
                "items": {"$ref": "#/$defs/webhook"},
            },
            "shields": {
                "description": "What looks at texts.",
                "type": ["array", "null"],
                "items": {"$ref": "#/$defs/shield"},
            },
            "guardrails": {
                "description": "Which shields look at what of whose requests, and what is done about it.",
                "type": ["array", "null"],
                "items": {"$ref": "#/$defs/guardrail"},
            },
            "registered_resources": {
                "type": ["object", "null"],
                "properties": {
                    "models": {"type": ["array", "null"], "items": model},
                    "shields": {"type": ["array", "null"], "items": {"$ref": "#/$defs/shield"}},
                },
            },
        },
        "$defs": {"provider": _provider(), "model": _model(), "webhook": _webhook(), **_routes(), **_safety()},
    }


def _provider() -> dict[str, Any]:
    name = {
        **_TEXT_OR_EMPTY,
        "description": "Unique; empty (as ${env.X:+name} is when X is unset) leaves it out.",
    }
    kind = {"anyOf": [{"enum": list(KNOWN_TYPES)}, {"type": "string", "pattern": "^(remote|inline)::."}, _REFERENCE]}
    return {
        "type": "object",
        "properties": {
            "id": name,
            "provider_id": name,
            "type": kind,
            "provider_type": kind,
            "config": {
                "type": ["object", "null"],
                "description": "Options of the provider. Secrets are references or files, never written out.",
                "properties": {
                    "base_url": {"type": "string", "description": "Where /chat/completions lies."},
                    "url": {"type": "string", "description": "The same as base_url."},
                    "api_key": {**_REFERENCE, "description": "${env.NAME}"},
                    "api_key_file": {"type": "string", "description": "A file the worker reads."},
                    "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                    "allow_unlisted": {"type": "boolean", "description": "Route models it does not list."},
                    "messages": {"type": "boolean", "description": "Whether it speaks Anthropic's Messages API, too."},
                },
            },
            "slots": {
                "anyOf": [{"type": "integer", "minimum": 1}, _REFERENCE],
                "description": "Requests one worker runs at once against it.",
            },
            "module": {"type": "string"},
        },
        "anyOf": [{"required": ["type"]}, {"required": ["provider_type"]}],
        "additionalProperties": False,
    }


def _model() -> dict[str, Any]:
    kind = {"anyOf": [{"enum": [kind.value for kind in ModelType]}, _REFERENCE]}
    return {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"], "description": "The name clients write."},
            "model_id": {"type": ["string", "null"]},
            "identifier": {"type": ["string", "null"]},
            "provider": {"type": ["string", "null"], "description": "The id of a provider."},
            "provider_id": {"type": ["string", "null"]},
            "provider_model_id": {"type": ["string", "null"], "description": "The provider's own name of it."},
            "provider_resource_id": {"type": ["string", "null"]},
            "type": kind,
            "model_type": kind,
            "aliases": {"type": "array", "items": {"type": "string"}},
            "metadata": {
                "type": "object",
                "properties": {
                    "context_length": {"type": ["integer", "string"]},
                    "embedding_dimension": {"type": ["integer", "string"]},
                },
            },
            "cache": {"anyOf": [{"$ref": "#/$defs/Cache"}, {"type": "null"}]},
            "model_validation": {"type": ["boolean", "null"]},
        },
        "anyOf": [{"required": ["id"]}, {"required": ["model_id"]}, {"required": ["identifier"]}],
        "additionalProperties": False,
    }


def _routes() -> dict[str, Any]:
    """Derived from the contract: a field that is added there can be written at once."""
    made = RouteSpec.model_json_schema(ref_template="#/$defs/{model}")
    parts: dict[str, Any] = made.pop("$defs")
    name = {**_TEXT_OR_EMPTY, "description": "The name clients write as `model`; empty leaves the route out."}
    route = {
        **made,
        "properties": {"id": name, "name": name, **made["properties"]},
        "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
    }
    targets = route["properties"]["targets"]
    targets["items"] = {"anyOf": [{**_TEXT_OR_EMPTY, "description": "The target's model."}, targets["items"]]}
    for part in (route, *parts.values()):
        if part.get("type") == "object":
            part["additionalProperties"] = False
            part["properties"] = {key: _or_reference(value) for key, value in part["properties"].items()}
    return {"route": route, **parts}


def _webhook() -> dict[str, Any]:
    """Derived from the contract as well."""
    made = WebhookSpec.model_json_schema()
    fields = {name: _or_reference(value) for name, value in made["properties"].items()}
    fields["url"] |= _TEXT_OR_EMPTY
    fields["secret"] = {**_REFERENCE, "description": fields["secret"]["description"]}
    return {**made, "properties": fields, "additionalProperties": False}


def _safety() -> dict[str, Any]:
    """Derived from the contract as well."""
    shield = ShieldSpec.model_json_schema()
    fields = shield["properties"]
    names = {name: {**_TEXT_OR_EMPTY, "description": "Unique; empty leaves it out."} for name in _SHIELD_IDS}
    shield["properties"] = {
        **names,
        "type": fields["provider_type"],
        "provider_id": {"type": "string", "description": "Llama Stack's: llama-guard means inline::llama-guard."},
        **fields,
        "model": fields["provider_shield_id"],
    }
    shield.pop("required", None)
    shield["anyOf"] = [{"required": [name]} for name in _SHIELD_IDS]
    guardrail = GuardrailSpec.model_json_schema(ref_template="#/$defs/{model}")
    parts: dict[str, Any] = guardrail.pop("$defs")
    guardrail["properties"] = {"id": names["id"], **guardrail["properties"]}
    guardrail["required"] = ["id", *guardrail["required"]]
    for part in (guardrail, *parts.values()):
        if part.get("type") == "object":
            part["properties"] = {key: _or_reference(value) for key, value in part["properties"].items()}
    return {"shield": {**shield, "additionalProperties": False}, "guardrail": guardrail, **parts}


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """A number, a switch or a choice may come from the environment."""
    options = schema.get("anyOf") or [schema]
    if not any("enum" in option or option.get("type") in ("integer", "number", "boolean") for option in options):
        return schema
    rest = {key: value for key, value in schema.items() if key in ("title", "description", "default")}
    bare = [{key: value for key, value in option.items() if key not in rest} for option in options]
    return {**rest, "anyOf": [*bare, _REFERENCE]}
