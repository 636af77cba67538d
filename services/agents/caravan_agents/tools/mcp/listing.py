"""What a server offers, bounded: a tool that cannot be used is left out, a list that cannot be read is a failure."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from typing import Any, Final

import orjson

from caravan_agents.responses.tools import Offered, joined_name
from caravan_agents.tools.mcp.failures import ServerFailure
from caravan_agents.tools.mcp.options import McpOptions
from caravan_agents.tools.mcp.schemas import parameters
from caravan_agents.tools.mcp.servers import Server

log = logging.getLogger(__name__)

Listed = dict[str, Any]
"""A tool as the item `mcp_list_tools` has it: ``{name, description, input_schema, annotations}``."""
MAX_PAGES: Final = 100
MAX_RAW: Final = 10_000
"""Tools that a server may list, before `allowed_tools`."""
_MAX_DESCRIPTION: Final = 8 * 1024
"""Characters that a model is told; the rest is cut off."""
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}\Z")
_ANNOTATIONS: Final = ("title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


def usable(tools: Iterable[Listed], server: Server, options: McpOptions) -> list[Listed]:
    """Of all that a server lists, or once listed, what is allowed and can be offered. Raises ServerFailure when that
    is too much."""
    made: dict[str, Listed] = {}
    size = 0
    for tool in tools:
        name = tool.get("name")
        if not isinstance(name, str) or not _NAME.match(name):
            log.info("%s: a tool is left out: its name cannot be used", server.label)
        elif name in made:
            log.info("%s: the tool %r is left out: there is another of that name", server.label, name)
        elif server.allowed is None or server.allowed.fits(tool):
            if parameters(tool.get("input_schema")) is None:
                log.info("%s: the tool %r is left out: its schema cannot be used", server.label, name)
                continue
            made[name] = _clean(tool)
            size += len(orjson.dumps(made[name]))
            if len(made) > options.tools:
                raise ServerFailure(
                    f"it offers more than {options.tools} tools; choose some with 'allowed_tools'",
                    "mcp_protocol_error",
                    -32603,
                )
            if size > options.listing_bytes:
                raise ServerFailure(
                    f"its tools and their schemas have more than {options.listing_bytes} bytes; "
                    "choose some with 'allowed_tools'",
                    "mcp_protocol_error",
                    -32603,
                )
    return list(made.values())


def _clean(tool: Listed) -> Listed:
    """What is kept of a tool: of its annotations those that the protocol knows, and of its texts no half characters."""
    description, given = tool.get("description"), tool.get("annotations")
    annotations = None
    if isinstance(given, dict):
        annotations = {name: given[name] for name in _ANNOTATIONS if isinstance(given.get(name), bool)}
        if isinstance(given.get("title"), str):
            annotations["title"] = given["title"][:256].encode("utf-8", "replace").decode()
    return {
        "name": tool["name"],
        "description": description[:_MAX_DESCRIPTION].encode("utf-8", "replace").decode()
        if isinstance(description, str)
        else None,
        "input_schema": tool["input_schema"],
        "annotations": annotations,
    }


def offers(tools: Iterable[Listed], server: Server, taken: Collection[str]) -> Iterable[tuple[Listed, Offered]]:
    """The tools as functions, those whose name is `taken` left out; names are added to nothing."""
    seen = set(taken)
    for tool in tools:
        name = joined_name(server.label, tool["name"])
        if name in seen:
            log.info("%s: the tool %r is left out: a model could not tell it from another", server.label, tool["name"])
            continue
        seen.add(name)
        text = tool["description"] or ""
        if server.description:
            text = f"{text}\n\nOf the server {server.label}: {server.description}".lstrip()
        function = {"name": name, "description": text, "parameters": parameters(tool["input_schema"])}
        yield tool, Offered(function, "mcp", tool["name"], server.label)
