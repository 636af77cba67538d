"""The two routes that take bytes, in the OpenAPI document: they are plain ASGI."""

from __future__ import annotations

from typing import Any

from caravan_contracts.files import PURPOSES

from caravan_gateway.files.receiving import FILES_PATH, PARTS_PATH

_BYTES = {"type": "string", "format": "binary"}


def document() -> dict[str, Any]:
    """By path."""
    file = {
        "file": _BYTES,
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "expires_after": {
            "type": "object",
            "properties": {
                "anchor": {"type": "string", "enum": ["created_at"]},
                "seconds": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
            },
        },
    }
    upload = {"name": "upload", "in": "path", "required": True, "schema": {"type": "string"}}
    part = _post("Uploads", "create_part", "A part of an upload", {"data": _BYTES}, ["data"])
    return {
        FILES_PATH: _post("Files", "create_file", "Upload a file", file, ["file", "purpose"]),
        PARTS_PATH: {"post": {**part["post"], "parameters": [upload]}},
    }


def _post(tag: str, name: str, summary: str, properties: dict[str, Any], needed: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "required": needed, "properties": properties}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "post": {
            "tags": [tag],
            "summary": summary,
            "operationId": name,
            "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}},
            "responses": {
                "200": {"description": "OpenAI's answer", "content": {"application/json": {"schema": {}}}},
                "default": {"description": "an error", "content": error},
            },
        }
    }
