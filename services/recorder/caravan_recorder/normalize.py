"""Which requests are the same: the key of a recording, and where two requests differ."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import orjson

VOLATILE: Final = frozenset(
    ("user", "metadata", "stream_options", "safety_identifier", "prompt_cache_key", "store", "stream", "model")
)
"""Fields that say nothing of the answer's words. `model` and `stream` count as the provider hears them."""
KEY_LENGTH: Final = 32
_EXACT: Final = 2**53

Normalized = dict[str, Any]


def normalized(
    verb: str, model: str, stream: bool, body: Mapping[str, Any], ignore: Collection[str] = ()
) -> Normalized:
    """A request without what may differ between two equal ones: volatile fields, those of `ignore`, nulls, and the
    spelling of whole numbers. `model` is the provider's own id. Messages stay as they are."""
    fields = {
        name: _plain(value)
        for name, value in body.items()
        if value is not None and name not in VOLATILE and name not in ignore
    }
    return {"verb": verb, "model": model, "stream": stream, "body": fields}


def key_of(request: Normalized) -> str:
    """The key under which a request is looked up: hex, the same for any order of keys."""
    return hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()[:KEY_LENGTH]


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Paths (``messages[1].content``) at which two normalized requests differ, as they are met."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            below = name if path in ("", "body") else f"{path}.{name}"
            if name in one and name in other:
                yield from differences(one[name], other[name], below)
            else:
                yield below
    elif isinstance(one, list) and isinstance(other, list):
        for i, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from differences(left, right, f"{path}[{i}]")
        if len(one) != len(other):
            yield f"{path}[{min(len(one), len(other))}]"
    elif one != other or isinstance(one, bool) is not isinstance(other, bool):
        yield path


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value
