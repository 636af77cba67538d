"""``--set KEY=VALUE``: settings of a provider as written on the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from caravan.errors import StartError

_MEANT_AS_JSON = ("{", "[", '"')


def read(typed: Iterable[str] = (), texts: Iterable[str] = ()) -> dict[str, Any]:
    """The settings of `typed` (values that are JSON are read as JSON) and `texts` (values stay text), as one object.

    A dot in a key goes one level down: ``a.b=1`` and ``a.c=2`` are ``{"a": {"b": 1, "c": 2}}``. Raises
    :class:`StartError` for what is no KEY=VALUE, and for a key that is given twice or both as a value and a table.
    """
    made: dict[str, Any] = {}
    for text in typed:
        key, value = _split("--set", text)
        _place("--set", made, key, _value(key, value))
    for text in texts:
        key, value = _split("--set-string", text)
        _place("--set-string", made, key, value)
    return made


def _split(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise StartError(f"{option} {text!r}: write KEY=VALUE.")
    if not all(part.strip() == part != "" for part in key.split(".")):
        raise StartError(f"{option}: {key!r} is no key. Write KEY=VALUE, and a.b=VALUE for b inside a.")
    return key, value


def _value(key: str, text: str) -> Any:
    """`text` as JSON, else as it is. The messages do not repeat it: it may be a secret by mistake."""
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise StartError(f"--set {key}: the JSON value is nested too deeply.") from error
    except ValueError as error:
        if not text.lstrip().startswith(_MEANT_AS_JSON):
            return text
        where = f" ({error.msg} at character {error.pos + 1})" if isinstance(error, json.JSONDecodeError) else ""
        raise StartError(
            f"--set {key}: the value begins like JSON but is none{where}. Correct it, or use --set-string for text."
        ) from error


def _finite(text: str) -> float:
    """A number that JSON can carry; NaN and 1e999 are text."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _place(option: str, into: dict[str, Any], key: str, value: Any) -> None:
    *outer, last = key.split(".")
    for depth, part in enumerate(outer, 1):
        into = into.setdefault(part, {})
        if not isinstance(into, dict):
            raise StartError(f"{option} {key}: {'.'.join(outer[:depth])} has a value already, which is no table.")
    if last in into:
        raise StartError(f"{option} {key}: {key} is given twice.")
    into[last] = value
