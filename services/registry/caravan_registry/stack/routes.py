"""The routes of a stack file: one name for several models, in an order or by weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from caravan_contracts.registry import ModelSpec
from caravan_contracts.routes import RouteSpec
from pydantic import ValidationError

from caravan_registry import routes as written
from caravan_registry import rules
from caravan_registry.stack import keys
from caravan_registry.stack.document import Entry
from caravan_registry.stack.expansion import expand
from caravan_registry.stack.problems import Problems, did_you_mean
from caravan_registry.stack.providers import DISABLED, Providers

_NOTHING = (None, "", DISABLED)


def read(
    entries: list[Entry],
    providers: Providers,
    models: Mapping[str, ModelSpec],
    environ: Mapping[str, str],
    problems: Problems,
) -> dict[str, RouteSpec]:
    """The routes by id. Targets that the environment leaves empty are left out, and so is a route without any."""
    specs: dict[str, RouteSpec] = {}
    places: dict[str, tuple[Entry, Entry]] = {}
    names = set(models).union(*(model.aliases for model in models.values()))
    for item in entries:
        found = keys.fields(item, keys.ROUTE, frozenset(), "a route", problems)
        if not found:
            continue
        if "id" not in found or "targets" not in found:
            problems.error(item, "a route needs an id and targets")
            continue
        name = expand(found["id"], environ, problems, literal=False)
        if name in _NOTHING:
            continue
        if reason := _id_problem(name, names, specs):
            problems.error(found["id"], reason)
            continue
        body = Entry({key: part for key, part in found.items() if key != "id"}, item.line, item.column, item.keys)
        spec, kept = _spec(str(name), body, environ, problems)
        if spec is not None:
            specs[str(name)] = spec
            places[str(name)] = found["id"], kept
    for name, (_, targets) in places.items():
        _check_targets(specs[name], targets, specs, names, providers, problems)
    return specs


def _id_problem(name: Any, names: set[str], routes: Mapping[str, RouteSpec]) -> str:
    if isinstance(name, dict | list):
        return "this should be one word"
    if str(name) in names:
        return f"{str(name)!r} is the name of a model already: a route needs one of its own"
    if str(name) in routes:
        return f"the route {str(name)!r} stands here twice"
    return rules.id_problem(str(name), "the route's id")


def _spec(name: str, body: Entry, environ: Mapping[str, str], problems: Problems) -> tuple[RouteSpec | None, Entry]:
    """The route and its targets as they stand in the file; None when there is none, or a mistake that was told."""
    before = len(problems.errors)
    values = expand(body, environ, problems, literal=False, secrets=False)
    if len(problems.errors) > before:
        return None, body
    values, body = _without_empty(written.normalized(values), body)
    targets = body.value["targets"]
    if values["targets"] == []:
        problems.warning(targets, f"the route {name!r} is left out: none of its targets is there")
        return None, targets
    for path, reason in written.unknown_keys(values):
        problems.error(_place(body, path, key=True), reason)
    _check_names(name, values, body, problems)
    try:
        made = RouteSpec.model_validate(values)
    except ValidationError as error:
        for mistake in error.errors():
            if mistake["loc"] or len(problems.errors) == before:
                path = mistake["loc"]
                text = mistake["msg"].removeprefix("Value error, ")
                where = ".".join(map(str, path))
                problems.error(_place(body, path or ("targets",)), f"{where}: {text}" if where else text)
    if len(problems.errors) > before:
        return None, targets
    if reason := rules.json_problem(values):
        problems.error(body, reason)
        return None, targets
    return made, targets


def _without_empty(values: dict[str, Any], body: Entry) -> tuple[dict[str, Any], Entry]:
    """Without the targets that came out empty, here and in the rules; the entries go with their values."""
    parts: dict[str, Entry] = dict(body.value)
    made = dict(values)
    if isinstance(made["targets"], list):
        made["targets"], parts["targets"] = _kept(made["targets"], parts["targets"])
    if isinstance(made.get("rules"), list):
        rows: list[Any] = []
        entries: list[Entry] = []
        for rule, entry in zip(made["rules"], parts["rules"].value, strict=True):
            if isinstance(rule, dict) and isinstance(rule.get("targets"), list) and rule["targets"]:
                left, places = _kept(rule["targets"], entry.value["targets"])
                if not left:
                    continue
                rows.append({**rule, "targets": left})
                entries.append(replace(entry, value={**entry.value, "targets": places}))
            else:
                rows.append(rule)
                entries.append(entry)
        made["rules"], parts["rules"] = rows, replace(parts["rules"], value=entries)
    return made, replace(body, value=parts)


def _kept(values: list[Any], entry: Entry) -> tuple[list[Any], Entry]:
    pairs = [
        (value, part)
        for value, part in zip(values, entry.value, strict=True)
        if (value.get("model", "?") if isinstance(value, dict) else value) not in _NOTHING
    ]
    return [value for value, _ in pairs], replace(entry, value=[part for _, part in pairs])


def _check_names(name: str, values: dict[str, Any], body: Entry, problems: Problems) -> None:
    """What the contract would say of the route as a whole, said where it stands."""
    targets = values["targets"] if isinstance(values["targets"], list) else []
    known: list[str] = []
    for place, target in enumerate(targets):
        model = target.get("model") if isinstance(target, dict) else None
        if not isinstance(model, str):
            continue  # validation says so
        reason = written.target_problem(name, model)
        if model in known:
            reason = f"the target {model!r} stands here twice"
        if reason:
            problems.error(_place(body, ("targets", place, "model")), reason)
        known.append(model)
    rows = values.get("rules")
    for number, rule in enumerate(rows if isinstance(rows, list) else []):
        wanted = rule.get("targets") if isinstance(rule, dict) else None
        for place, model in enumerate(wanted if isinstance(wanted, list) else []):
            if isinstance(model, str) and model not in known:
                hint = did_you_mean(model, known) or f" They are: {', '.join(known)}."
                problems.error(
                    _place(body, ("rules", number, "targets", place)),
                    f"the rule's target {model!r} is none of the route's.{hint}",
                )


def _check_targets(
    spec: RouteSpec,
    entry: Entry,
    routes: Mapping[str, RouteSpec],
    names: set[str],
    providers: Providers,
    problems: Problems,
) -> None:
    for target, place in zip(spec.targets, entry.value, strict=True):
        provider, slash, _ = target.model.partition("/")
        if target.model in routes:
            problems.error(place, f"the target {target.model!r} is a route itself: name the models it stands for")
        elif target.model in names or (slash and provider in (*providers.specs, *providers.broken)):
            continue
        elif slash:
            problems.warning(
                place, f"there is no provider {provider!r} in this file: {target.model!r} is used once there is"
            )
        else:
            problems.warning(place, f"{target.model!r} is no model of this file: it is used once a provider lists it")


def _place(entry: Entry, path: tuple[str | int, ...], *, key: bool = False) -> Entry:
    """Where `path` leads, or as far as it does; with `key`, the key at its end instead of its value."""
    for place, part in enumerate(path):
        if isinstance(entry.value, dict) and part in entry.value:
            if key and place == len(path) - 1:
                return entry.key(str(part))
            entry = entry.value[part]
        elif isinstance(entry.value, list) and isinstance(part, int) and part < len(entry.value):
            entry = entry.value[part]
        else:
            break
    return entry
