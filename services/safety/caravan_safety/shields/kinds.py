"""Which kinds of shields there are, and where."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.safety import ShieldSpec

from caravan_safety.shields.base import Shield
from caravan_safety.shields.parts import Parts

GROUP: Final = "caravan.shields"
"""Entry points: ``<provider type> = package.module:Class``."""
OURS: Final[Mapping[str, str]] = {
    "inline::keywords": "keywords:Keywords",
    "inline::pii": "pii:Pii",
    "inline::secrets": "secrets:Secrets",
    "inline::injection-rules": "injection_rules:InjectionRules",
    "inline::llama-guard": "llama_guard:LlamaGuard",
    "inline::llm-judge": "llm_judge:LlmJudge",
    "inline::cascade": "cascade:Cascade",
    "inline::code-scanner": "code_scanner:CodeScanner",
    "inline::presidio": "presidio:Presidio",
    "inline::prompt-guard": "prompt_guard:PromptGuard",
    "remote::openai-moderation": "openai_moderation:OpenAIModeration",
    "remote::classifier": "classifier:Classifier",
    "remote::webhook": "webhook:Webhook",
}


@lru_cache(maxsize=1)
def known() -> Mapping[str, str]:
    """Every provider type and where its class is; ours win."""
    theirs = {found.name: found.value for found in entry_points(group=GROUP)}
    return theirs | {kind: f"{__package__}.{place}" for kind, place in OURS.items()}


def make(spec: ShieldSpec, parts: Parts) -> Shield:
    """A shield of `spec`. Raises InvalidRequest, and Unavailable when its package is missing."""
    place = known().get(spec.provider_type)
    if place is None:
        raise InvalidRequest(
            f"there is no shield of type {spec.provider_type[:80]!r}; there are {', '.join(sorted(known()))}",
            param="provider_type",
        )
    module, _, name = place.partition(":")
    kind: Any = getattr(import_module(module), name)
    made: Shield = kind.make(spec, parts)
    return made
