"""What a process has for MCP servers: the guard, the connectors, and lists that it remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caravan_bus.outbound import Guard
from caravan_bus.outbound.hosts import place_of

from caravan_agents.responses.tools import offered
from caravan_agents.settings import Settings
from caravan_agents.tools.mcp import connectors
from caravan_agents.tools.mcp.cache import ListCache
from caravan_agents.tools.mcp.connectors import Connectors
from caravan_agents.tools.mcp.kit import McpKit, Reach
from caravan_agents.tools.mcp.options import McpOptions
from caravan_agents.tools.mcp.servers import Server, read_server


class McpService:
    """One per process."""

    def __init__(self, guard: Guard, known: Connectors | None = None, options: McpOptions | None = None) -> None:
        self._guard = guard
        self._connectors = known or Connectors()
        options = options or McpOptions()
        self._reach = Reach(options, ListCache(options.cache_seconds, options.cache_bytes))

    @classmethod
    def of(cls, settings: Settings, guard: Guard, environ: Mapping[str, str]) -> McpService:
        """As the environment says. Raises ValueError naming the file of connectors when it cannot be used."""
        options = McpOptions(
            list_seconds=settings.mcp_list_seconds,
            call_seconds=settings.mcp_seconds,
            answer_bytes=settings.mcp_answer_bytes,
            cache_seconds=settings.mcp_cache_seconds,
        )
        return cls(guard, connectors.load(settings.connectors_file, environ), options)

    def check(self, tools: Sequence[Mapping[str, Any]], tenant: str) -> None:
        """What can be said of the MCP tools of a request before it is begun. Raises InvalidRequest."""
        self._read(tools, tenant)

    def kit(self, tools: Sequence[dict[str, Any]], tenant: str, item_bytes: int = 0) -> McpKit | None:
        """The kit of one run with these tools of a request; None when there is no MCP tool. `item_bytes` is what one
        item may have when the run belongs to a conversation. Raises InvalidRequest."""
        servers = self._read(tools, tenant)
        if not servers:
            return None
        taken = [tool.name for tool in offered(tools)]
        return McpKit(servers, self._reach, tenant, taken, item_bytes)

    def _read(self, tools: Sequence[Mapping[str, Any]], tenant: str) -> list[tuple[Server, Guard]]:
        made: list[tuple[Server, Guard]] = []
        for at, tool in enumerate(tools):
            if tool["type"] == "mcp":
                server = read_server(tool, f"tools[{at}]", self._connectors, tenant)
                guard = self._guard_of(server)
                guard.check(server.url, server.param)
                made.append((server, guard))
        return made

    def _guard_of(self, server: Server) -> Guard:
        """What the operator registered may be anywhere; the way there is open to that server alone."""
        if not server.connector:
            return self._guard
        place = place_of(server.url)
        host = f"[{place.host}]" if ":" in place.host else place.host
        return Guard([f"{host}:{place.port}"])
