"""Settings in a JSON file."""

from __future__ import annotations

import json
from typing import Any

from caravan.connecting.base import CannotMerge, Tool


def write(settings: dict[str, Any]) -> str:
    """As a file."""
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"


def merge(tool: Tool, text: str, settings: dict[str, Any]) -> str:
    """`text` with `settings` in it: objects are merged, None removes, all else is replaced (RFC 7396). Raises
    CannotMerge."""
    try:
        there = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise CannotMerge(tool, f"The settings of {tool.title} are not plain JSON ({error})") from error
    if not isinstance(there, dict):
        raise CannotMerge(tool, f"The settings of {tool.title} are no JSON object")
    return write(_merged(there, settings))


def _merged(there: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    made = dict(there)
    for name, value in settings.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, dict):
            old = made.get(name)
            made[name] = _merged(old if isinstance(old, dict) else {}, value)
        else:
            made[name] = value
    return made
