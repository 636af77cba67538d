"""Input items: what a client may send, checked, each with an id.

Items stay dictionaries of OpenAI's shape; the SDK's types say whether they are right.
"""

from __future__ import annotations

from typing import Any, Final

from openai.types.responses import (
    ResponseCompactionItemParam,
    ResponseCustomToolCall,
    ResponseFileSearchToolCall,
    ResponseFunctionToolCall,
    ResponseFunctionWebSearch,
    ResponseReasoningItem,
)
from openai.types.responses.response_input_item import (
    FunctionCallOutput,
    ItemReference,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
)

from caravan_agents.responses.checks import a_list, a_text, an_object, conform, missing, needed, wrong
from caravan_agents.responses.ids import MakeId, item_id, new_id

Item = dict[str, Any]
MAX_ITEMS: Final = 10_000
MAX_ID: Final = 256
"""Characters of an id."""
_ROLES: Final = frozenset({"user", "assistant", "system", "developer"})
_DETAILS: Final = frozenset({"auto", "low", "high", "original"})
_KINDS: Final[dict[str, Any]] = {
    "function_call": ResponseFunctionToolCall,
    "function_call_output": FunctionCallOutput,
    "custom_tool_call": ResponseCustomToolCall,
    "reasoning": ResponseReasoningItem,
    "web_search_call": ResponseFunctionWebSearch,
    "file_search_call": ResponseFileSearchToolCall,
    "mcp_call": McpCall,
    "mcp_list_tools": McpListTools,
    "mcp_approval_request": McpApprovalRequest,
    "mcp_approval_response": McpApprovalResponse,
    "compaction": ResponseCompactionItemParam,
    "item_reference": ItemReference,
}
_IDS_OF_OTHERS: Final = frozenset({"item_reference"})


def read_input(value: Any, make: MakeId = new_id) -> tuple[Item, ...]:
    """The items of `input`: a string is one message of the user. Raises InvalidRequest."""
    if isinstance(value, str):
        return (text_message("user", value, make),)
    items = a_list(value, "input")
    if len(items) > MAX_ITEMS:
        raise wrong("input", f"a list of at most {MAX_ITEMS} items, not {len(items)}")
    return tuple(read_item(item, f"input[{at}]", make) for at, item in enumerate(items))


def text_message(role: str, text: str, make: MakeId = new_id) -> Item:
    """A message of one text."""
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    if role == "assistant":
        part["annotations"] = []  # type: ignore[assignment]
    return {
        "id": item_id("message", make),
        "type": "message",
        "role": role,
        "status": "completed",
        "content": [part],
    }


def read_item(value: Any, where: str, make: MakeId = new_id) -> Item:
    """One item, with an id and a type. Raises InvalidRequest naming the field below `where`."""
    item = an_object(value, where)
    kind = item.get("type")
    if kind is None:
        kind = "message" if "role" in item else "item_reference" if set(item) == {"id"} else None
    if kind is None:
        raise missing(f"{where}.type")
    a_text(kind, f"{where}.type")
    if item.get("id") is not None:
        a_text(item["id"], f"{where}.id", MAX_ID)
    if kind == "message":
        return _message(item, where, make)
    if kind == "custom_tool_call_output":
        a_text(needed(item, "call_id", where), f"{where}.call_id")
        read_parts(needed(item, "output", where), f"{where}.output")
    elif kind in _KINDS:
        known = item if item.get("type") else {**item, "type": kind}
        conform(_KINDS[kind], _as_the_sdk_knows_it(known), where)
        _check_more(item, kind, where)
    else:
        raise wrong(f"{where}.type", "the type of an item that is served here")
    made = {**item, "type": kind}
    if not made.get("id") and kind not in _IDS_OF_OTHERS:
        made["id"] = item_id(kind, make)
    return made


def _as_the_sdk_knows_it(item: Item) -> Item:
    """What a client may leave out of an item that it sends back."""
    if item["type"] in ("web_search_call", "file_search_call"):
        return {"id": "", "status": "completed", **item}
    if item["type"] in ("reasoning", "mcp_call", "mcp_list_tools", "mcp_approval_request"):
        return {"id": "", **item}
    return item


def _check_more(item: Item, kind: str, where: str) -> None:
    if kind == "function_call_output":
        a_text(needed(item, "call_id", where), f"{where}.call_id")
        read_parts(item["output"], f"{where}.output")


def _message(item: Item, where: str, make: MakeId) -> Item:
    role = needed(item, "role", where)
    if not isinstance(role, str) or role not in _ROLES:
        raise wrong(f"{where}.role", "'user', 'assistant', 'system' or 'developer'")
    content = needed(item, "content", where)
    if isinstance(content, str):
        content = text_message(role, content)["content"]
    else:
        content = read_parts(content, f"{where}.content")
    made = {**item, "type": "message", "role": role, "content": content}
    made["id"] = item.get("id") or item_id("message", make)
    made.setdefault("status", "completed")
    return made


def read_parts(value: Any, where: str) -> list[dict[str, Any]] | str:
    """The parts of a message or of a tool's output. Raises InvalidRequest."""
    if isinstance(value, str):
        return value
    parts = a_list(value, where)
    for at, part in enumerate(parts):
        _check_part(an_object(part, f"{where}[{at}]"), f"{where}[{at}]")
    return parts


def _check_part(part: dict[str, Any], where: str) -> None:
    kind = needed(part, "type", where)
    if kind in ("input_text", "output_text"):
        a_text(_there(part, "text", where), f"{where}.text")
    elif kind == "refusal":
        a_text(_there(part, "refusal", where), f"{where}.refusal")
    elif kind == "input_image":
        _one_of(part, ("image_url", "file_id"), where)
        if part.get("detail", "auto") not in _DETAILS:
            raise wrong(f"{where}.detail", "one of " + ", ".join(sorted(_DETAILS)))
    elif kind == "input_file":
        _one_of(part, ("file_data", "file_url", "file_id"), where)
    elif kind == "input_audio":
        sound = an_object(needed(part, "input_audio", where), f"{where}.input_audio")
        for name in ("data", "format"):
            a_text(needed(sound, name, f"{where}.input_audio"), f"{where}.input_audio.{name}")
    else:
        raise wrong(f"{where}.type", "'input_text', 'input_image', 'input_file', 'output_text' or 'refusal'")


def _there(part: dict[str, Any], name: str, where: str) -> Any:
    if name not in part:
        raise missing(f"{where}.{name}")
    return part[name]


def _one_of(part: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    given = [name for name in names if part.get(name) is not None]
    if len(given) != 1:
        raise wrong(where, "a part with exactly one of " + ", ".join(repr(name) for name in names))
    a_text(part[given[0]], f"{where}.{given[0]}")
