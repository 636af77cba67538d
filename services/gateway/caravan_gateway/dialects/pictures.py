"""Pictures in base64, as OpenAI takes them: in a URL that says what they are."""

from __future__ import annotations

from typing import Any, Final

_BEGINNINGS: Final = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklGR": "image/webp"}
"""Of the files, in base64."""


def kind_of(data: str) -> str:
    """The media type that the data's first bytes tell; a JPEG when they tell none."""
    return next((kind for begins, kind in _BEGINNINGS.items() if data.startswith(begins)), "image/jpeg")


def part(data: str, kind: str = "") -> dict[str, Any]:
    """A part of a message's content."""
    return {"type": "image_url", "image_url": {"url": f"data:{kind or kind_of(data)};base64,{data}"}}
