"""Attributes of files, as clients write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.vectors import MOST_ATTRIBUTES

from caravan_vector.filters import Scalar, check_key, check_value


def check_attributes(given: Mapping[str, Any] | None, param: str = "attributes") -> dict[str, Scalar]:
    """At most 16 pairs, each of a name and a text, number or boolean. Raises InvalidRequest; nothing is dropped."""
    if not given:
        return {}
    if len(given) > MOST_ATTRIBUTES:
        raise InvalidRequest(
            f"{param} may have {MOST_ATTRIBUTES} pairs, not {len(given)}", param=param, code="invalid_attributes"
        )
    return {check_key(key, param): check_value(value, f"{param}.{key}") for key, value in given.items()}
