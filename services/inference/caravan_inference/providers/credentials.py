"""The keys that callers bring for a provider themselves (header ``X-OGX-Provider-Data`` and its older names)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_ENDINGS = ("_api_key", "_api_token")


def callers_key(credentials: Mapping[str, str], names: Sequence[str]) -> str:
    """The value of ``<name>_api_key`` for the first of `names` that has one, in any case; "" when none has."""
    if not credentials:
        return ""
    given = {_plain(name): value for name, value in credentials.items()}
    for name in names:
        for ending in _ENDINGS:
            if key := given.get(_plain(name) + ending):
                return key
    return ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
