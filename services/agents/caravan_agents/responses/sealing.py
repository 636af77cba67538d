"""What a client keeps for us and must neither read nor change: summaries of compactions, and reasoning.

A sealed text is base64url of ``version (1) | key (8) | nonce (24) | XChaCha20-Poly1305 ciphertext``. Tenant and purpose
are authenticated with it: what was sealed for one tenant does not open for another, nor as something else. The nonce is
a keyed hash of all that is sealed, so that a run which is made again in another process writes the same bytes; all that
shows is whether two texts are the same. Source: RFC 8439, draft-irtf-cfrg-xchacha-03, RFC 5297 for the nonce; the code
is libsodium's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final, Literal

from caravan_contracts.errors import InvalidRequest
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from caravan_agents.errors import SecretMissing

Purpose = Literal["compaction", "reasoning", "run"]
LEAST_SECRET: Final = 32
"""Characters."""
_VERSION: Final = b"\x01"
_NAME_BYTES: Final = 8
_NONCE_BYTES: Final = 24
_HEAD: Final = len(_VERSION) + _NAME_BYTES + _NONCE_BYTES


class Sealing:
    """One per process."""

    def __init__(self, given: Iterable[str] = ()) -> None:
        """`given` are secrets: the first seals, all of them open. Raises ValueError for one that is too short."""
        self._keys: dict[bytes, bytes] = {}
        for secret in given:
            if len(secret) < LEAST_SECRET:
                raise ValueError(f"a secret of the agents service has at least {LEAST_SECRET} characters")
            key = blake2b(secret.encode(), digest_size=32, person=b"caravan-seal").digest()
            self._keys.setdefault(blake2b(key, digest_size=_NAME_BYTES).digest(), key)

    @staticmethod
    def of(text: str) -> Sealing:
        """Of secrets with blanks, line ends or commas between them, the current one first."""
        return Sealing(filter(None, re.split(r"[\s,]+", text)))

    def check(self) -> None:
        """Whether there is a secret at all. Raises SecretMissing."""
        self._current()

    def seal(self, tenant: str, purpose: Purpose, text: str) -> str:
        """`text`, for this tenant and purpose alone. Raises SecretMissing."""
        name, key = self._current()
        bound, data = _bound(tenant, purpose), text.encode()
        nonce = blake2b(bound + b"\0" + data, digest_size=_NONCE_BYTES, key=key, person=b"caravan-nonce").digest()
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(data, bound, nonce, key)
        return base64.urlsafe_b64encode(_VERSION + name + nonce + sealed).decode()

    def of_reasoning(self, tenant: str) -> Callable[[str], str]:
        """What makes the `encrypted_content` of a tenant's reasoning (:attr:`turn.Hooks.seal`). Raises SecretMissing
        now rather than in the middle of an answer."""
        self.check()
        return lambda text: self.seal(tenant, "reasoning", text)

    def open(self, tenant: str, purpose: Purpose, sealed: str, param: str = "input") -> str:
        """The opposite of :meth:`seal`. Raises SecretMissing, and InvalidRequest for what was not sealed here, for
        another, or is no longer as it was."""
        self._current()
        try:
            data = base64.b64decode(sealed.encode(), altchars=b"-_", validate=True)
            key = self._keys[data[1 : 1 + _NAME_BYTES]] if data[:1] == _VERSION else None
            if key is None:
                raise _unopened(purpose, param)
            nonce = data[_HEAD - _NONCE_BYTES : _HEAD]
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                data[_HEAD:], _bound(tenant, purpose), nonce, key
            ).decode()
        except (binascii.Error, CryptoError, KeyError, ValueError) as error:
            raise _unopened(purpose, param) from error

    def _current(self) -> tuple[bytes, bytes]:
        for name, key in self._keys.items():
            return name, key
        raise SecretMissing(
            "this server has no secret to encrypt with: set CARAVAN_AGENTS_SECRET or CARAVAN_AGENTS_SECRET_FILE"
        )


def _bound(tenant: str, purpose: Purpose) -> bytes:
    return f"caravan\0{purpose}\0{tenant}".encode()


def _unopened(purpose: Purpose, param: str) -> InvalidRequest:
    message = f"the encrypted content of this {purpose} item cannot be opened: it was not made here for you"
    return InvalidRequest(message, param=param, code="invalid_encrypted_content")
