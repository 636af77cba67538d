"""Which hosted tools run here; the others are named in a refusal.

Those that no version of this service runs are refused where a request is read (:mod:`caravan_agents.responses.tools`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caravan_contracts.errors import InvalidRequest

from caravan_agents.responses.checks import contradiction
from caravan_agents.responses.tools import same_type
from caravan_agents.tools.search.options import read_options
from caravan_agents.tools.search.tool import NAME


def check(tools: Sequence[dict[str, Any]], searching: bool) -> None:
    """Whether the `tools` of a request can be served. `searching` says whether there is a search engine.

    Raises InvalidRequest naming the tool's field."""
    searches = 0
    for at, tool in enumerate(tools):
        where = f"tools[{at}]"
        if tool["type"] == "file_search":
            raise _unserved(where, "the tool 'file_search' needs the vector service, which does not run here")
        if not same_type(tool["type"], NAME):
            continue
        if not searching:
            raise _unserved(
                where,
                f"the tool {tool['type']!r} needs a search engine, and none is configured here: whoever runs the "
                "agents service sets CARAVAN_AGENTS_SEARCH_PROVIDER",
            )
        read_options(tool, where)
        searches += 1
        if searches > 1:
            raise contradiction(where, f"'{where}': there is already a tool 'web_search'")
    if searches:
        for at, tool in enumerate(tools):
            if tool.get("name") == NAME:
                raise contradiction(f"tools[{at}].name", f"'tools[{at}].name': {NAME!r} is the name of a hosted tool")


def _unserved(where: str, message: str) -> InvalidRequest:
    param = f"{where}.type"
    return InvalidRequest(f"'{param}': {message}", param=param, code="unsupported_tool")
