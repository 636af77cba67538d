"""An agent with tools: the server calls an MCP server, which this program brings along, until the question is answered.

Python 3.11+, `pip install openai mcp`. The model must be able to call tools: set CARAVAN_MODEL. The MCP server is on
this machine, where Caravan connects to for nobody unless its operator allows it:

    CARAVAN_AGENTS_ALLOWED_HOSTS=127.0.0.1:8931 make up
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations
from openai import BadRequestError, OpenAI

SERVER = os.environ.get("CARAVAN_URL", "http://localhost:8321").rstrip("/").removesuffix("/v1")
MODEL = os.environ.get("CARAVAN_MODEL", "SmolLM2-135M-Instruct")
PORT = int(os.environ.get("CARAVAN_EXAMPLE_MCP_PORT", "8931"))
STOCK = {"chairs": 4, "tables": 1}


def warehouse() -> MCPServer[Any]:
    """Two tools: one looks, one acts."""
    made: MCPServer[Any] = MCPServer("warehouse", log_level="CRITICAL")

    @made.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
    def on_hand(item: str) -> str:
        """How many of an item are in the warehouse."""
        return f"{STOCK.get(item, 0)} {item}"

    @made.tool(structured_output=False)
    def order(item: str, count: int) -> str:
        """Order more of an item."""
        STOCK[item] = STOCK.get(item, 0) + count
        return f"{count} {item} ordered"

    return made


def serve(app: Any) -> None:
    """In a thread of its own, as long as this program runs."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", PORT))
    except OSError:
        sys.exit(f"port {PORT} is taken; set CARAVAN_EXAMPLE_MCP_PORT to another, and allow that one")
    listening.listen()  # whoever comes before the server waits in line
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()


def main() -> None:
    """Ask, and print what was done for the answer."""
    question = " ".join(sys.argv[1:]) or "How many chairs are in the warehouse? Order chairs so that there are ten."
    serve(warehouse().streamable_http_app())
    client = OpenAI(base_url=f"{SERVER}/v1", api_key=os.environ.get("CARAVAN_API_KEY", "none"))
    try:
        response = client.responses.create(
            model=MODEL,
            input=question,
            instructions="You keep a warehouse. Look before you order.",
            tools=[
                {
                    "type": "mcp",
                    "server_label": "warehouse",
                    "server_url": f"http://127.0.0.1:{PORT}/mcp",
                    "require_approval": "never",  # of a server that is not your own: ask for approvals
                }
            ],
        )
    except BadRequestError as error:
        if error.code != "address_not_allowed":
            raise
        sys.exit(
            f"Caravan may not connect to 127.0.0.1:{PORT}: addresses that users name are on the public Internet, "
            "unless the operator opens others. Start it with\n\n"
            f"    CARAVAN_AGENTS_ALLOWED_HOSTS=127.0.0.1:{PORT} make up"
        )
    for item in response.output:
        if item.type == "mcp_call":
            print(f"{item.name}({item.arguments}) -> {item.output or item.error}")
    print(response.output_text)
    if response.status != "completed":
        sys.exit(response.error.message if response.error else f"it ended as {response.status}")


if __name__ == "__main__":
    main()
