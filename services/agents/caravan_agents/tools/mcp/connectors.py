"""MCP servers that the operator registered: a request names one by `connector_id`, and learns neither its address nor
its keys.

A file, YAML or JSON, that ``CARAVAN_AGENTS_CONNECTORS_FILE`` names::

    connectors:
      - id: issues
        url: https://issues.internal/mcp
        headers: { Authorization: "Bearer ${env.ISSUES_TOKEN}" }
        tenants: [acme]                       # everybody when it is left out
      - id: wiki
        url: https://wiki.internal/mcp
        authorization_file: /run/secrets/wiki # sent as `Authorization: Bearer …`

Secrets are references, as in the stack file (:mod:`caravan_contracts.references`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from caravan_bus.outbound.hosts import place_of
from caravan_bus.settings import read_secret_file
from caravan_contracts import references
from caravan_contracts.errors import InvalidRequest

_FIELDS: Final = frozenset({"id", "url", "headers", "authorization", "authorization_file", "tenants"})
_MAX_FILE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Connector:
    """A server that is known by a name."""

    id: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By names in lower case; a request may add others."""
    tenants: frozenset[str] | None = None
    """Who may use it; None is everybody."""


class Connectors:
    """All of them."""

    def __init__(self, connectors: Iterable[Connector] = ()) -> None:
        self._by_id = {one.id: one for one in connectors}

    def find(self, id: str, tenant: str) -> Connector | None:
        """The connector of that id, when this tenant may use it."""
        found = self._by_id.get(id)
        return found if found is not None and (found.tenants is None or tenant in found.tenants) else None


def load(path: str, environ: Mapping[str, str]) -> Connectors:
    """The connectors of a file; none when `path` is "". Raises ValueError saying what is wrong with it."""
    if not path:
        return Connectors()
    import yaml  # for one file, once

    try:
        text = Path(path).expanduser().read_text("utf-8")
        if len(text) > _MAX_FILE:
            raise ValueError("it is too large")
        return Connectors(read_connectors(yaml.safe_load(text), environ, read_secret_file))
    except OSError as error:
        raise ValueError(f"the connectors' file {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"the connectors' file {path}: {error}") from error


def read_connectors(document: Any, environ: Mapping[str, str], read: Callable[[str], str]) -> list[Connector]:
    """The connectors of ``{connectors: [...]}``; `read` gives the content of a secret's file. Raises ValueError."""
    entries = document.get("connectors") if isinstance(document, dict) else None
    if not isinstance(entries, list) or set(document) != {"connectors"}:
        raise ValueError("it should be 'connectors:' and a list")
    made = [_connector(entry, f"connectors[{at}]", environ, read) for at, entry in enumerate(entries)]
    names = [one.id for one in made]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"there are several connectors {min(twice)!r}")
    return made


def _connector(entry: Any, where: str, environ: Mapping[str, str], read: Callable[[str], str]) -> Connector:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} should be an object")
    if unknown := set(entry) - _FIELDS:
        raise ValueError(f"{where}: {min(map(str, unknown))!r} is not known")
    if literal := next(references.literal_secrets(entry, where), None):
        raise ValueError(f"{literal} is a secret that is written out; refer to it with ${{env.NAME}} or …_file")
    entry = references.resolve(entry, environ, read)
    name, url = _text(entry.get("id"), f"{where}.id"), _text(entry.get("url"), f"{where}.url")
    try:
        place_of(url)
    except ValueError as error:
        raise ValueError(f"{where}.url: {error}") from error
    tenants = entry.get("tenants")
    if tenants is not None and not (isinstance(tenants, list) and all(isinstance(one, str) for one in tenants)):
        raise ValueError(f"{where}.tenants should be a list of names")
    return Connector(name, url, _headers(entry, where), None if tenants is None else frozenset(tenants))


def _headers(entry: Mapping[str, Any], where: str) -> dict[str, str]:
    from caravan_agents.tools.mcp.servers import read_headers  # it knows connectors, too

    given = entry.get("headers") or {}
    if not isinstance(given, dict) or not all(isinstance(part, str) for pair in given.items() for part in pair):
        raise ValueError(f"{where}.headers should be texts by their names")
    token = entry.get("authorization")
    if token:
        if "authorization" in {name.lower() for name in given}:
            raise ValueError(f"{where} has an 'authorization' and a header of that name")
        given = {**given, "Authorization": f"Bearer {_text(token, f'{where}.authorization')}"}
    try:
        return read_headers(given, f"{where}.headers")
    except InvalidRequest as error:
        raise ValueError(error.message) from error


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where} should be a text")
    return value
