"""What a route's rules may ask of a request. Nothing is parsed for a route without rules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import orjson
from caravan_contracts.routes import When

_IMAGES: Final = frozenset({"image_url", "input_image", "image"})
_STRUCTURED: Final = frozenset({"json_object", "json_schema"})


class Properties:
    """Of one request; `body` is OpenAI's JSON, or Anthropic's, and was checked before."""

    def __init__(self, body: bytes, stream: bool) -> None:
        self._body = body
        self.stream = stream

    def fit(self, when: When) -> bool:
        """Whether the request is like `when`."""
        under, over = when.prompt_characters_under, when.prompt_characters_over
        if under is not None and self.prompt_characters >= under:
            return False
        if over is not None and self.prompt_characters <= over:
            return False
        for wanted, name in (
            (when.tools, "tools"),
            (when.images, "images"),
            (when.structured_output, "structured_output"),
            (when.stream, "stream"),
        ):
            if wanted is not None and wanted is not getattr(self, name):
                return False
        return all(self.metadata.get(name) == value for name, value in when.metadata.items())

    @cached_property
    def prompt_characters(self) -> int:
        """Characters of all texts of the prompt."""
        return sum(len(text) for text in self._texts())

    @cached_property
    def tools(self) -> bool:
        """Whether it brings tools."""
        return bool(self._data.get("tools") or self._data.get("functions"))

    @cached_property
    def images(self) -> bool:
        """Whether there is an image in its messages."""
        return any(part.get("type") in _IMAGES for part in self._parts())

    @cached_property
    def structured_output(self) -> bool:
        """Whether its answer has to be JSON."""
        wanted = self._data.get("response_format") or self._data.get("output_format")
        config = self._data.get("output_config")
        if not wanted and isinstance(config, dict):
            wanted = config.get("format")
        return isinstance(wanted, dict) and wanted.get("type") in _STRUCTURED

    @property
    def metadata(self) -> dict[str, Any]:
        """Its `metadata`."""
        said = self._data.get("metadata")
        return said if isinstance(said, dict) else {}

    @cached_property
    def _data(self) -> dict[str, Any]:
        data = orjson.loads(self._body)
        return data if isinstance(data, dict) else {}

    def _messages(self) -> Iterator[Any]:
        for message in self._data.get("messages") or ():
            yield message.get("content") if isinstance(message, dict) else None

    def _parts(self) -> Iterator[dict[str, Any]]:
        for content in self._messages():
            if isinstance(content, list):
                yield from (part for part in content if isinstance(part, dict))

    def _texts(self) -> Iterator[str]:
        yield from (content for content in self._messages() if isinstance(content, str))
        yield from (part["text"] for part in self._parts() if isinstance(part.get("text"), str))
        for name in ("prompt", "input", "query", "documents", "system"):
            value = self._data.get(name)
            for part in value if isinstance(value, list) else (value,):
                text = part.get("text") if name == "system" and isinstance(part, dict) else part
                if isinstance(text, str):
                    yield text
