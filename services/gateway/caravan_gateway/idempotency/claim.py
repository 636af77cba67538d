"""Who runs a request with an ``Idempotency-Key``, and how far it is."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Final

import orjson
from caravan_contracts.errors import CaravanError, Conflict, InvalidRequest, StreamInterrupted, Unavailable

MAX_KEY: Final = 255

RUNNING: Final = "r"
DONE: Final = "d"
FAILED: Final = "f"


class KeyReused(Conflict):
    """The key belongs to another body. Asking again is of no use."""

    code = "idempotency_key_reused"


class RunLost(Unavailable):
    """Who ran the request is gone, before anything of its answer came."""

    code = "run_lost"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a key is good for: one tenant, and one kind of request."""

    tenant: str
    name: str
    """SHA-256, hex."""

    @staticmethod
    def of(tenant: str, verb: str, key: bytes) -> Scope:
        """Raises InvalidRequest for a header that is no key."""
        text = key.decode("latin-1")
        if not text or len(text) > MAX_KEY or not (text.isascii() and text.isprintable()):
            raise InvalidRequest(
                f"the header Idempotency-Key has 1 to {MAX_KEY} printable ASCII characters", param="Idempotency-Key"
            )
        return Scope(tenant, hashlib.sha256("\0".join((tenant, verb, text)).encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Claim:
    """As it lies in Redis: one letter for its state, then JSON."""

    run: str
    body: str
    """The fingerprint of the request."""
    state: str = RUNNING
    size: int = 0
    """Bytes of the whole answer as it is kept; of a run that is done."""
    error: bytes = b""
    """Of a run that failed; see :meth:`CaravanError.to_wire`."""

    @staticmethod
    def new(body: str) -> Claim:
        """For a run about to begin."""
        return Claim(secrets.token_hex(12), body)

    def done(self, size: int) -> Claim:
        """After a good end."""
        return replace(self, state=DONE, size=size)

    def failed(self, error: CaravanError) -> Claim:
        """After any other."""
        return replace(self, state=FAILED, error=error.to_wire())

    def encode(self) -> bytes:
        """For Redis."""
        return self.state.encode() + orjson.dumps([self.run, self.body, self.size, self.error.decode()])

    @staticmethod
    def decode(value: bytes) -> Claim:
        """The opposite of :meth:`encode`. Raises CaravanError for anything else."""
        try:
            run, body, size, error = orjson.loads(value[1:])
            return Claim(str(run), str(body), chr(value[0]), int(size), str(error).encode())
        except (orjson.JSONDecodeError, ValueError, TypeError, IndexError) as error:
            raise CaravanError("what is kept of an idempotency key cannot be read") from error


def reused() -> KeyReused:
    """Another body."""
    text = "this Idempotency-Key was used with another body; use a new key for a new request"
    return KeyReused(text, param="Idempotency-Key")


def interrupted() -> StreamInterrupted:
    """The run is lost, and some of its answer was passed on."""
    return StreamInterrupted("the run that this answer came from is lost; what was sent so far is incomplete")
