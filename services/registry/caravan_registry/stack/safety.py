"""The shields and guardrails of a stack file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from caravan_contracts.safety import GuardrailSpec, ShieldSpec
from pydantic import BaseModel, ValidationError

from caravan_registry import rules
from caravan_registry.stack import keys
from caravan_registry.stack.document import Entry
from caravan_registry.stack.expansion import expand
from caravan_registry.stack.problems import Problems, did_you_mean
from caravan_registry.stack.providers import DISABLED

Spec = TypeVar("Spec", bound=BaseModel)
_NOTHING = (None, "", DISABLED)


def shields(entries: list[Entry], environ: Mapping[str, str], problems: Problems) -> dict[str, ShieldSpec]:
    """By id, their secrets still references. One whose id comes out empty is left out."""
    made: dict[str, ShieldSpec] = {}
    for item, name, values in _named(entries, keys.SHIELD, "a shield", made, environ, problems):
        provider = values.pop("provider_id", "")  # Llama Stack's: its providers of shields are kinds of ours
        if provider and "provider_type" not in values:
            values["provider_type"] = provider if "::" in str(provider) else f"inline::{provider}"
        spec = _spec(ShieldSpec, values, item, problems)
        if spec is None:
            continue
        if reason := rules.shield_problem(spec):
            problems.error(item, reason)
        made[name] = spec
    return made


def guardrails(
    entries: list[Entry], known: Mapping[str, ShieldSpec], environ: Mapping[str, str], problems: Problems
) -> dict[str, GuardrailSpec]:
    """By id. Shields that the environment leaves out are left out of their checks, and so is a check without any."""
    made: dict[str, GuardrailSpec] = {}
    for item, name, values in _named(entries, keys.GUARDRAIL, "a guardrail", made, environ, problems):
        if reason := rules.guardrail_id_problem(name):
            problems.error(item, reason)
        spec = _spec(GuardrailSpec, _without_empty(values), item, problems)
        if spec is None:
            continue
        for shield in (shield for line in spec.checks for shield in line.shields):
            if shield not in known:
                hint = did_you_mean(shield, known)
                problems.error(item, f"the guardrail's shield {shield!r} is none of this file.{hint}")
        made[name] = spec
    return made


def _named(
    entries: list[Entry],
    known: Mapping[str, str],
    what: str,
    made: Mapping[str, Any],
    environ: Mapping[str, str],
    problems: Problems,
) -> list[tuple[Entry, str, dict[str, Any]]]:
    rows: list[tuple[Entry, str, dict[str, Any]]] = []
    names: set[str] = set(made)
    for item in entries:
        found = keys.fields(item, known, frozenset(), what, problems)
        if not found:
            continue
        if "id" not in found:
            problems.error(item, f"{what} needs an id")
            continue
        before = len(problems.errors)
        name = expand(found.pop("id"), environ, problems, literal=False)
        if name in _NOTHING or len(problems.errors) > before:
            continue
        reason = f"{name!r} stands here twice" if str(name) in names else rules.id_problem(str(name), "the id")
        if reason:
            problems.error(item, reason)
            continue
        names.add(str(name))
        values = {key: expand(part, environ, problems) for key, part in found.items()}
        if len(problems.errors) == before:
            rows.append((item, str(name), {key: value for key, value in values.items() if value is not None}))
    return rows


def _spec(kind: Callable[..., Spec], values: dict[str, Any], item: Entry, problems: Problems) -> Spec | None:
    try:
        return kind(**values)
    except ValidationError as error:
        for mistake in error.errors():
            where = ".".join(map(str, mistake["loc"]))
            problems.error(
                item, f"{where}: {mistake['msg'].removeprefix('Value error, ')}" if where else mistake["msg"]
            )
        return None


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    checks = values.get("checks")
    if not isinstance(checks, list):
        return values
    kept = []
    for line in checks:
        if isinstance(line, dict) and isinstance(line.get("shields"), list):
            left = [shield for shield in line["shields"] if shield not in _NOTHING]
            if line["shields"] and not left:
                continue
            line = {**line, "shields": left}  # noqa: PLW2901 - the file's own stays as it is
        kept.append(line)
    return {**values, "checks": kept}
