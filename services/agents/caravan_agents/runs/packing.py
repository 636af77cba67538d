"""The request of a run as it is written down: sealed when there are keys in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from caravan_contracts.errors import InvalidRequest

from caravan_agents.errors import SecretMissing
from caravan_agents.responses.request import ResponseRequest
from caravan_agents.responses.sealing import Sealing

_SEALED: Final = b"sealed:"
_KEYS: Final = ("authorization", "headers")
"""What opens an MCP server."""


def pack(
    sealing: Sealing, tenant: str, request: ResponseRequest, body: bytes, credentials: Mapping[str, str] | None
) -> bytes:
    """`body`, as it is unless keys came with it or are in it. Raises InvalidRequest when these cannot be sealed."""
    if not credentials and not any(tool.get(key) for tool in request.tools for key in _KEYS):
        return body
    whole = orjson.dumps([body.decode("utf-8", "surrogateescape"), dict(credentials or {})]).decode()
    try:
        return _SEALED + sealing.seal(tenant, "run", whole).encode()
    except SecretMissing as error:
        raise InvalidRequest(
            "this request has keys in it, and a response that is to outlive its process needs them written down, which "
            "is done encrypted alone: set CARAVAN_AGENTS_SECRET on the server, or name a connector or a provider that "
            "has its key",
            param="background" if request.background else "tools",
            code="secret_missing",
        ) from error


def unpack(sealing: Sealing, tenant: str, packed: bytes) -> tuple[bytes, dict[str, str] | None]:
    """Body and credentials. Raises SecretMissing, InvalidRequest when the secret is another one now."""
    if not packed.startswith(_SEALED):
        return packed, None
    body, credentials = orjson.loads(sealing.open(tenant, "run", packed[len(_SEALED) :].decode()))
    return body.encode("utf-8", "surrogateescape"), credentials or None
