"""Which class serves which provider type: derived from the modules of this package and from entry points.

A package of somebody else joins by an entry point of the group ``caravan.providers``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from caravan_contracts.errors import InvalidRequest

from caravan_inference import providers
from caravan_inference.providers.any_llm.names import missing
from caravan_inference.providers.base import Provider, ProviderOptions

GROUP = "caravan.providers"


@cache
def classes() -> dict[str, type[Provider]]:
    """Provider type -> class."""
    made: dict[str, type[Provider]] = {}
    for found in _candidates():
        for name in found.types:
            made[name] = found
    return made


def create(options: ProviderOptions) -> Provider:
    """A provider, not yet started. Raises InvalidRequest for a type nobody serves, or a wrong configuration."""
    found = classes().get(options.type)
    if found is None:
        known = ", ".join(sorted(classes()))
        hint = f"; {wanting}" if (wanting := missing(options.type)) else ""
        raise InvalidRequest(f"provider {options.id!r}: no such type {options.type!r}{hint}; known are {known}")
    return found(options)


def _candidates() -> Iterator[type[Provider]]:
    for info in pkgutil.iter_modules(providers.__path__):
        if info.name not in ("base", "discover"):
            yield from _in_module(importlib.import_module(f"{providers.__name__}.{info.name}"))
    for point in entry_points(group=GROUP):
        yield point.load()


def _in_module(module: Any) -> Iterator[type[Provider]]:
    for value in vars(module).values():
        if isinstance(value, type) and getattr(value, "types", None) and hasattr(value, "run"):
            yield value
