"""The tools on the server that a request needs, and what one run has of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from caravan_bus.outbound import Guard
from caravan_bus.requests import Requester
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError

from caravan_agents.responses.items import Item
from caravan_agents.responses.marks import CitedFiles
from caravan_agents.responses.request import ResponseRequest
from caravan_agents.responses.turn import ToolCall
from caravan_agents.settings import Settings
from caravan_agents.tools import served
from caravan_agents.tools.base import Emit, HostedTool, Kit
from caravan_agents.tools.files.service import FileSearching
from caravan_agents.tools.files.tool import FileSearchKit
from caravan_agents.tools.mcp import McpService
from caravan_agents.tools.mcp.kit import McpKit
from caravan_agents.tools.search.service import Searching
from caravan_agents.tools.search.tool import SearchKit


class Kits:
    """One per process. See :data:`caravan_agents.tools.base.MakeKit`."""

    def __init__(self, settings: Settings, requester: Requester) -> None:
        """Raises CaravanError when a setting cannot be used."""
        try:
            self._mcp = McpService.of(settings, Guard(settings.allowed_hosts), os.environ)
        except ValueError as error:
            raise CaravanError(str(error)) from error
        self._search = Searching(settings)
        self._files = FileSearching(requester, settings.file_search_seconds)
        self._item_bytes = settings.item_bytes

    def __call__(self, request: ResponseRequest, context: RequestContext) -> Kit | None:
        """The kit of one run."""
        tools = request.tools
        served.check(tools, self._search.configured)
        mcp = self._mcp.kit(tools, context.principal.tenant, self._item_bytes if request.conversation else 0)
        search = self._search.kit(tools, request.include)
        files = self._files.kit(tools, request.include, context)
        return RunKit(mcp, search, files) if mcp is not None or search is not None or files is not None else None

    async def check(self, request: ResponseRequest, context: RequestContext) -> None:
        """See :class:`caravan_agents.tools.base.MakeKit`."""
        served.check(request.tools, self._search.configured)
        await self._files.check(request.tools, context)

    async def start(self) -> None:
        """Nothing is connected before the first use."""

    async def close(self) -> None:
        """Leave the search engine."""
        await self._search.close()


class RunKit:
    """See :class:`caravan_agents.tools.base.Kit`."""

    def __init__(self, mcp: McpKit | None, search: SearchKit | None, files: FileSearchKit | None) -> None:
        self._mcp = mcp
        self._search = search
        self._files = files

    @property
    def cited(self) -> CitedFiles | None:
        return self._files.cited if self._files is not None else None

    async def open(self, emit: Emit, history: list[Item]) -> list[HostedTool]:
        made: list[HostedTool] = []
        if self._search is not None:
            made += await self._search.open(emit, history)
        if self._files is not None:
            made += self._files.open(history)
        if self._mcp is not None:
            made += await self._mcp.open(emit, history)
        return made

    def learn(self, items: list[Item]) -> None:
        if self._search is not None:
            self._search.learn(items)
        if self._files is not None:
            self._files.cited.learn(items)

    def allowed(self, items: list[Item]) -> list[tuple[ToolCall, str]]:
        return self._mcp.allowed(items) if self._mcp is not None else []

    def annotate(self, text: str) -> Sequence[dict[str, Any]]:
        return self._search.annotate(text) if self._search is not None else ()

    async def close(self) -> None:
        if self._mcp is not None:
            await self._mcp.close()
