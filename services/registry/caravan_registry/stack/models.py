"""The models of a stack file: names and facts beside what the providers list by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caravan_contracts.registry import ModelSpec, ModelType

from caravan_registry import rules
from caravan_registry.stack import keys
from caravan_registry.stack.document import Entry
from caravan_registry.stack.expansion import expand
from caravan_registry.stack.problems import Problems, did_you_mean
from caravan_registry.stack.providers import DISABLED, Providers


def read(
    entries: list[Entry], providers: Providers, environ: Mapping[str, str], problems: Problems
) -> dict[str, ModelSpec]:
    """The models by id. Those of a provider that the environment left out are left out too."""
    specs: dict[str, ModelSpec] = {}
    names: set[str] = set()
    for item in entries:
        found = keys.fields(item, keys.MODEL, keys.IGNORED_MODEL, "a model", problems)
        if not found:
            continue
        if "id" not in found:
            problems.error(item, "a model needs an id")
            continue
        values = {name: expand(entry, environ, problems, literal=False) for name, entry in found.items()}
        if values["id"] in (None, "", DISABLED):
            continue
        name = str(values["id"])
        if reason := rules.id_problem(name):
            problems.error(found["id"], reason)
            continue
        spec = _spec(name, item, found, values, providers, problems)
        if spec is None:
            continue
        for taken in sorted({name, *spec.aliases} & names):
            problems.error(found["id"], f"{taken!r} is the name of another model already")
        names |= {name, *spec.aliases}
        specs[name] = spec
    return specs


def _spec(
    name: str,
    item: Entry,
    found: Mapping[str, Entry],
    values: Mapping[str, Any],
    providers: Providers,
    problems: Problems,
) -> ModelSpec | None:
    before = len(problems.errors)
    provider = _provider(name, values, providers)
    if provider is None:
        if "provider" in found and values["provider"] in (None, "", DISABLED, *providers.left_out):
            return None
        _complain(item, found, values, providers, problems)
    kind = str(values.get("type") or ModelType.LLM)
    if kind not in list(ModelType):
        hint = did_you_mean(kind, list(ModelType))
        problems.error(found["type"], f"a model's type is one of {', '.join(ModelType)}, not {kind!r}.{hint}")
    aliases = values.get("aliases") or []
    if not isinstance(aliases, list):
        problems.error(found["aliases"], "aliases should be a list")
    elif reason := rules.aliases_problem([str(alias) for alias in aliases]):
        problems.error(found["aliases"], reason)
    metadata = values.get("metadata") or {}
    if not isinstance(metadata, dict):
        problems.error(found["metadata"], "metadata should be a mapping (key: value)")
    elif reason := rules.metadata_problem(metadata):
        problems.error(found["metadata"], reason)
    if len(problems.errors) > before or provider is None:
        return None
    own = values.get("provider_model_id")
    return ModelSpec(
        provider_id=provider,
        provider_resource_id=name.removeprefix(f"{provider}/") if own in (None, "") else str(own),
        model_type=ModelType(kind),
        aliases=[str(alias) for alias in aliases],
        metadata=metadata,
    )


def _provider(name: str, values: Mapping[str, Any], providers: Providers) -> str | None:
    """The provider as written, as the id begins, or the only one there is."""
    written = values.get("provider")
    if written is not None:
        return str(written) if str(written) in providers.specs else None
    prefix, slash, _ = name.partition("/")
    if slash and prefix in providers.specs:
        return prefix
    return next(iter(providers.specs)) if len(providers.specs) == 1 else None


def _complain(
    item: Entry, found: Mapping[str, Entry], values: Mapping[str, Any], providers: Providers, problems: Problems
) -> None:
    if "provider" in found:
        written = str(values["provider"])
        there = f"There are: {', '.join(providers.specs) or 'none'}."
        hint = did_you_mean(written, providers.specs) or f" {there}"
        problems.error(found["provider"], f"there is no provider {written!r} in this file.{hint}")
    else:
        problems.error(item, "a model needs a provider: the id of one of the providers above")
