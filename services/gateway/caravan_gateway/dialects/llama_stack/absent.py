"""What Llama Stack had and this server has not: what to use instead."""

from __future__ import annotations

from typing import Final

from caravan_contracts.errors import NotFound

CODE: Final = "unsupported_endpoint"
_RESPONSES: Final = "use POST /v1/responses, which calls tools and can be kept in a conversation (/v1/conversations)"
_TOOLS: Final = "give tools to POST /v1/responses: functions, file_search, web_search, or MCP servers by their URL"
_STORES: Final = "use /v1/vector_stores: files attached to one are read and embedded, and it can be searched"
_FILES: Final = "upload files with POST /v1/files"
_NOTHING: Final = "this server runs models; it neither trains nor rates them"
_REPLACED: Final = {
    "agents": _RESPONSES,
    "tools": _TOOLS,
    "toolgroups": _TOOLS,
    "tool-runtime": _TOOLS,
    "memory": _STORES,
    "memory-banks": _STORES,
    "datasets": _FILES,
    "datasetio": _FILES,
    "telemetry": "traces and metrics leave by OpenTelemetry and GET /metrics",
    "eval": _NOTHING,
    "eval-tasks": _NOTHING,
    "evaluate": _NOTHING,
    "scoring": _NOTHING,
    "scoring-functions": _NOTHING,
    "reward-scoring": _NOTHING,
    "post-training": _NOTHING,
    "synthetic-data-generation": _NOTHING,
}
"""By the first part of a path behind its prefix, as later generations write it."""
_PREFIXES: Final = ("alpha", "v1", "v1alpha", "v1beta")


def explained(path: str) -> NotFound | None:
    """For a path where there is no route; None for one that Llama Stack does not have either."""
    parts = path.strip("/").split("/")
    api = parts[1] if len(parts) > 1 and parts[0] in _PREFIXES else parts[0]
    instead = _REPLACED.get(api.replace("_", "-"))
    return None if instead is None else NotFound(f"there is no {path[:200]} here: {instead}", code=CODE)
