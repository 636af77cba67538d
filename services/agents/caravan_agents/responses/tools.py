"""The tools of a request: which we serve, and what a model is offered of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest
from openai.types.responses import (
    CustomTool,
    FileSearchTool,
    FunctionTool,
    NamespaceTool,
    ToolChoiceMcp,
    WebSearchPreviewTool,
    WebSearchTool,
)
from openai.types.responses.tool import Mcp

from caravan_agents.responses.checks import (
    MAX_NAME,
    a_list,
    a_name,
    a_text,
    an_object,
    conform,
    contradiction,
    needed,
    wrong,
)

_SEARCH: Final = {
    "web_search": WebSearchTool,
    "web_search_2025_08_26": WebSearchTool,
    "web_search_preview": WebSearchPreviewTool,
    "web_search_preview_2025_03_11": WebSearchPreviewTool,
}
_SERVED: Final[dict[str, Any]] = {
    "function": FunctionTool,
    "custom": CustomTool,
    "mcp": Mcp,
    "file_search": FileSearchTool,
    "namespace": NamespaceTool,
    **_SEARCH,
}
_UNSERVED: Final = frozenset(
    {
        "code_interpreter",
        "image_generation",
        "computer",
        "computer_use",
        "computer_use_preview",
        "local_shell",
        "shell",
        "apply_patch",
        "tool_search",
        "programmatic_tool_calling",
    }
)
_NAMED: Final = frozenset({"function", "custom"})
_MODES: Final = frozenset({"auto", "none", "required"})
_MAX_TOOLS: Final = 128
_MAX_FUNCTION: Final = 64
"""Characters of a function's name that every provider takes."""
CUSTOM_ARGUMENT: Final = "input"
"""The one argument of the function that a custom tool is for the model."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A function as the model sees it, and the tool of the request that it stands for."""

    function: dict[str, Any]
    """``{name, description, parameters[, strict]}`` of chat completions."""
    type: str
    """Of the tool: function, custom, mcp, web_search …"""
    tool: str
    """The name that the tool has in the request, or at its MCP server."""
    server_label: str = ""
    namespace: str = ""

    @property
    def name(self) -> str:
        """What the model calls it."""
        return str(self.function["name"])

    @property
    def named(self) -> dict[str, str]:
        """How the item of a call says which tool it is of."""
        return {"name": self.tool, "namespace": self.namespace} if self.namespace else {"name": self.tool}


def same_type(one: str, other: str) -> bool:
    """Whether two names of a tool's type mean the same tool: web_search has several."""
    return one == other or (one in _SEARCH and other in _SEARCH)


def goes_out(tool: dict[str, Any]) -> bool:
    """Whether a search of the web may look there. There is nothing else to look in: no model is offered one that may
    not."""
    return tool.get("external_web_access") is not False


def joined_name(group: str, name: str) -> str:
    """What the model calls a tool of an MCP server, or of a namespace: names of two stay apart, and long ones too."""
    whole = f"{group}__{name}"
    made = re.sub(r"[^A-Za-z0-9_-]", "_", whole)
    if len(made) <= _MAX_FUNCTION:
        return made
    mark = hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{made[: _MAX_FUNCTION - 9]}_{mark}"


def called_name(item: dict[str, Any]) -> str:
    """What the model called the tool of a call that the client ran."""
    return joined_name(item["namespace"], item["name"]) if item.get("namespace") else str(item["name"])


def read_tools(value: Any) -> tuple[dict[str, Any], ...]:
    """The tools of a request. Raises InvalidRequest; a tool that is not served is named."""
    if value is None:
        return ()
    tools = a_list(value, "tools")
    seen: set[tuple[str, str]] = set()
    count = 0
    for at, tool in enumerate(tools):
        where = f"tools[{at}]"
        for key in _read_tool(an_object(tool, where), where):
            count += 1
            if key in seen:
                raise contradiction(where, f"'{where}': there is already a tool {key[1]!r}")
            if key[1]:
                seen.add(key)
            if count > _MAX_TOOLS:
                raise wrong("tools", f"at most {_MAX_TOOLS} tools, those of namespaces counted")
    return tuple(tools)


def _read_tool(tool: dict[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """What must not be there twice, for each tool that it stands for."""
    kind = a_text(needed(tool, "type", where), f"{where}.type")
    _refuse_unserved(kind, f"{where}.type")
    if kind not in _SERVED:
        raise wrong(f"{where}.type", "one of " + ", ".join(sorted(_SERVED)))
    if kind in _NAMED or kind == "namespace":
        a_name(needed(tool, "name", where), f"{where}.name")
    if kind == "mcp" and tool.get("connector_id") is not None:
        a_text(tool["connector_id"], f"{where}.connector_id", MAX_NAME)
        conform(Mcp, {**tool, "connector_id": None}, where)  # the SDK knows OpenAI's own alone
    else:
        conform(_SERVED[kind], tool, where)
    if kind == "mcp":
        if (tool.get("server_url") is None) == (tool.get("connector_id") is None):
            raise contradiction(f"{where}.server_url", f"'{where}' has either 'server_url' or 'connector_id'")
        yield "mcp", tool["server_label"]
    elif kind == "namespace":
        for at, inner in enumerate(tool["tools"]):
            a_name(inner["name"], f"{where}.tools[{at}].name")
            an_object(inner.get("parameters") or {}, f"{where}.tools[{at}].parameters")
            yield "named", joined_name(tool["name"], inner["name"])
    else:
        yield ("named", tool["name"]) if kind in _NAMED else (kind, "")


def _refuse_unserved(type: str, where: str) -> None:
    if type in _UNSERVED:
        raise InvalidRequest(
            f"the tool {type!r} is not served here: use function, custom, namespace, mcp, web_search or file_search",
            param=where,
            code="unsupported_tool",
        )


def read_tool_choice(value: Any, tools: Sequence[dict[str, Any]]) -> str | dict[str, Any]:
    """Which tools the model may or must use. Raises InvalidRequest, also when it names one that is not there."""
    if value is None:
        return "auto"
    if isinstance(value, str):
        if value not in _MODES:
            raise wrong("tool_choice", "'auto', 'none', 'required' or an object")
        if value == "required" and not tools:
            raise contradiction("tool_choice", "'tool_choice' is 'required', but there are no 'tools'")
        return value
    choice = an_object(value, "tool_choice")
    if a_text(needed(choice, "type", "tool_choice"), "tool_choice.type") != "allowed_tools":
        _check_named(choice, tools, "tool_choice")
        return choice
    if choice.get("mode") not in ("auto", "required"):
        raise wrong("tool_choice.mode", "'auto' or 'required'")
    allowed = a_list(needed(choice, "tools", "tool_choice"), "tool_choice.tools")
    if not allowed:
        raise wrong("tool_choice.tools", "a list that is not empty")
    for at, one in enumerate(allowed):
        where = f"tool_choice.tools[{at}]"
        a_text(needed(an_object(one, where), "type", where), f"{where}.type")
        _check_named(one, tools, where)
    return choice


def _check_named(choice: dict[str, Any], tools: Sequence[dict[str, Any]], where: str) -> None:
    kind = choice["type"]
    _refuse_unserved(kind, f"{where}.type")
    if kind not in _SERVED:
        raise wrong(f"{where}.type", "'allowed_tools' or one of " + ", ".join(sorted(_SERVED)))
    if kind in _NAMED or kind == "namespace":
        needed(choice, "name", where)
    if kind == "mcp":
        conform(ToolChoiceMcp, choice, where)
    named = [tool for tool in tools if tool["type"] == "namespace" and tool["name"] == choice.get("namespace")]
    meant = [one for tool in named for one in tool["tools"]] if choice.get("namespace") is not None else tools
    if not any(_names(choice, tool) for tool in meant):
        name = choice.get("name") if "name" in choice else choice.get("server_label", kind)
        raise contradiction(where, f"'{where}' names {name!r}, which is not among the 'tools'")


def _names(choice: dict[str, Any], tool: dict[str, Any]) -> bool:
    """Whether this tool of the request is the one that a choice names."""
    if not same_type(choice["type"], tool["type"]) or not goes_out(tool):
        return False
    if choice["type"] in _NAMED or choice["type"] == "namespace":
        return bool(choice.get("name") == tool["name"])
    return choice["type"] != "mcp" or bool(choice["server_label"] == tool["server_label"])


def offered(tools: Sequence[dict[str, Any]]) -> Iterator[Offered]:
    """The tools that the client runs, as functions. Those that run on the server are known to whoever runs them."""
    for tool in tools:
        if tool["type"] in _NAMED:
            yield _offer(tool)
        elif tool["type"] == "namespace":
            for inner in tool["tools"]:
                text = f"{inner.get('description') or ''}\n\nOf {tool['name']}: {tool['description']}".lstrip()
                yield _offer({**inner, "description": text}, tool["name"])


def _offer(tool: dict[str, Any], namespace: str = "") -> Offered:
    name = joined_name(namespace, tool["name"]) if namespace else tool["name"]
    if tool["type"] == "custom":
        return Offered(_custom(tool, name), "custom", tool["name"], namespace=namespace)
    function = {"name": name, "parameters": tool.get("parameters") or {"type": "object", "properties": {}}}
    for field in ("description", "strict"):
        if tool.get(field) is not None:
            function[field] = tool[field]
    return Offered(function, "function", tool["name"], namespace=namespace)


def _custom(tool: dict[str, Any], name: str) -> dict[str, Any]:
    grammar = tool.get("format") or {}
    text = tool.get("description") or ""
    if grammar.get("type") == "grammar":
        text = f"{text}\n\nThe input follows this {grammar['syntax']} grammar:\n{grammar['definition']}".lstrip()
    argument = {"type": "string", "description": "The whole input, as plain text."}
    return {
        "name": name,
        "description": text,
        "parameters": {
            "type": "object",
            "properties": {CUSTOM_ARGUMENT: argument},
            "required": [CUSTOM_ARGUMENT],
            "additionalProperties": False,
        },
    }


def chosen(choice: dict[str, Any]) -> Callable[[Offered], bool]:
    """Whether a tool that the model is offered is meant by a choice, or by an entry of allowed_tools."""

    def meant(one: Offered) -> bool:
        if choice["type"] == "namespace":
            return bool(choice["name"] == one.namespace)
        if not same_type(choice["type"], one.type):
            return False
        if choice["type"] == "mcp":
            return choice["server_label"] == one.server_label and choice.get("name") in (None, one.tool)
        named = (choice.get("name"), choice.get("namespace") or "")
        return choice["type"] not in _NAMED or named == (one.tool, one.namespace)

    return meant
