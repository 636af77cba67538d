"""Contents of an interaction as parts of a response's items."""

from __future__ import annotations

from typing import Any

import orjson
from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects import pictures
from caravan_gateway.dialects.base import field


def spoken(content: Any, by_model: bool, where: str) -> dict[str, Any]:
    """A text or a picture. Raises InvalidRequest."""
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "text" or (kind is None and isinstance(content, dict) and "text" in content):
        text = field(content, "text", str, where) or ""
        return {"type": "output_text" if by_model else "input_text", "text": text}
    if kind == "image" and not by_model:
        url = field(content, "uri", str, where)
        data = field(content, "data", str, where) or ""
        named = field(content, "mime_type", str, where) or ""
        return {"type": "input_image", "image_url": url or pictures.part(data, named)["image_url"]["url"]}
    raise InvalidRequest(f"'{where}' should be a text or a picture", param=where, code="invalid_type")


def result_of(result: Any, where: str) -> str:
    """What a function returned, as text. Raises InvalidRequest."""
    if isinstance(result, str):
        return result
    if isinstance(result, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in result):
        return "\n".join(field(part, "text", str, f"{where}.result") or "" for part in result)
    return orjson.dumps(result).decode()
