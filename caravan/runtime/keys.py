"""NKEYs: Ed25519 pairs by which NATS knows its users. The seed is secret; the server holds the public key only."""

from __future__ import annotations

import os


def new_seed() -> str:
    """A fresh user seed, ``SU...``."""
    import nkeys

    return str(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode())


def public_key(seed: str) -> str:
    """The public key ``U...`` of a seed."""
    import nkeys

    return str(nkeys.from_seed(seed.encode()).public_key.decode())


def sign(seed: str, nonce: str) -> str:
    """The answer to the server's nonce, as base64url without padding (what CONNECT wants in ``sig``)."""
    import base64

    import nkeys

    return base64.urlsafe_b64encode(nkeys.from_seed(seed.encode()).sign(nonce.encode())).rstrip(b"=").decode()
