"""The tool `mcp`: what servers of the Model Context Protocol offer, called from here.

- :mod:`service`: :class:`McpService`, one per process: checks the tools of a request and makes the kit of a run
- :mod:`options`: bounds and times
- :mod:`servers`: an MCP tool of a request, read: where, with which headers, which tools, which need an approval
- :mod:`selecting`: filters of tools
- :mod:`connectors`: servers that the operator registered, which a request names by `connector_id`
- :mod:`kit`: the servers of one run
- :mod:`links`: the way to one server during a run
- :mod:`wire`: the `mcp` package itself; imported when the first server is asked, and nowhere else
- :mod:`failures`: what goes wrong with a server, and how that is said
- :mod:`listing`: what a server offers, bounded; :mod:`schemas`, :mod:`cache`
- :mod:`tool`: one tool as a hosted tool; :mod:`results`: its answer as text
- :mod:`approvals`: calls that the client allowed

Source: OpenAI's guide "Connectors and MCP servers"; the specification of the protocol, 2025-11-25 and 2026-07-28.
"""

from caravan_agents.tools.mcp.approvals import approved
from caravan_agents.tools.mcp.connectors import Connector, read_connectors
from caravan_agents.tools.mcp.kit import McpKit
from caravan_agents.tools.mcp.options import McpOptions
from caravan_agents.tools.mcp.service import McpService

__all__ = ["Connector", "McpKit", "McpOptions", "McpService", "approved", "read_connectors"]
