"""Names of new things: a prefix that tells the kind, and 24 random bytes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

MakeId = Callable[[str], str]
"""A prefix becomes an id."""

PREFIXES: Final = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "compaction": "cmp",
}
"""By the type of an item."""


def new_id(prefix: str) -> str:
    """``<prefix>_<48 hex digits>``, of items as of responses (``resp``)."""
    return f"{prefix}_{secrets.token_hex(24)}"


def item_id(type: str, make: MakeId = new_id) -> str:
    """A new id for an item of this type."""
    return make(PREFIXES.get(type, "item"))
