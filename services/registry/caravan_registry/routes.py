"""Routes as people write them: a target may be a plain word, and a key that does not exist is a mistake.

The contract ignores unknown fields, so that versions can differ by one. Here a person wrote them, and a misspelt
timeout that is silently none would be found on the day it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from caravan_contracts.routes import RouteSpec
from pydantic import BaseModel

from caravan_registry import rules
from caravan_registry.stack.problems import did_you_mean

Path = tuple[str | int, ...]


def normalized(body: dict[str, Any]) -> dict[str, Any]:
    """With targets that are plain words as objects, and the `off` that YAML takes for `false` as the word."""
    targets, cache = body.get("targets"), body.get("cache")
    if isinstance(targets, list):
        body = {**body, "targets": [{"model": part} if isinstance(part, str) else part for part in targets]}
    if isinstance(cache, dict) and cache.get("mode") is False:
        body = {**body, "cache": {**cache, "mode": "off"}}
    return body


def unknown_keys(body: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Where a key stands that means nothing, and what to say of it."""
    yield from _unknown(RouteSpec, body, ())


def target_problem(route: str, target: str) -> str:
    """What is wrong with one target's name, or ""."""
    if target == route:
        return f"the target {target[:80]!r} is the route itself: write <provider>/<model>"
    return rules.id_problem(target, "a target")


def _unknown(kind: type[BaseModel], value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(value, dict):
        return  # validation says what should stand here
    for key, below in value.items():
        field = kind.model_fields.get(key)
        if field is None:
            where = ".".join(map(str, path)) or "a route"
            yield (*path, key), f"{where} has no key {str(key)[:80]!r}.{did_you_mean(str(key), kind.model_fields)}"
        elif (inner := _model_in(field.annotation)) is not None:
            parts = enumerate(below) if isinstance(below, list) else [("", below)]
            for place, part in parts:
                yield from _unknown(inner, part, (*path, key) if place == "" else (*path, key, place))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model a field holds, alone or in a list."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None
