"""The answer of a tool as text, bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from caravan_agents.tools.mcp.failures import TooLarge


def text_of(result: Mapping[str, Any], most: int) -> str:
    """What a model is told of a result ``{content, structuredContent}`` of the protocol: its texts, and of everything
    else what it is. Raises TooLarge when that has more than `most` bytes."""
    pieces = [_part(part) for part in result.get("content") or ()]
    if not any(pieces) and result.get("structuredContent") is not None:
        pieces = [json.dumps(result["structuredContent"], ensure_ascii=False, separators=(",", ":"))]
    text = "\n".join(pieces).encode("utf-8", "replace")
    if len(text) > most:
        raise TooLarge(most)
    return text.decode()


def _part(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if kind == "text":
        return str(part.get("text", ""))
    if kind in ("image", "audio"):
        return f"[{kind}, {part.get('mimeType') or 'unknown'}, {_size(part.get('data'))} bytes: not shown]"
    if kind == "resource_link":
        name = part.get("title") or part.get("name") or ""
        return f"[resource {name!r}: {part.get('uri')}]"
    if kind == "resource":
        held = part.get("resource") or {}
        if isinstance(held.get("text"), str):
            return str(held["text"])
        kind = held.get("mimeType") or "unknown"
        return f"[resource {held.get('uri')}, {kind}, {_size(held.get('blob'))} bytes: not shown]"
    return f"[{kind}: not shown]"


def _size(base64: str | None) -> int:
    """Bytes that such a text stands for."""
    return len((base64 or "").rstrip("=")) * 3 // 4
