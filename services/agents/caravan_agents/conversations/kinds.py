"""The kinds of items and of parts of their content, as OpenAI has them (``openai.types.conversations``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Check = Callable[[Any], str]
"""What a value should be; "" when it is."""


def text(value: Any) -> str:
    """A string."""
    return "" if isinstance(value, str) else "a string"


def flag(value: Any) -> str:
    """A boolean."""
    return "" if isinstance(value, bool) else "true or false"


def thing(value: Any) -> str:
    """An object."""
    return "" if isinstance(value, dict) else "an object"


def texts(value: Any) -> str:
    """A list of strings."""
    return "" if isinstance(value, list) and all(isinstance(one, str) for one in value) else "a list of strings"


def things(value: Any) -> str:
    """A list of objects."""
    return "" if isinstance(value, list) and all(isinstance(one, dict) for one in value) else "a list of objects"


def written(kind: str) -> Check:
    """A list of texts of one type, as a reasoning item has them."""

    def check(value: Any) -> str:
        right = isinstance(value, list) and all(
            isinstance(one, dict) and one.get("type") == kind and isinstance(one.get("text"), str) for one in value
        )
        return "" if right else f'a list of {{"type": "{kind}", "text": "..."}}'

    return check


def output(value: Any) -> str:
    """What a tool gave: a string, or parts of content."""
    return "" if isinstance(value, str) or not things(value) else "a string or a list of parts"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of item."""

    prefix: str
    """Of the ids that are made for it."""
    needs: Mapping[str, Check] = field(default_factory=dict)
    may: Mapping[str, Check] = field(default_factory=dict)
    """Checked when it is there and not null."""
    status: tuple[str, ...] = ()
    """Those it may have; none when items of this type have no status."""


_PLAIN: Final = ("in_progress", "completed", "incomplete")
_SEARCH: Final = (*_PLAIN, "searching", "failed")
_CALL: Final = {"call_id": text, "name": text}
_GROUP: Final = {"namespace": text}
_MCP: Final = {"server_label": text, "name": text, "arguments": text}

ITEMS: Final[Mapping[str, Kind]] = {
    "message": Kind("msg", {}, {"phase": text}, _PLAIN),  # its role and content: see `items`
    "function_call": Kind("fc", {**_CALL, "arguments": text}, _GROUP, _PLAIN),
    "function_call_output": Kind("fco", {"call_id": text, "output": output}, {}, _PLAIN),
    "custom_tool_call": Kind("ctc", {**_CALL, "input": text}, _GROUP),
    "custom_tool_call_output": Kind("ctco", {"call_id": text, "output": output}),
    "reasoning": Kind(
        "rs",
        {"summary": written("summary_text")},
        {"content": written("reasoning_text"), "encrypted_content": text},
        _PLAIN,
    ),
    "compaction": Kind("cmp", {"encrypted_content": text}),
    "web_search_call": Kind("ws", {"action": thing}, {"results": things}, _SEARCH),
    "file_search_call": Kind("fs", {"queries": texts}, {"results": things}, _SEARCH),
    "code_interpreter_call": Kind(
        "ci", {"container_id": text}, {"code": text, "outputs": things}, (*_PLAIN, "interpreting", "failed")
    ),
    "image_generation_call": Kind("ig", {}, {"result": text}, ("in_progress", "completed", "generating", "failed")),
    "computer_call": Kind("cu", {"call_id": text, "pending_safety_checks": things}, {"action": thing}, _PLAIN),
    "computer_call_output": Kind("cuo", {"call_id": text, "output": thing}, {}, (*_PLAIN, "failed")),
    "local_shell_call": Kind("lsh", {"call_id": text, "action": thing}, {}, _PLAIN),
    "local_shell_call_output": Kind("lsho", {"output": text}, {}, _PLAIN),
    "mcp_list_tools": Kind("mcpl", {"server_label": text, "tools": things}, {"error": text}),
    "mcp_approval_request": Kind("mcpr", _MCP),
    "mcp_approval_response": Kind("mcpa", {"approval_request_id": text, "approve": flag}, {"reason": text}),
    "mcp_call": Kind("mcp", _MCP, {"output": text}, (*_PLAIN, "calling", "failed")),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One type of part of a message's content."""

    needs: tuple[str, ...] = ()
    """Strings it must have."""
    one_of: tuple[str, ...] = ()
    """Strings of which it must have one."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What it has when its writer did not say so; a list is an empty one."""


_IMAGE: Final = Part((), ("image_url", "file_id"), {"detail": "auto"})
PARTS: Final[Mapping[str, Part]] = {
    "input_text": Part(("text",)),
    "input_image": _IMAGE,
    "input_file": Part((), ("file_id", "file_url", "file_data")),
    "output_text": Part(("text",), (), {"annotations": (), "logprobs": ()}),
    "refusal": Part(("refusal",)),
    "text": Part(("text",)),
    "summary_text": Part(("text",)),
    "reasoning_text": Part(("text",)),
    "computer_screenshot": _IMAGE,
}

ROLES: Final = ("user", "assistant", "system", "developer")
