"""The client's JSON, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from caravan_contracts.errors import InvalidJSON, InvalidRequest

MAX_INPUTS = 2048
"""Texts in one call, as at OpenAI."""

Text = str | list[int]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be embedded, and how the answer is written."""

    inputs: list[Text]
    base64: bool


def read(body: bytes, dimension: int) -> Asked:
    """`dimension` is the model's. Raises InvalidJSON, or InvalidRequest with the field's name."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise InvalidRequest("the body should be a JSON object")
    form = data.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise InvalidRequest("encoding_format should be float or base64", param="encoding_format")
    wanted = data.get("dimensions")
    if wanted is not None and wanted != dimension:
        raise InvalidRequest(
            f"this model makes vectors of {dimension} dimensions and cannot shorten them", param="dimensions"
        )
    return Asked(_inputs(data.get("input")), form == "base64")


def _inputs(given: Any) -> list[Text]:
    """One text or many; one array of tokens or many."""
    single = isinstance(given, str) or (isinstance(given, list) and bool(given) and _is_tokens(given))
    made = [given] if single else given
    if not isinstance(made, list) or not made:
        raise InvalidRequest("input should be text, tokens, or a list of one kind, and not empty", param="input")
    if len(made) > MAX_INPUTS:
        raise InvalidRequest(f"more than {MAX_INPUTS} inputs in one call", param="input")
    for i, item in enumerate(made):
        if not item or not (isinstance(item, str) or (isinstance(item, list) and _is_tokens(item))):
            place = "input" if single else f"input[{i}]"
            raise InvalidRequest(f"{place} should be text or a list of tokens, and not empty", param="input")
    return made


def _is_tokens(items: list[Any]) -> bool:
    return all(isinstance(item, int) and not isinstance(item, bool) for item in items)
