"""Names of new things: a prefix that tells the kind, and 24 random bytes."""

from __future__ import annotations

import itertools
import re
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


_OWN: Final = 40
"""Hex digits that the items of a response have from its id."""


def of_output(response: str, index: int, prefix: str) -> str:
    """For the item at that place of a response's output: the same whenever it is made again."""
    return f"{prefix}_{response.removeprefix('resp_')[:_OWN]}{index:08x}"


def of_input(response: str) -> MakeId:
    """For the items of its input that came without one, in their order."""
    counter = itertools.count(0xF000_0000)
    return lambda prefix: f"{prefix}_{response.removeprefix('resp_')[:_OWN]}{next(counter):08x}"


def response_of(item: str) -> str | None:
    """How the id begins of the response that an item of this id belongs to, if it has one of ours."""
    found = re.fullmatch(r"[a-z]+_([0-9a-f]{40})[0-9a-f]{8}", item)
    return f"resp_{found[1]}" if found else None


def item_id(type: str, make: MakeId = new_id) -> str:
    """A new id for an item of this type."""
    return make(PREFIXES.get(type, "item"))
