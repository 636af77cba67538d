"""References to the environment in configuration, and which fields are secrets.

| Written | Means |
| --- | --- |
| ``${env.X}`` | X; an error when X is unset or empty |
| ``${env.X:=d}`` | X, or d when X is unset or empty |
| ``${env.X:+v}`` | v when X is set and not empty, else nothing |

The registry expands the stack file with :func:`expand` and ``keep_secrets=True``; a worker expands what is left in
its own environment, so a secret never travels. The rules of expansion are those of Llama Stack's and OGX's
configuration, except that a secret stays a string (a numeric password must not become a number).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

REDACTED: Final = "********"
FILE_SUFFIX: Final = "_file"
"""``api_key_file`` names a file that holds the ``api_key``."""

SECRET_KEYS: Final = frozenset(
    {
        "access_key",
        "access_token",
        "api_key",
        "api_token",
        "apikey",
        "auth_credential",
        "auth_token",
        "authorization",
        "bearer_token",
        "client_secret",
        "cookie",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "private_key",
        "proxy_authorization",
        "secret",
        "secret_key",
        "token",
        "x_api_key",
    }
)
"""Names of secret fields, in lower case with ``_`` for ``-``."""

PLACEHOLDERS: Final = frozenset(
    {
        "",
        "dummy",
        "empty",
        "fake",
        "fake-key",
        "lm-studio",
        "no-key",
        "none",
        "not-needed",
        "ollama",
        "placeholder",
    }
)
"""What people write where a server wants a key and checks none: no secrets."""

PRIVATE_VARIABLES: Final = frozenset(
    {
        "CARAVAN_AGENTS_SEARCH_KEY",
        "CARAVAN_AGENTS_SEARCH_KEY_FILE",
        "CARAVAN_GATEWAY_API_KEYS_FILE",
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "NATS_NKEY_SEED",
        "NATS_NKEY_SEED_FILE",
        "REDIS_URL",
        "REDIS_URL_FILE",
    }
)
"""The mesh's own credentials: no configuration may send them to a provider."""

_SECRET_ENDINGS: Final = tuple(
    f"_{word}" for word in ("api_key", "apikey", "access_key", "password", "secret", "secret_key", "token")
)
_REFERENCE: Final = re.compile(r"\$\{env\.([A-Z0-9_]+)(?::([=+])([^}]*))?\}")
_OPENING: Final = re.compile(r"\$\{")
_SCHEME: Final = re.compile(r"\s*(?:bearer|basic|token|key|apikey|api-key)?\s*\Z", re.IGNORECASE)
_USERINFO: Final = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^/@\s:]*:((?:\$\{[^}]*\}|[^@/\s])+)@")


class BadReference(ValueError):
    """A reference that cannot be used; `name` is the variable, or the text as it stands."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class MissingVariable(BadReference):
    """``${env.X}`` while X is unset or empty."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            f"the environment variable {name} is not set: set it, or write ${{env.{name}:=default}}",
        )


def is_secret(key: str) -> bool:
    """Whether a field of this name holds a secret (``api_key``, ``Authorization``, ``HF_TOKEN`` …)."""
    name = key.lower().replace("-", "_")
    return name in SECRET_KEYS or name.endswith(_SECRET_ENDINGS)


def has_reference(text: str) -> bool:
    """Whether `text` holds a reference anywhere."""
    return _REFERENCE.search(text) is not None


def is_reference(text: str) -> bool:
    """Whether `text` is references alone, with at most an authorization scheme before them (``Bearer ${env.X}``)."""
    if not has_reference(text):
        return False
    if any(not _is_placeholder(match[3] or "") for match in _REFERENCE.finditer(text)):
        return False  # a default written out is a literal like any other
    return _SCHEME.match(_REFERENCE.sub("", text)) is not None


def variables(value: object) -> Iterator[str]:
    """Names of the variables that `value` (any JSON) refers to."""
    if isinstance(value, str):
        yield from (match[1] for match in _REFERENCE.finditer(value))
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from variables(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from variables(part)


def expand(value: Any, environ: Mapping[str, str], *, keep_secrets: bool = False, secret: bool = False) -> Any:
    """`value` (any JSON) with its references replaced from `environ`.

    A string in which something was replaced becomes None when it is then empty, and a bool, int or float when it
    reads as one; under a secret key it stays a string. ``keep_secrets`` leaves secret fields, and URLs with a
    password in them, as they are written. Raises MissingVariable or BadReference.
    """
    if isinstance(value, Mapping):
        return {
            key: expand(part, environ, keep_secrets=keep_secrets, secret=secret or is_secret(str(key)))
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [expand(part, environ, keep_secrets=keep_secrets, secret=secret) for part in value]
    if not isinstance(value, str) or not _OPENING.search(value):
        return value
    if keep_secrets and (secret or _USERINFO.search(value)):
        check(value)
        return value
    expanded = _expand_text(value, environ)
    if secret or expanded == value:
        return expanded
    return _typed(expanded)


def resolve(value: Any, environ: Mapping[str, str], read: Callable[[str], str]) -> Any:
    """`value` (any JSON) as whoever uses the secrets needs it: references expanded, and ``api_key_file: /path``
    turned into ``api_key`` with what `read` returns for the path. A key of that name itself wins.

    Raises MissingVariable, BadReference and whatever `read` raises.
    """
    return _with_files(expand(value, environ), read)


def check(text: str) -> None:
    """Raise BadReference when `text` holds something that looks like a reference and is none."""
    for opening in _OPENING.finditer(text):
        match = _REFERENCE.match(text, opening.start())
        if match is None:
            found = text[opening.start() : opening.start() + 40]
            raise BadReference(
                found,
                f"{found!r} is no reference: write ${{env.NAME}}, ${{env.NAME:=default}} or ${{env.NAME:+value}}",
            )
        if match[1] in PRIVATE_VARIABLES:
            raise BadReference(match[1], f"{match[1]} belongs to the mesh itself and may not be referred to")


def literal_secrets(value: object, path: str = "") -> Iterator[str]:
    """Paths (``config.headers.Authorization``) of secrets that are written out in `value` (any JSON)."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            below = f"{path}.{key}" if path else str(key)
            if is_secret(str(key)) and not isinstance(part, Mapping | list | tuple):
                if not _is_harmless(part):
                    yield below
            elif is_secret(str(key)):
                yield from (f"{below}{tail}" for tail, leaf in _leaves(part) if not _is_harmless(leaf))
            else:
                yield from literal_secrets(part, below)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from literal_secrets(part, f"{path}[{number}]")
    elif isinstance(value, str):
        found = _USERINFO.search(value)
        if found is not None and not is_reference(found[1]):
            yield path


def redact(value: Any) -> Any:
    """`value` (any JSON) fit to be shown: secrets that are written out become stars, references stay."""
    if isinstance(value, Mapping):
        return {key: _redact_secret(part) if is_secret(str(key)) else redact(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [redact(part) for part in value]
    if isinstance(value, str):
        return _USERINFO.sub(_redact_userinfo, value)
    return value


def _with_files(value: Any, read: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_with_files(part, read) for part in value]
    if not isinstance(value, dict):
        return value
    made = {key: _with_files(part, read) for key, part in value.items()}
    for key, path in value.items():
        name = str(key).removesuffix(FILE_SUFFIX)
        if name != key and is_secret(name) and isinstance(path, str):
            del made[key]
            if path and not made.get(name):
                made[name] = read(path)
    return made


def _expand_text(text: str, environ: Mapping[str, str]) -> str:
    check(text)

    def replace(match: re.Match[str]) -> str:
        name, operator, operand = match[1], match[2], match[3]
        current = environ.get(name, "")
        if operator == "+":
            chosen = operand if current else ""
        elif operator == "=":
            chosen = current or operand
        elif current:
            chosen = current
        else:
            raise MissingVariable(name)
        return _home(chosen, environ)

    return _REFERENCE.sub(replace, text)


def _home(text: str, environ: Mapping[str, str]) -> str:
    if text == "~" or text.startswith("~/"):
        return environ.get("HOME", "~") + text[1:]
    return text


def _typed(text: str) -> str | bool | int | float | None:
    if text == "":
        return None
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    try:
        return int(text)
    except ValueError:
        pass  # not a whole number: perhaps a fraction
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text  # JSON knows neither nan nor inf


def _is_placeholder(text: str) -> bool:
    return text.strip().lower() in PLACEHOLDERS


def _is_harmless(value: object) -> bool:
    if value is None or isinstance(value, bool):
        return True
    return isinstance(value, str) and (_is_placeholder(value) or is_reference(value))


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _leaves(part, f"{path}[{number}]")
    else:
        yield path, value


def _redact_secret(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _redact_secret(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_secret(part) for part in value]
    return value if _is_harmless(value) else REDACTED


def _redact_userinfo(match: re.Match[str]) -> str:
    if is_reference(match[1]):
        return match[0]
    start = match.start(1) - match.start()
    return match[0][:start] + REDACTED + match[0][start + len(match[1]) :]
