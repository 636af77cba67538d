"""Which guardrails concern a request, and what they demand of it. Made anew when the registry changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import orjson
from caravan_contracts.context import DEFAULT_TENANT, Principal
from caravan_contracts.errors import InvalidRequest, ModelNotFound, Unavailable
from caravan_contracts.registry import Resource
from caravan_contracts.safety import Action, GuardrailCheck, GuardrailSpec, OnFailure, Stage
from pydantic import ValidationError

from caravan_bus.catalog import Catalog

OTHER: Final = "other"
"""The label of guardrails of tenants: names that anybody may choose are no labels."""
_MOST_KEPT: Final = 1024
"""Policies that are remembered."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a guardrail."""

    guardrail: str
    check: GuardrailCheck
    visible: bool
    message: str
    digest: str
    """SHA-256, hex, of what it demands and of what its shields are."""
    label: str
    """In metrics."""

    @property
    def gates(self) -> bool:
        """Whether anything waits for its verdicts."""
        return self.check.action is not Action.OBSERVE

    @property
    def open(self) -> bool:
        """Whether a text passes when there is no verdict."""
        return self.check.on_failure is OnFailure.OPEN or not self.gates


Rules = tuple[Rule, ...]


@dataclass(frozen=True)
class Policy:
    """What holds for a request."""

    rules: Rules

    @cached_property
    def _at(self) -> dict[Stage, Rules]:
        return {stage: tuple(rule for rule in self.rules if stage in rule.check.stages) for stage in Stage}

    @cached_property
    def digest(self) -> str:
        """SHA-256, hex: another one when the same answer might pass no more."""
        return hashlib.sha256("".join(rule.digest for rule in self.rules).encode()).hexdigest()

    def gating(self, stage: Stage) -> Rules:
        """The rules whose verdicts a text of this stage waits for."""
        return tuple(rule for rule in self._at[stage] if rule.gates)

    def observing(self, stage: Stage) -> Rules:
        """Those that only look."""
        return tuple(rule for rule in self._at[stage] if not rule.gates)

    def looks_at(self, *stages: Stage) -> bool:
        """Whether there is any rule for one of these."""
        return any(self._at[stage] for stage in stages)


class Policies:
    """One per process."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._changes = -1
        self._specs: dict[tuple[str, str], GuardrailSpec] = {}
        self._known: dict[tuple[object, ...], Policy | None] = {}

    def of(self, catalog: Catalog, names: Iterable[str], principal: Principal) -> Policy | None:
        """What holds for requests of `principal` for a model with these names: what the client wrote, and the ids of
        all that may answer; None when nothing does. Raises InvalidRequest when it asks for a guardrail that there is
        not, and Unavailable for one that this version cannot read."""
        if principal.unguarded or not (catalog.guarded or principal.guardrails):
            return None
        if catalog is not self._catalog or catalog.safety_changes != self._changes:
            self._catalog, self._changes = catalog, catalog.safety_changes
            self._specs.clear()
            self._known.clear()
        names = frozenset(names)
        key = (principal.tenant, principal.subject, principal.guardrails, names)
        if key not in self._known:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[key] = self._made(catalog, names, principal)
        return self._known[key]

    def _made(self, catalog: Catalog, names: frozenset[str], principal: Principal) -> Policy | None:
        rows = catalog.guardrails(principal.tenant)
        for wanted in principal.guardrails:
            if not any(row.id == wanted for row in rows):
                raise InvalidRequest(
                    f"there is no guardrail '{wanted}': name those of your administrator", param="X-Caravan-Guardrails"
                )
        rules = [
            _rule(catalog, row, check, spec, principal.tenant)
            for row in rows
            if concerns(spec := self._spec(row), row.id, names, principal)
            for check in spec.checks
        ]
        return Policy(tuple(rules)) if rules else None

    def _spec(self, row: Resource) -> GuardrailSpec:
        key = (row.tenant, row.id)
        if key not in self._specs:
            try:
                self._specs[key] = GuardrailSpec.model_validate(row.body)
            except ValidationError as error:
                raise Unavailable(f"the guardrail '{row.id}' cannot be read by this version") from error
        return self._specs[key]


def concerns(spec: GuardrailSpec, id: str, names: frozenset[str], principal: Principal) -> bool:
    """Whether a guardrail is about a request."""
    if spec.on_request and id not in principal.guardrails:
        return False
    if spec.subjects and principal.subject not in spec.subjects:
        return False
    return not spec.models or any(_fits(model, name) for model in spec.models for name in names)


def names_of(catalog: Catalog, model: str, tenant: str) -> set[str]:
    """What a model may be called by guardrails: as it was written, and all that may answer for it."""
    route = catalog.route(model, tenant)
    wanted = [(model, tenant)] if route is None else [(target.model, route.tenant) for target in route.spec.targets]
    made = {model}
    for name, owner in wanted:
        try:
            target = catalog.resolve(name, owner)
        except ModelNotFound:
            continue  # what is not there does not answer
        made |= {target.id, f"{target.provider_id}/{target.resource_id}"}
    return made


def _rule(catalog: Catalog, row: Resource, check: GuardrailCheck, spec: GuardrailSpec, tenant: str) -> Rule:
    shields = [_body(catalog.shield(name, tenant)) for name in check.shields]
    said = [row.id, check.model_dump(mode="json"), shields, spec.message]
    digest = hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
    label = row.id if row.tenant == DEFAULT_TENANT else OTHER
    return Rule(row.id, check, spec.visible, spec.message, digest, label)


def _body(shield: Resource | None) -> object:
    return None if shield is None else shield.body


def _fits(pattern: str, name: str) -> bool:
    """Whether a name is of that form; ``*`` stands for any characters. No expression: one with many stars would take as
    long as whoever chooses the name wants."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, last = rest
    end = len(name) - len(last)
    at = len(first)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
