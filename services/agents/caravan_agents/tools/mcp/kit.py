"""The MCP servers of one run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from caravan_bus.outbound import Guard
from caravan_contracts.errors import CaravanError, FailedDependency, InvalidRequest

from caravan_agents.responses.items import Item
from caravan_agents.responses.turn import ToolCall
from caravan_agents.tools.base import Emit, HostedTool
from caravan_agents.tools.mcp.approvals import allowances, approved
from caravan_agents.tools.mcp.cache import ListCache
from caravan_agents.tools.mcp.failures import ServerFailure
from caravan_agents.tools.mcp.links import Link
from caravan_agents.tools.mcp.listing import Listed, offers, usable
from caravan_agents.tools.mcp.options import McpOptions
from caravan_agents.tools.mcp.servers import Server
from caravan_agents.tools.mcp.tool import McpTool

log = logging.getLogger(__name__)
_AT_ONCE = 8
"""Servers asked at once for their lists."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the kits of a process share."""

    options: McpOptions
    cache: ListCache


class McpKit:
    """See :class:`~caravan_agents.tools.base.Kit`."""

    def __init__(
        self,
        servers: Sequence[tuple[Server, Guard]],
        reach: Reach,
        tenant: str,
        taken: Collection[str] = (),
        item_bytes: int = 0,
    ) -> None:
        """`taken` are names of functions that a model knows already; `item_bytes` is the bound of one item, if there
        is one."""
        self._options = reach.options.within(item_bytes)
        self._servers = servers
        self._reach = reach
        self._tenant = tenant
        self._taken = set(taken)
        self._links = {server.label: Link(server, guard, self._options) for server, guard in servers}

    async def open(self, emit: Emit, history: list[Item]) -> list[HostedTool]:
        """The tools of all servers. A server whose list stands in `history` (the items before this run, its input, and
        when another process goes on with it, its output until then) is not asked; of each other one the list
        becomes an item. Raises FailedDependency when a server cannot be listed, InvalidRequest when its address is not
        served; the item and its event say so as well."""
        known = {server.label: await self._from_history(server, history) for server, _ in self._servers}
        asked = [server for server, _ in self._servers if known[server.label] is None]
        places = {server.label: self._announce(emit, server) for server in asked}
        gate = asyncio.Semaphore(_AT_ONCE)
        found = await asyncio.gather(*(self._ask(server, gate) for server in asked))
        failure: CaravanError | None = None
        for server, listed in zip(asked, found, strict=True):
            if isinstance(listed, CaravanError):
                failure = failure or listed
                self._failed(emit, places[server.label], server, listed.message)
            else:
                known[server.label] = listed
                emit.event(places[server.label], "response.mcp_list_tools.completed")
                emit.done(places[server.label], _item(server, listed))
        if failure is not None:
            raise failure
        return self._tools(known, history)

    def allowed(self, items: list[Item]) -> list[tuple[ToolCall, str]]:
        """See :func:`~caravan_agents.tools.mcp.approvals.approved`."""
        return [(call, call.id) for call in approved(items)]

    async def close(self) -> None:
        """Leave every server."""
        await asyncio.gather(*(link.close() for link in self._links.values()))

    async def _from_history(self, server: Server, history: Iterable[Item]) -> list[Listed] | None:
        """The last list of this server that is there. When it lacks a tool that is allowed now, the server is asked
        without a word, and what it says is used, if it says anything."""
        kept: list[Listed] | None = None
        for item in history:
            if item["type"] == "mcp_list_tools" and item["server_label"] == server.label and not item.get("error"):
                kept = item["tools"]
        if kept is None:
            return None
        names = server.allowed.names if server.allowed is not None else None
        if names is not None and not names <= {tool.get("name") for tool in kept}:
            fresh = await self._ask(server, asyncio.Semaphore())
            if not isinstance(fresh, CaravanError):
                return fresh
        try:
            return usable(kept, server, self._options)
        except ServerFailure:
            return None

    def _announce(self, emit: Emit, server: Server) -> int:
        index = emit.add(_item(server, []))
        emit.event(index, "response.mcp_list_tools.in_progress")
        return index

    def _failed(self, emit: Emit, index: int, server: Server, message: str) -> None:
        emit.event(index, "response.mcp_list_tools.failed")
        emit.done(index, {**_item(server, []), "error": message})

    async def _ask(self, server: Server, gate: asyncio.Semaphore) -> list[Listed] | CaravanError:
        key = server.key(self._tenant)
        listed = self._reach.cache.get(key)
        try:
            if listed is None:
                async with gate:
                    listed = await self._links[server.label].list()
                self._reach.cache.put(key, listed)
            return usable(listed, server, self._options)
        except ServerFailure as failure:
            log.info("%s: its tools cannot be listed: %s", server.label, failure.message)
            return _unlisted(server, failure.message)
        except InvalidRequest as error:
            return error
        except CaravanError as error:
            return _unlisted(server, error.message)

    def _tools(self, known: dict[str, list[Listed] | None], history: list[Item]) -> list[HostedTool]:
        allowed = allowances(history)
        taken = set(self._taken)
        made: list[HostedTool] = []
        for server, _ in self._servers:
            for tool, offered in offers(known[server.label] or (), server, taken):
                taken.add(offered.name)
                made.append(
                    McpTool(
                        tool,
                        offered,
                        self._links[server.label],
                        ask=server.approval.needed(tool),
                        allowed=allowed,
                        options=self._options,
                    )
                )
        return made


def _unlisted(server: Server, message: str) -> FailedDependency:
    text = f"the tools of the MCP server {server.label!r} cannot be listed: {message}"
    return FailedDependency(text, param=server.param)


def _item(server: Server, tools: list[Listed]) -> Item:
    return {"type": "mcp_list_tools", "server_label": server.label, "tools": tools, "error": None}
