"""Whom to tell: the section ``webhooks`` of the stack file, with its secrets resolved here."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from caravan_bus.settings import read_secret_file
from caravan_contracts import references
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.webhooks import WebhookSpec
from pydantic import ValidationError

from caravan_agents.webhooks.signing import key_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of them."""

    id: str
    """The same in every process that reads the same file; what jobs name."""
    url: str = field(repr=False)
    key: bytes = field(repr=False)
    events: frozenset[str]
    tenant: str
    allow_private: bool = False

    @property
    def host(self) -> str:
        """``host:port``, for logs: the rest of a URL may hold a secret."""
        parts = urlsplit(self.url)
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{name}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


class Endpoints:
    """All of a process."""

    def __init__(self, endpoints: Iterable[Endpoint] = ()) -> None:
        self._by_id = {endpoint.id: endpoint for endpoint in endpoints}

    def __len__(self) -> int:
        return len(self._by_id)

    def wanting(self, tenant: str, type: str) -> list[Endpoint]:
        """Those that want to hear of an event of this type of this tenant."""
        return [one for one in self._by_id.values() if one.tenant == tenant and type in one.events]

    def get(self, id: str) -> Endpoint | None:
        """The one of this id, if there is one."""
        return self._by_id.get(id)

    @property
    def private(self) -> list[str]:
        """``host:port`` of those that may be at private addresses."""
        return [one.host for one in self._by_id.values() if one.allow_private]


def endpoint(spec: WebhookSpec) -> Endpoint:
    """Of a row whose secret is resolved. Raises ValueError for a secret that is none."""
    digest = hashlib.sha256(f"{spec.tenant}\0{spec.url}".encode()).hexdigest()
    return Endpoint(digest[:16], spec.url, key_of(spec.secret), frozenset(spec.events), spec.tenant, spec.allow_private)


def load(stack: str, environ: Mapping[str, str]) -> Endpoints:
    """The endpoints of the stack file at `stack`; none when that is no file but the name of a ready-made stack.

    The registry reads and checks the file as a whole; mistakes in this part of it are told here as well. Raises
    InvalidRequest.
    """
    path = Path(stack).expanduser()
    if not stack or not path.is_file():
        if path.suffix:
            log.warning("the stack file %s is not here: if it has webhooks, nobody is told", stack)
        return Endpoints()
    try:
        whole = yaml.safe_load(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _mistake(f"{stack} cannot be read: {type(error).__name__}") from error
    rows = whole.get("webhooks") if isinstance(whole, dict) else None
    if not isinstance(rows, list | None):
        raise _mistake(f"{stack}: webhooks should be a list")
    made: dict[str, Endpoint] = {}
    for number, row in enumerate(rows or (), 1):
        try:
            found = _read(row, environ)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise _mistake(f"{stack}: webhook {number}: {where} {problem['msg']}".replace("  ", " ")) from None
        except ValueError as error:  # BadReference and a secret's file, too
            raise _mistake(f"{stack}: webhook {number}: {error}") from error
        if found is None:
            continue
        if found.id in made:
            raise _mistake(f"{stack}: webhook {number}: its url stands there twice for the tenant {found.tenant!r}")
        made[found.id] = found
    return Endpoints(made.values())


def _read(row: Any, environ: Mapping[str, str]) -> Endpoint | None:
    if not isinstance(row, dict):
        raise ValueError("it should be a mapping (key: value)")
    if not references.expand(row.get("url"), environ):
        return None  # as a provider without an id: its variable is not set
    values = references.resolve(row, environ, read_secret_file)
    given = {name: value for name, value in values.items() if value is not None}
    if "tenant" in given:
        given["tenant"] = str(given["tenant"])
    return endpoint(WebhookSpec.model_validate(given))


def _mistake(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_stack")
