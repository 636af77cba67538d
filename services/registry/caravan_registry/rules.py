"""What may be in the registry: the same rules for the stack file, the bus and what workers report.

Each function returns what is wrong as one sentence, or "".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from caravan_contracts import references
from caravan_contracts.registry import MAX_ID
from caravan_contracts.safety import ShieldSpec

MAX_BODY: Final = 64 * 1024
"""Bytes of JSON of one resource, so that a page of a snapshot stays far below a bus message."""
MAX_DEPTH: Final = 32
MAX_ALIASES: Final = 32
_PROVIDER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_PROVIDER_TYPE: Final = re.compile(r"(remote|inline)::[a-z0-9][a-z0-9._-]{0,62}\Z")
_URL_KEYS: Final = ("base_url", "url")
_SWITCHES: Final = ("allow_unlisted", "messages")
_FILE_ENDINGS: Final = ("_file", "_path", "_cert", "client_key")


def provider_id_problem(name: str) -> str:
    """A provider's id stands before the ``/`` of its models' ids, in logs and in metrics."""
    if _PROVIDER_ID.match(name):
        return ""
    return f"the provider id {name[:80]!r} should be 1-63 of A-Z a-z 0-9 . _ -, a letter or digit first"


def provider_type_problem(kind: str) -> str:
    """``remote::<name>`` or ``inline::<name>``."""
    if _PROVIDER_TYPE.match(kind):
        return ""
    return f"the provider type {kind[:80]!r} should look like remote::openai or inline::llama-cpp"


def id_problem(name: str, what: str = "the model id") -> str:
    """Ids and aliases: printable text without spaces at its ends."""
    if not name:
        return f"{what} is empty"
    if len(name) > MAX_ID:
        return f"{what} is longer than {MAX_ID} characters"
    if not name.isprintable() or name != name.strip():
        return f"{what} {name[:80]!r} should be printable, without spaces around it"
    return ""


def aliases_problem(aliases: list[str]) -> str:
    """A list of ids, each once."""
    if len(aliases) > MAX_ALIASES:
        return f"a model may have {MAX_ALIASES} aliases, not {len(aliases)}"
    if len(set(aliases)) < len(aliases):
        return "an alias stands here twice"
    return next((reason for alias in aliases if (reason := id_problem(alias, "the alias"))), "")


def json_problem(value: Any) -> str:
    """What PostgreSQL and a page of a snapshot can hold."""
    if reason := _shape_problem(value):
        return reason
    try:
        size = len(orjson.dumps(value))
    except (orjson.JSONEncodeError, TypeError) as error:
        return f"it cannot be written as JSON: {error}"
    return f"it is {size} bytes of JSON; the limit is {MAX_BODY}" if size > MAX_BODY else ""


def config_problem(config: dict[str, Any]) -> str:
    """A provider's configuration, but for its secrets."""
    if reason := json_problem(config):
        return f"config: {reason}"
    for key in _URL_KEYS:
        url = config.get(key)
        if url is not None and (reason := _url_problem(url)):
            return f"config.{key} {reason}"
    for key in _SWITCHES:
        if not isinstance(config.get(key) or False, bool):
            return f"config.{key} should be true or false"
    return ""


def tenant_problem(tenant: str, kind: str, config: dict[str, Any]) -> str:
    """What a tenant other than the shared one may not do: a worker is everybody's, and so are its files and variables.

    Without this an administrator of one tenant could send another's keys to a server of his own.
    """
    if kind.startswith("inline::"):
        return "providers that run inside the workers belong to the shared tenant"
    return tenant_secrets_problem(tenant, config)


def tenant_secrets_problem(tenant: str, config: dict[str, Any], where: str = "config") -> str:
    """The same of settings alone: no files, and its own variables."""
    if found := next(_file_keys(config), ""):
        return f"{where}.{found}: only those of the shared tenant may name files of a worker"
    prefix = tenant_variables(tenant)
    for name in references.variables(config):
        if not name.startswith(prefix):
            return f"the variable {name} is not this tenant's; its variables begin with {prefix}"
    return ""


def shield_problem(spec: ShieldSpec) -> str:
    """The type of a shield, and what it calls by its own name."""
    if not _PROVIDER_TYPE.match(spec.provider_type):
        return f"the type of a shield {spec.provider_type[:80]!r} should look like inline::pii or remote::webhook"
    if spec.provider_shield_id and (reason := id_problem(spec.provider_shield_id, "the provider's own id")):
        return reason
    return ""


def guardrail_id_problem(name: str) -> str:
    """Requests name guardrails in a header, with commas between."""
    return (
        f"the guardrail's id {name[:80]!r} should be ASCII, without commas" if "," in name or not name.isascii() else ""
    )


def tenant_variables(tenant: str) -> str:
    """What the names of a tenant's own variables begin with. Two underscores end the tenant's name, and it holds one
    at a time: the variables of ``acme-x`` are not those of ``acme``. Names that differ in ``-`` and ``_`` alone share
    theirs."""
    return f"TENANT_{re.sub('[^A-Z0-9]+', '_', tenant.upper()).strip('_')}__"


def metadata_problem(metadata: dict[str, Any]) -> str:
    """A model's metadata: what is known by name has its type, the rest is the user's."""
    if reason := json_problem(metadata):
        return f"metadata: {reason}"
    for key in ("context_length", "embedding_dimension"):
        value = metadata.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            return f"metadata.{key} should be a whole number above 0, not {str(value)[:80]!r}"
    return ""


def _file_keys(config: Any) -> Iterator[str]:
    pairs = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in pairs:
        if str(key).lower().endswith(_FILE_ENDINGS) and value:
            yield str(key)
        yield from (f"{key}.{below}" for below in _file_keys(value))


def _url_problem(url: Any) -> str:
    if not isinstance(url, str):
        return "should be a URL"
    if references.has_reference(url):
        return ""  # a worker sees the whole of it
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    return (
        "" if good and url.isprintable() and " " not in url else f"is no URL: {url[:80]!r}; write http://host:port/v1"
    )


def _shape_problem(value: Any) -> str:
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                below += part.keys()
                below += part.values()
            elif isinstance(part, list):
                below += part
            elif isinstance(part, str) and "\x00" in part:
                return "it holds a zero byte"
        if not below:
            return ""
        level = below
    return f"it is nested more than {MAX_DEPTH} levels deep"
