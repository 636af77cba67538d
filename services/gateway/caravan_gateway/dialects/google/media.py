"""Pictures, sound and documents in a request."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects import pictures
from caravan_gateway.dialects.base import field

_SOUND: Final = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def inline(blob: dict[str, Any], where: str) -> dict[str, Any]:
    """A part whose bytes come with it, in base64. Raises InvalidRequest."""
    kind = field(blob, "mimeType", str, where) or ""
    data = (field(blob, "data", str, where) or "").replace("-", "+").replace("_", "/")
    if kind.startswith("image/"):
        return pictures.part(data, kind)
    if kind in _SOUND:
        return {"type": "input_audio", "input_audio": {"data": data, "format": _SOUND[kind]}}
    if kind == "application/pdf":
        return {"type": "file", "file": {"filename": "file.pdf", "file_data": f"data:{kind};base64,{data}"}}
    if kind.startswith("text/"):
        return {"type": "text", "text": _decoded(data, where)}
    raise InvalidRequest(
        f"'{where}.mimeType' should be a picture, audio/wav, audio/mpeg, application/pdf or a text",
        param=f"{where}.mimeType",
    )


def linked(file: dict[str, Any], where: str) -> dict[str, Any]:
    """A part that is a URL. Raises InvalidRequest."""
    url = field(file, "fileUri", str, where) or ""
    kind = field(file, "mimeType", str, where) or "image/"
    if not url.startswith(("https://", "http://", "data:")) or not kind.startswith("image/"):
        raise InvalidRequest(
            f"'{where}' should be the http(s) URL of a picture; send anything else as inlineData", param=where
        )
    return {"type": "image_url", "image_url": {"url": url}}


def _decoded(data: str, where: str) -> str:
    try:
        return b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidRequest(f"'{where}.data' should be text in UTF-8, in base64", param=f"{where}.data") from error
