"""Whether an answer is text or the call of a tool.

``none``: text, and the model hears nothing of its tools. ``required`` or a named tool: a call, held by the schema.
``auto`` depends on the provider's `auto_tools`:

- `model`: the model is told of its tools and begins to answer freely. As soon as it begins a call, it is stopped and
  asked again under the schema, so that what comes out is a valid call.
- `words`: for models too small to decide. A tool is called when the last message is the user's and has a word in
  common with the tool's name, description or parameters; after a tool's result comes text. No model is asked.

``auto`` together with a `response_format` asks the model for a call of a tool or of one further tool, `ANSWER`, whose
arguments are the formatted answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from caravan_contracts.errors import InvalidRequest

from caravan_inference.providers.llama_cpp.request import Chat
from caravan_inference.providers.llama_cpp.tools import Tool

ANSWER = "final_answer"
_WORD = re.compile(r"[a-z]+|[^\W\d_a-z]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_COMMON_TEXT = """
about after also before call could does each find for from function get gets give given have into list make more name
need not number other over return returns should some string such tell than that the their them then there these they
this tool type use used user using value want what when where which will with would you your
"""
_COMMON = frozenset(_COMMON_TEXT.split())


class Mode(Enum):
    """What comes out."""

    TEXT = "text"
    CALL = "call"
    OPEN = "open"
    """The model decides."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision for one request."""

    mode: Mode
    tools: list[Tool]
    schema: dict[str, Any] | None = None
    """The schema of the text, where there is one."""


def choose(tools: list[Tool], asked: Chat, schema: dict[str, Any] | None, by_words: bool) -> Choice:
    """`schema` is that of `response_format`. Raises InvalidRequest naming `tool_choice`."""
    wanted = asked.tool_choice
    named = _named(wanted)
    if named is not None:
        found = [tool for tool in tools if tool.name == named]
        if not found:
            raise InvalidRequest(f"tool_choice names {named!r}, which is not among the tools", param="tool_choice")
        return Choice(Mode.CALL, found)
    if wanted not in (None, "none", "auto", "required"):
        raise InvalidRequest("tool_choice should be none, auto, required or name a tool", param="tool_choice")
    if wanted == "required":
        if not tools:
            raise InvalidRequest("tool_choice is required, but there are no tools", param="tool_choice")
        return Choice(Mode.CALL, tools)
    if wanted == "none" or not tools:
        return Choice(Mode.TEXT, [], schema)
    if by_words:
        fitting = _by_words(tools, asked.messages[-1])
        return Choice(Mode.CALL, fitting) if fitting else Choice(Mode.TEXT, [], schema)
    if schema is not None:
        return Choice(Mode.CALL, [*tools, Tool(ANSWER, "Answer the user, without another function.", schema)])
    return Choice(Mode.OPEN, tools)


def _named(wanted: str | dict[str, Any] | None) -> str | None:
    if not isinstance(wanted, dict):
        return None
    function = wanted.get("function")
    name = function.get("name") if isinstance(function, dict) else wanted.get("name")
    if not isinstance(name, str):
        raise InvalidRequest("tool_choice should name a function", param="tool_choice")
    return name


def _by_words(tools: list[Tool], last: dict[str, Any]) -> list[Tool]:
    if last.get("role") != "user":
        return []
    content = last.get("content")
    text = content if isinstance(content, str) else " ".join(str(p.get("text", "")) for p in content or [])
    said = _words(text)
    return [tool for tool in tools if said & _words(_all_text(tool))]


def _all_text(tool: Tool) -> str:
    properties = tool.parameters.get("properties")
    names = " ".join(properties) if isinstance(properties, dict) else ""
    return f"{_CAMEL.sub(' ', tool.name)} {tool.description} {_CAMEL.sub(' ', names)}".replace("_", " ")


def _words(text: str) -> set[str]:
    found = (word.removesuffix("s") for word in _WORD.findall(text.lower()))
    return {word for word in found if len(word) > 2 and word not in _COMMON}
