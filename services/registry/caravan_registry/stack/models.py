"""The models of a stack file: names and facts beside what the providers list by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caravan_contracts.caching import Cache
from caravan_contracts.registry import ModelSpec, ModelType
from pydantic import ValidationError

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
        if not _are_words(found, values, problems):
            continue
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
    if provider is None and "provider" in found:
        written = values["provider"]
        if written in (None, "", DISABLED, *providers.left_out):
            return None
        if str(written) not in providers.broken:
            there = f" There are: {', '.join(providers.specs) or 'none'}."
            hint = did_you_mean(str(written), providers.specs) or there
            problems.error(found["provider"], f"there is no provider {str(written)!r} in this file.{hint}")
    elif provider is None:
        problems.error(item, "a model needs a provider: the id of one of the providers above")
    kind = str(values.get("type") or ModelType.LLM)
    if kind not in list(ModelType):
        hint = did_you_mean(kind, list(ModelType))
        problems.error(found["type"], f"a model's type is one of {', '.join(ModelType)}, not {kind!r}.{hint}")
    aliases = _aliases(found, values, problems)
    metadata = _metadata(found, values, problems)
    cache = _cache(found, values, problems)
    if len(problems.errors) > before or provider is None:
        return None
    own = values.get("provider_model_id")
    return ModelSpec(
        provider_id=provider,
        provider_resource_id=name.removeprefix(f"{provider}/") if own in (None, "") else str(own),
        model_type=ModelType(kind),
        aliases=aliases,
        metadata=metadata,
        cache=cache,
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


def _are_words(found: Mapping[str, Entry], values: Mapping[str, Any], problems: Problems) -> bool:
    good = True
    for name in ("id", "provider", "provider_model_id", "type"):
        if isinstance(values.get(name), dict | list):
            problems.error(found[name], "this should be one word")
            good = False
    return good


def _aliases(found: Mapping[str, Entry], values: Mapping[str, Any], problems: Problems) -> list[str]:
    written = values.get("aliases") or []
    if not isinstance(written, list) or any(isinstance(alias, dict | list) for alias in written):
        problems.error(found["aliases"], "aliases should be a list of words")
        return []
    aliases = [str(alias) for alias in written]
    if reason := rules.aliases_problem(aliases):
        problems.error(found["aliases"], reason)
    return aliases


def _cache(found: Mapping[str, Entry], values: Mapping[str, Any], problems: Problems) -> Cache | None:
    written = values.get("cache")
    if written is None:
        return None
    if not isinstance(written, dict):
        problems.error(found["cache"], "cache should be a mapping (mode, seconds)")
        return None
    for key in found["cache"].value:
        if key not in Cache.model_fields:
            hint = did_you_mean(key, Cache.model_fields)
            problems.error(found["cache"].key(key), f"a model's cache has no key {key!r}.{hint}")
    try:
        return Cache.model_validate(written)
    except ValidationError as error:
        for mistake in error.errors():
            where = found["cache"].value.get(mistake["loc"][0], found["cache"]) if mistake["loc"] else found["cache"]
            problems.error(where, f"cache.{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}")
        return None


def _metadata(found: Mapping[str, Entry], values: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    metadata = values.get("metadata") or {}
    if not isinstance(metadata, dict):
        problems.error(found["metadata"], "metadata should be a mapping (key: value)")
        return {}
    if reason := rules.metadata_problem(metadata):
        problems.error(found["metadata"], reason)
    return metadata
