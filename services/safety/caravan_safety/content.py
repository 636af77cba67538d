"""Messages and inputs of the APIs as texts and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.safety import Said, Stage

_STAGES: Final = {"assistant": Stage.OUTPUT, "tool": Stage.TOOL_RESULTS, "function": Stage.TOOL_RESULTS}
_ROLES: Final = {
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
    "system": "system",
    "developer": "system",
}


@dataclass(frozen=True, slots=True)
class Content:
    """What one message or input says and shows."""

    text: str
    images: tuple[str, ...] = ()


def read(content: Any, where: str) -> Content:
    """A text, a content part or a list of them; OpenAI's and Llama Stack's. Raises InvalidRequest."""
    if content is None:
        return Content("")
    if isinstance(content, str):
        return Content(content)
    parts = content if isinstance(content, list) else [content]
    texts: list[str] = []
    images: list[str] = []
    for number, part in enumerate(parts):
        place = f"{where}[{number}]" if isinstance(content, list) else where
        kind = part.get("type") if isinstance(part, dict) else "text" if isinstance(part, str) else None
        if isinstance(part, str):
            texts.append(part)
        elif kind in ("text", "input_text", "output_text", "refusal"):
            texts.append(str(part.get("text") or part.get("refusal") or ""))
        elif kind in ("image_url", "input_image", "image"):
            images.append(_image(part, place))
        else:
            raise InvalidRequest(f"{place} should be a text or an image, not {str(kind)[:40]!r}", param=where)
    return Content("\n".join(texts), tuple(images))


def stage_of(message: dict[str, Any]) -> Stage:
    """Which stage of a conversation a message belongs to."""
    return _STAGES.get(str(message.get("role")), Stage.INPUT)


def said(messages: Sequence[dict[str, Any]], contents: Sequence[Content]) -> list[Said]:
    """Messages as a shield is told them."""
    pairs = zip(messages, contents, strict=True)
    return [
        Said.model_validate({"role": _ROLES.get(str(message.get("role")), "user"), "content": content.text})
        for message, content in pairs
    ]


def _image(part: dict[str, Any], place: str) -> str:
    given = part.get("image_url", part.get("image"))
    if isinstance(given, dict):
        inner = given.get("url", given.get("data"))
        given = inner.get("uri") if isinstance(inner, dict) else inner
        if isinstance(given, str) and ":" not in given[:64]:
            given = f"data:image/png;base64,{given}"
    if not isinstance(given, str) or not given.startswith(("https://", "http://", "data:image/")):
        raise InvalidRequest(f"{place} should name an image by its https: or data: URL", param=place)
    return given
