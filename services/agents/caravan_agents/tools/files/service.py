"""The file search of one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caravan_bus.requests import Requester
from caravan_contracts.context import RequestContext

from caravan_agents.tools.files.asking import StoreSearch
from caravan_agents.tools.files.options import read_options
from caravan_agents.tools.files.tool import NAME, FileSearchKit


class FileSearching:
    """What runs get their `file_search` from, with tools that :func:`caravan_agents.tools.served.check` let pass."""

    def __init__(self, requester: Requester, seconds: float) -> None:
        """`seconds` are those of one search of one store."""
        self._search = StoreSearch(requester, seconds)

    async def check(self, tools: Sequence[dict[str, Any]], context: RequestContext) -> None:
        """Raises NotFound for a vector store that is not the tenant's, and what keeps it from being known."""
        for at, tool in enumerate(tools):
            if tool["type"] == NAME:
                where = f"tools[{at}]"
                await self._search.check(read_options(tool, where).stores, context, f"{where}.vector_store_ids")

    def kit(
        self, tools: Sequence[dict[str, Any]], include: frozenset[str], context: RequestContext
    ) -> FileSearchKit | None:
        """For a run with these tools; None when it searches no files. `include` is the request's."""
        for at, tool in enumerate(tools):
            if tool["type"] == NAME:
                return FileSearchKit(self._search, read_options(tool, f"tools[{at}]"), context, include)
        return None
