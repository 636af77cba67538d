"""Google's objects: their fields may be written in either of two ways, as everywhere in JSON of protocol buffers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

_UNDERSCORE: Final = re.compile(r"_([a-z0-9])")


def record(data: Any, where: str) -> dict[str, Any]:
    """`data` with its own fields named like ``inlineData``; of those within it nothing is known here. Raises
    InvalidRequest for what is no object."""
    if not isinstance(data, dict):
        raise InvalidRequest(f"'{where}' should be an object", param=where, code="invalid_type")
    return {_camel(name): value for name, value in data.items()}


def records(data: Any, where: str) -> list[dict[str, Any]]:
    """A list of such objects; one that stands alone is a list of one. Raises InvalidRequest."""
    if data is None:
        return []
    if not isinstance(data, list):
        return [record(data, where)]
    return [record(each, f"{where}[{at}]") for at, each in enumerate(data)]


@lru_cache(maxsize=1024)
def _camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)
