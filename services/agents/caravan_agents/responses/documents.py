"""Plain text that came as a file: models are told it as text, which every provider takes."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from caravan_contracts.files import plain_name

_URL: Final = re.compile(r"data:(?P<type>[^;,]*)(?:;[^;,]*)*?;base64,")
_FENCE: Final = re.compile(r"`{3,}")
_TYPES: Final = frozenset(
    (
        "application/json",
        "application/jsonl",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/javascript",
        "application/x-sh",
        "application/sql",
    )
)
_ENDINGS: Final = re.compile(
    r"\.(txt|md|markdown|csv|tsv|jsonl?|xml|ya?ml|toml|ini|log|html?|css|js|ts|py|rb|go|rs|java|c|h|cpp|hpp|cs|php|sh|sql"
    r"|tex|rst)\Z",
    re.IGNORECASE,
)


def inlined(file_data: str, filename: str) -> str | None:
    """A file, given as a data URL or as plain Base64, in a frame with its name; None when it is no text (UTF-8)."""
    url = _URL.match(file_data)
    media = url["type"].strip().lower() if url else ""
    if not (media.startswith("text/") or media in _TYPES or _ENDINGS.search(filename)):
        return None
    try:
        text = base64.b64decode(file_data[url.end() if url else 0 :], validate=True).decode("utf-8-sig")
    except (binascii.Error, ValueError):
        return None
    fence = max([*_FENCE.findall(text), "``"], key=len) + "`"
    return f"{fence}{plain_name(filename) if filename else 'file'}\n{text}\n{fence}"
