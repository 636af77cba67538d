"""A stack file, read as a whole."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caravan_contracts import references
from caravan_contracts.registry import ModelSpec, ProviderSpec
from caravan_contracts.routes import RouteSpec
from caravan_contracts.safety import GuardrailSpec, ShieldSpec
from caravan_contracts.webhooks import WebhookSpec

from caravan_registry.stack import keys, models, providers, routes, safety, webhooks
from caravan_registry.stack.document import Entry, parse
from caravan_registry.stack.problems import Problem, Problems, StackError
from caravan_registry.stack.sources import read_text

log = logging.getLogger(__name__)

_VERSIONS = ("1", "2")


@dataclass(frozen=True, slots=True)
class Stack:
    """What a mesh begins with; references to secrets are still references."""

    source: str
    """The file's path or the ready-made stack's name."""
    providers: dict[str, ProviderSpec] = field(default_factory=dict)
    models: dict[str, ModelSpec] = field(default_factory=dict)
    routes: dict[str, RouteSpec] = field(default_factory=dict)
    webhooks: list[WebhookSpec] = field(default_factory=list)
    """Checked here; the agents services read them out of the file themselves."""
    shields: dict[str, ShieldSpec] = field(default_factory=dict)
    guardrails: dict[str, GuardrailSpec] = field(default_factory=dict)


def load(path_or_name: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Stack:
    """The stack; the default one for None. Raises StackError with every mistake; warnings are logged."""
    stack, problems = _read(path_or_name, environ)
    if problems.errors:
        raise StackError(stack.source, problems.errors)
    for problem in problems.found:
        log.warning("%s:%d: %s", stack.source, problem.line, problem.message)
    return stack


def check(path_or_name: str | Path | None = None, environ: Mapping[str, str] | None = None) -> list[Problem]:
    """Every mistake and every warning, by line. Raises nothing: a file that cannot be read is a problem too."""
    try:
        _, problems = _read(path_or_name, environ)
    except StackError as error:
        return error.problems
    return sorted(problems.found)


def effective(path_or_name: str | Path | None = None, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the stack comes to, in its own layout, fit to be shown. Raises StackError."""
    stack = load(path_or_name, environ)
    return {
        "providers": [
            {
                "id": name,
                "type": spec.provider_type,
                **({"config": references.redact(spec.config)} if spec.config else {}),
                **({"slots": spec.slots} if spec.slots else {}),
            }
            for name, spec in stack.providers.items()
        ],
        "models": [
            {
                "id": name,
                "provider": spec.provider_id,
                "provider_model_id": spec.provider_resource_id,
                "type": spec.model_type.value,
                **({"aliases": spec.aliases} if spec.aliases else {}),
                **({"metadata": spec.metadata} if spec.metadata else {}),
            }
            for name, spec in stack.models.items()
        ],
        "routes": [
            {"id": name, **spec.model_dump(mode="json", exclude_defaults=True)} for name, spec in stack.routes.items()
        ],
        **(
            {"webhooks": [hook.model_dump(mode="json", exclude_defaults=True) for hook in stack.webhooks]}
            if stack.webhooks
            else {}
        ),
        **_safety(stack),
    }


def _safety(stack: Stack) -> dict[str, Any]:
    shields = [
        {
            "id": name,
            "type": spec.provider_type,
            **({"provider_shield_id": spec.provider_shield_id} if spec.provider_shield_id else {}),
            **({"params": references.redact(spec.params)} if spec.params else {}),
        }
        for name, spec in stack.shields.items()
    ]
    guardrails = [
        {"id": name, **spec.model_dump(mode="json", exclude_defaults=True)} for name, spec in stack.guardrails.items()
    ]
    return {key: rows for key, rows in (("shields", shields), ("guardrails", guardrails)) if rows}


def _read(path_or_name: str | Path | None, environ: Mapping[str, str] | None) -> tuple[Stack, Problems]:
    environment = os.environ if environ is None else environ
    source, text = read_text(path_or_name)
    problems = Problems()
    root = parse(text, problems)
    if root is None:
        return Stack(source), problems
    top = keys.fields(root, keys.TOP, keys.IGNORED_TOP, "a stack file", problems)
    _check_version(top.get("version"), problems)
    found = providers.read(top.get("providers"), environment, problems)
    entries = keys.items(top.get("models"), "models", problems)
    shielding = keys.items(top.get("shields"), "shields", problems)
    registered = top.get("registered_resources")
    if registered is not None and registered.value is not None:
        below = keys.fields(registered, keys.RESOURCES, keys.IGNORED_RESOURCES, "registered_resources", problems)
        entries = entries + keys.items(below.get("models"), "registered_resources.models", problems)
        shielding = shielding + keys.items(below.get("shields"), "registered_resources.shields", problems)
    named = models.read(entries, found, environment, problems)
    rows = keys.items(top.get("routes"), "routes", problems)
    routed = routes.read(rows, found, named, environment, problems)
    hooks = webhooks.read(keys.items(top.get("webhooks"), "webhooks", problems), environment, problems)
    shields = safety.shields(shielding, environment, problems)
    lines = keys.items(top.get("guardrails"), "guardrails", problems)
    guardrails = safety.guardrails(lines, shields, environment, problems)
    return Stack(source, found.specs, named, routed, hooks, shields, guardrails), problems


def _check_version(entry: Entry | None, problems: Problems) -> None:
    if entry is not None and str(entry.value).strip("'\"") not in _VERSIONS:
        problems.error(entry, f"version should be one of {', '.join(_VERSIONS)}")
