"""When two requests are the same: by what they say, not by how it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from caravan_contracts.inference import Verb

_NO_MATTER: Final = ("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
"""Who asks, and how the provider saves its own work: no model sees them."""


def of_body(
    verb: str,
    body: bytes,
    provider_data: Mapping[str, str] | None = None,
    guardrails: Sequence[str] = (),
    read_as: Sequence[str] = (),
) -> str:
    """SHA-256, hex: equal for bodies (JSON objects that were checked) that say the same, in whatever order of keys and
    with whatever white space, to the same provider keys, by the same guardrails, to be read as the same version."""
    digest = hashlib.sha256(f"{verb}\0".encode())
    digest.update(_canonical(orjson.loads(body), body))
    if provider_data:
        digest.update(b"\0" + orjson.dumps(dict(provider_data), option=orjson.OPT_SORT_KEYS))
    if guardrails:
        digest.update(b"\0\0" + ",".join(guardrails).encode())
    if any(read_as):
        digest.update(b"\0\0\0" + "\0".join(read_as).encode())
    return digest.hexdigest()


def of_answer(verb: Verb, body: bytes, target: str, guardrails: str = "") -> str:
    """SHA-256, hex: equal for requests that may have the same answer; `target` is what their model stands for now,
    `guardrails` those that it has to pass. The model's name counts as well, for it stands in the answer; who asks does
    not."""
    request: dict[str, Any] = orjson.loads(body)
    for name in _NO_MATTER:
        request.pop(name, None)
    said = {name: value for name, value in request.items() if value is not None}
    if not said.get("stream"):
        said.pop("stream", None)
    if not said.get("store"):
        said.pop("store", None)
    digest = hashlib.sha256(f"{verb.value}\0{target}\0{guardrails}\0".encode())
    digest.update(_canonical(said, body))
    return digest.hexdigest()


def _canonical(value: Any, body: bytes) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # it reads deeper nesting than it writes
        return body
