"""An MCP tool of a request, read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

from caravan_agents.responses.checks import a_text, contradiction, missing, wrong
from caravan_agents.tools.mcp.connectors import Connectors
from caravan_agents.tools.mcp.selecting import Approval, Filter, read_approval, read_filter

_MAX_LABEL: Final = 128
_MAX_HEADERS: Final = 64
_MAX_HEADER_BYTES: Final = 32 * 1024
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE: Final = re.compile(r"[\x20-\x7e\x80-\xff\t]*\Z")
_LABEL: Final = re.compile(r"[^\x00-\x1f\x7f]+\Z")
_OURS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that the protocol sets."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and what is wanted of it."""

    label: str
    url: str
    where: str
    """The path of the tool in the request, for errors: ``tools[0]``."""
    headers: Mapping[str, str]
    allowed: Filter | None
    approval: Approval
    description: str
    connector: bool
    """Whether the operator registered it: then it may be anywhere."""

    @property
    def param(self) -> str:
        """The field that says where it is."""
        return f"{self.where}.connector_id" if self.connector else f"{self.where}.server_url"

    def key(self, tenant: str) -> str:
        """The same for the same tenant, address and headers."""
        made = hashlib.sha256()
        for part in (tenant, self.url, *(f"{name}\0{value}" for name, value in sorted(self.headers.items()))):
            made.update(len(part).to_bytes(4, "big") + part.encode())
        return made.hexdigest()


def read_server(tool: Mapping[str, Any], where: str, connectors: Connectors, tenant: str) -> Server:
    """What :func:`~caravan_agents.responses.tools.read_tools` let through. Raises InvalidRequest; whether the address
    is served is not said here."""
    label = a_text(tool["server_label"], f"{where}.server_label", _MAX_LABEL)
    if not _LABEL.match(label):
        raise wrong(f"{where}.server_label", "a text without control characters")
    for name in ("defer_loading", "tunnel_id"):
        if tool.get(name):
            raise InvalidRequest(
                f"'{where}.{name}' is not served here", param=f"{where}.{name}", code="unsupported_parameter"
            )
    headers = read_headers(tool.get("headers"), f"{where}.headers")
    authorization = tool.get("authorization")
    if authorization is not None:
        if "authorization" in headers:
            raise contradiction(
                f"{where}.authorization", f"'{where}' has an 'authorization' and a header of that name; send one"
            )
        headers.update(read_headers({"Authorization": f"Bearer {authorization}"}, f"{where}.authorization"))
    identity = tool.get("connector_id")
    if identity is not None:
        connector = connectors.find(identity, tenant)
        if connector is None:
            raise InvalidRequest(
                f"there is no connector {identity!r}", param=f"{where}.connector_id", code="connector_not_found"
            )
        if both := sorted(headers.keys() & connector.headers.keys()):
            raise contradiction(where, f"'{where}': the connector {identity!r} sets the header {both[0]!r} itself")
        url, headers = connector.url, {**connector.headers, **headers}
    elif tool.get("server_url"):
        url = tool["server_url"]
    else:
        raise missing(f"{where}.server_url")
    return Server(
        label,
        url,
        where,
        headers,
        read_filter(tool.get("allowed_tools")),
        read_approval(tool.get("require_approval")),
        tool.get("server_description") or "",
        identity is not None,
    )


def read_headers(value: Any, where: str) -> dict[str, str]:
    """Headers to send, by their names in lower case. Raises InvalidRequest."""
    made: dict[str, str] = {}
    size = 0
    for name, text in (value or {}).items():
        lower = name.lower()
        if not _NAME.match(name) or lower in _OURS or lower.startswith("proxy-"):
            raise wrong(where, "headers that are not the protocol's own")
        if not _VALUE.match(text) or text != text.strip():
            raise wrong(f"{where}.{name}", "a text of one line, in latin-1, without blanks around it")
        if lower in made:
            raise contradiction(where, f"'{where}' has {name!r} twice")
        made[lower] = text
        size += len(name) + len(text)
    if len(made) > _MAX_HEADERS or size > _MAX_HEADER_BYTES:
        raise wrong(where, f"at most {_MAX_HEADERS} headers of {_MAX_HEADER_BYTES} bytes together")
    return made
