"""Who is asking: API keys from a file, or nobody in particular on a loopback address."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import DEFAULT_TENANT, UNGUARDED, Principal
from caravan_contracts.errors import AuthenticationFailed, InvalidRequest, PermissionDenied

_REMEMBERED = 4096
GUARDRAILS = h.GUARDRAILS.lower().encode()


class Authenticator:
    """Turns an Authorization header into a principal.

    Keys are kept as SHA-256 digests and looked up by digest, so that neither a memory dump of the table nor the time
    of a comparison tells one. Without a file everybody is the anonymous administrator of the default tenant:
    the settings allow that on loopback only.
    """

    def __init__(self, keys: dict[bytes, Principal] | None) -> None:
        self._keys = keys
        self._seen: dict[bytes, Principal] = {}

    @staticmethod
    def from_file(path: Path | None) -> Authenticator:
        """Read the file of keys. Raises InvalidRequest with the line that is wrong."""
        if path is None:
            return Authenticator(None)
        try:
            lines = path.expanduser().read_text().splitlines()
        except OSError as error:
            raise InvalidRequest(f"the file of API keys {path} cannot be read: {error.strerror}") from error
        keys: dict[bytes, Principal] = {}
        for number, line in enumerate(lines, 1):
            fields = line.partition("#")[0].split()
            if not fields:
                continue
            key, tenant, user, roles = [*fields, "", "", ""][:4]
            if UNGUARDED in roles.split(","):
                raise InvalidRequest(f"{path}:{number}: the role {UNGUARDED} is for services alone; take it out")
            try:
                principal = Principal(
                    s.token(tenant or DEFAULT_TENANT), user or f"key-{number}", tuple(r for r in roles.split(",") if r)
                )
            except ValueError as error:
                raise InvalidRequest(f"{path}:{number}: {error}") from error
            keys[_digest(key.encode())] = principal
        if not keys:
            raise InvalidRequest(f"the file of API keys {path} holds no key")
        return Authenticator(keys)

    def of(self, headers: Mapping[bytes, bytes]) -> Principal:
        """Who sends a request with these headers, and the guardrails it names. Raises AuthenticationFailed,
        InvalidRequest."""
        principal = self.who(headers.get(b"authorization", b""), headers.get(b"x-api-key", b""))
        named = headers.get(GUARDRAILS)
        return principal if named is None else principal.naming(named.decode("latin-1"))

    def who(self, authorization: bytes, api_key: bytes = b"") -> Principal:
        """The principal of an ``Authorization: Bearer …`` or ``x-api-key`` header. Raises AuthenticationFailed."""
        if self._keys is None:
            return _ANYBODY
        given = authorization or api_key
        known = self._seen.get(given)
        if known is not None:
            return known
        scheme, _, key = authorization.partition(b" ")
        if authorization and scheme.lower() != b"bearer":
            raise AuthenticationFailed("the Authorization header should be 'Bearer <API key>'")
        found = self._keys.get(_digest(key.strip() if authorization else api_key))
        if found is None:
            what = (
                "incorrect API key provided" if given else "no API key was provided: send 'Authorization: Bearer <key>'"
            )
            raise AuthenticationFailed(what)
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[given] = found
        return found


_ANYBODY = Principal(roles=("admin",))


def need(principal: Principal, role: str) -> None:
    """Raise PermissionDenied unless `principal` has `role`."""
    if not principal.may(role):
        raise PermissionDenied(f"this needs the role {role!r}")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
