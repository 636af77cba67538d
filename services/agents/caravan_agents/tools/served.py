"""Which hosted tools run here; the others are named in a refusal.

Those that no version of this service runs are refused where a request is read (:mod:`caravan_agents.responses.tools`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caravan_contracts.errors import InvalidRequest

from caravan_agents.responses.checks import contradiction
from caravan_agents.responses.tools import goes_out, same_type
from caravan_agents.tools.files import options as files
from caravan_agents.tools.files.tool import NAME as FILE_SEARCH
from caravan_agents.tools.search import options as web
from caravan_agents.tools.search.tool import NAME as WEB_SEARCH


def check(tools: Sequence[dict[str, Any]], searching: bool) -> None:
    """Whether the `tools` of a request can be served. `searching` says whether there is a search engine.

    Raises InvalidRequest naming the tool's field."""
    hosted: set[str] = set()
    for at, tool in enumerate(tools):
        where = f"tools[{at}]"
        name = _hosted(tool, where, searching)
        if not name:
            continue
        if name in hosted:
            raise contradiction(where, f"'{where}': there is already a tool {name!r}")
        hosted.add(name)
    for at, tool in enumerate(tools):
        if tool["type"] in ("function", "custom") and tool["name"] in hosted:
            where = f"tools[{at}].name"
            raise contradiction(where, f"'{where}': {tool['name']!r} is the name of a hosted tool")


def _hosted(tool: dict[str, Any], where: str, searching: bool) -> str:
    """What the model calls it, if it is a search that runs here."""
    if tool["type"] == FILE_SEARCH:
        files.read_options(tool, where)
        return FILE_SEARCH
    if not same_type(tool["type"], WEB_SEARCH) or not goes_out(tool):
        return ""
    if not searching:
        raise _unserved(
            where,
            f"the tool {tool['type']!r} needs a search engine, and none is configured here: whoever runs the "
            "agents service sets CARAVAN_AGENTS_SEARCH_PROVIDER",
        )
    web.read_options(tool, where)
    return WEB_SEARCH


def _unserved(where: str, message: str) -> InvalidRequest:
    param = f"{where}.type"
    return InvalidRequest(f"'{param}': {message}", param=param, code="unsupported_tool")
