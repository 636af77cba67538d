"""Llama Stack's InterleavedContent, as every generation writes it, in OpenAI's parts."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

_KINDS: Final = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}
"""How files of these types begin, in base64."""
_URLS: Final = ("http://", "https://", "data:")


def parts(content: Any, where: str) -> str | list[dict[str, Any]]:
    """Text alone stays text. Raises InvalidRequest, whose `param` begins with `where`."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content, places = [content], [where]
    elif isinstance(content, list):
        places = [f"{where}.{number}" for number in range(len(content))]
    else:
        raise _wrong(where)
    made = [_part(item, place) for item, place in zip(content, places, strict=True)]
    return made[0]["text"] if len(made) == 1 and made[0]["type"] == "text" else made


def text(content: Any, where: str) -> str:
    """Where only text may stand. Pieces are joined by a space, as Llama Stack does. Raises InvalidRequest."""
    made = parts(content, where)
    if isinstance(made, str):
        return made
    if any(part["type"] != "text" for part in made):
        raise InvalidRequest(f"'{where}' should be text: images can only be sent in a chat", param=where)
    return " ".join(part["text"] for part in made)


def _part(item: Any, where: str) -> dict[str, Any]:
    if isinstance(item, str):
        return {"type": "text", "text": item}
    if not isinstance(item, dict):
        raise _wrong(where)
    if item.get("type") == "image_url":
        return item
    if "image" in item or item.get("type") == "image":
        return {"type": "image_url", "image_url": {"url": _image(item.get("image", item), where)}}
    if isinstance(item.get("text"), str):
        return {"type": "text", "text": item["text"]}
    raise _wrong(where)


def _image(image: Any, where: str) -> str:
    """Its URL. `image` is text (a URL, or base64), an object with `uri`, or one with `url` or `data`."""
    if isinstance(image, dict):
        found = next((image[name] for name in ("uri", "url", "data") if image.get(name)), None)
        if isinstance(found, dict):
            found = found.get("uri")
        image = found
    if not isinstance(image, str) or not image:
        raise InvalidRequest(f"'{where}' should name its image: a 'url' with a 'uri', or 'data' in base64", param=where)
    if image.startswith(_URLS):
        return image
    kind = next((kind for begin, kind in _KINDS.items() if image.startswith(begin)), "image/png")
    return f"data:{kind};base64,{image}"


def _wrong(where: str) -> InvalidRequest:
    return InvalidRequest(f"'{where}' should be text, an image, or a list of them", param=where, code="invalid_type")
