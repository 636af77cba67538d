"""The providers of a stack file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.registry import ProviderSpec

from caravan_registry import rules
from caravan_registry.stack import keys
from caravan_registry.stack.document import Entry
from caravan_registry.stack.expansion import expand
from caravan_registry.stack.problems import Problems, did_you_mean

DISABLED: Final = "__disabled__"
_REMOTE: Final = (
    "anthropic azure cerebras databricks deepseek fireworks gemini groq llama-cpp-server llama.cpp lmstudio mistral "
    "nvidia ollama openai openai-compatible openrouter passthrough sambanova tgi together vllm"
)
KNOWN_TYPES: Final = (
    *(f"remote::{name}" for name in _REMOTE.split()),
    "inline::llama-cpp",
    "inline::onnx-embeddings",
)
"""For hints and editors only: a worker may have been given more."""
_ANY_LLM: Final = "remote::any-llm-"


@dataclass(frozen=True, slots=True)
class Providers:
    """What was found: by id, the ids that an unset variable left out, and those whose mistakes are told already."""

    specs: dict[str, ProviderSpec]
    left_out: frozenset[str]
    broken: frozenset[str]


def read(entry: Entry | None, environ: Mapping[str, str], problems: Problems) -> Providers:
    """The providers under `providers`, a list or a mapping of APIs to lists."""
    specs: dict[str, ProviderSpec] = {}
    left_out: set[str] = set()
    broken: set[str] = set()
    for item in _entries(entry, problems):
        found = keys.fields(item, keys.PROVIDER, keys.IGNORED_PROVIDER, "a provider", problems)
        if not found:
            continue
        kind = _text(found.get("type"), environ, problems)
        name = _id(found, kind, environ, problems)
        if name is None:
            left_out.add(kind.partition("::")[2])
            continue
        if name in specs:
            problems.error(found.get("id", item), f"the provider {name!r} stands here twice: give each its own id")
            continue
        spec = _spec(item, found, kind, environ, problems)
        if spec is not None and (reason := rules.provider_id_problem(name)):
            problems.error(found.get("id", item), reason)
        elif spec is not None:
            specs[name] = spec
        else:
            broken.add(name)
    return Providers(specs, frozenset(left_out), frozenset(broken))


def _near(kind: str) -> str:
    """The type that was probably meant; "" for one that is known or like none: a worker may have any-llm's."""
    if kind in KNOWN_TYPES or kind.startswith(_ANY_LLM):
        return ""
    names = {known.partition("::")[2]: known for known in KNOWN_TYPES}
    near = difflib.get_close_matches(kind.partition("::")[2], names, n=1, cutoff=0.8)
    return names[near[0]] if near else ""


def _entries(entry: Entry | None, problems: Problems) -> list[Entry]:
    if entry is None or not isinstance(entry.value, dict):
        return keys.items(entry, "providers", problems)
    for key in entry.value:
        if key in keys.IGNORED_APIS:
            problems.warning(entry.key(key), f"providers.{key} is not used by Caravan, only providers.inference is")
        elif key != "inference":
            hint = did_you_mean(key, ("inference",))
            problems.error(entry.key(key), f"providers has no key {key!r}: write a list, or 'inference'.{hint}")
    return keys.items(entry.value.get("inference"), "providers.inference", problems)


def _text(entry: Entry | None, environ: Mapping[str, str], problems: Problems) -> str:
    if entry is None:
        return ""
    value = expand(entry, environ, problems)
    if isinstance(value, dict | list):
        problems.error(entry, "this should be one word")
        return ""
    return "" if value is None else str(value)


def _id(found: Mapping[str, Entry], kind: str, environ: Mapping[str, str], problems: Problems) -> str | None:
    """The id, by default the type's name; None when the environment left the provider out."""
    if "id" not in found:
        return kind.partition("::")[2]
    name = _text(found["id"], environ, problems)
    return name if name and name != DISABLED else None


def _spec(
    item: Entry, found: Mapping[str, Entry], kind: str, environ: Mapping[str, str], problems: Problems
) -> ProviderSpec | None:
    before = len(problems.errors)
    if "type" not in found:
        problems.error(item, "a provider needs a type, such as remote::openai")
    elif reason := rules.provider_type_problem(kind):
        problems.error(found["type"], reason)
    elif near := _near(kind):
        problems.warning(found["type"], f"no provider of type {kind!r} comes with Caravan. Did you mean {near!r}?")
    config: Any = {}
    if "config" in found and found["config"].value is not None:
        config = expand(found["config"], environ, problems)
        if not isinstance(config, dict):
            problems.error(found["config"], "config should be a mapping (key: value)")
        elif reason := rules.config_problem(config):
            problems.error(found["config"], reason)
    slots = expand(found["slots"], environ, problems) if "slots" in found else None
    if slots is not None and (not isinstance(slots, int) or isinstance(slots, bool) or slots < 1):
        problems.error(found["slots"], "slots should be a whole number above 0")
    if len(problems.errors) > before:
        return None
    return ProviderSpec(provider_type=kind, config=config, slots=slots)
