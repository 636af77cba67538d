"""What is left out of an item unless it is asked for: OpenAI's parameter `include`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

IMAGE_URL: Final = "message.input_image.image_url"
LOGPROBS: Final = "message.output_text.logprobs"
Item = dict[str, Any]


def _images(item: Item) -> None:
    for part in item["content"]:
        if part["type"] == "input_image":
            part.pop("image_url", None)


def _logprobs(item: Item) -> None:
    for part in item["content"]:
        if part["type"] == "output_text":
            part["logprobs"] = []


def _screenshot(item: Item) -> None:
    item["output"].pop("image_url", None)


def _sources(item: Item) -> None:
    item["action"].pop("sources", None)


def _without(field: str) -> Callable[[Item], None]:
    def leave_out(item: Item) -> None:
        item.pop(field, None)

    return leave_out


_LEFT_OUT: Final[dict[str, tuple[str, Callable[[Item], None]]]] = {
    IMAGE_URL: ("message", _images),
    LOGPROBS: ("message", _logprobs),
    "file_search_call.results": ("file_search_call", _without("results")),
    "web_search_call.results": ("web_search_call", _without("results")),
    "web_search_call.action.sources": ("web_search_call", _sources),
    "code_interpreter_call.outputs": ("code_interpreter_call", _without("outputs")),
    "computer_call_output.output.image_url": ("computer_call_output", _screenshot),
    "reasoning.encrypted_content": ("reasoning", _without("encrypted_content")),
}


def check(include: Sequence[str]) -> frozenset[str]:
    """What is asked for. Raises InvalidRequest naming what there is not."""
    if unknown := sorted(set(include) - _LEFT_OUT.keys()):
        named = ", ".join(repr(name[:100]) for name in unknown)
        raise InvalidRequest(f"'include' does not know {named}; it takes {', '.join(_LEFT_OUT)}", param="include")
    return frozenset(include)


def shown(item: Item, include: frozenset[str]) -> Item:
    """The same item, changed: without what nobody asked for."""
    for name, (kind, leave_out) in _LEFT_OUT.items():
        if kind == item["type"] and name not in include:
            leave_out(item)
    return item
