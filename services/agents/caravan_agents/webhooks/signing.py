"""Signatures of the Standard Webhooks scheme.

Source: the specification of Standard Webhooks, "Signature scheme"; OpenAI's SDKs check the same
(``client.webhooks.verify_signature``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

from caravan_contracts.webhooks import SIGNING_PREFIX

_LEAST: Final = 16
"""Bytes of a key."""


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: the bytes behind ``whsec_`` in base64, or the text of any other. Raises
    ValueError, which does not show it."""
    if not secret.startswith(SIGNING_PREFIX):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError(f"behind {SIGNING_PREFIX} the secret is no base64") from None
    if len(key) < _LEAST:
        raise ValueError(f"the secret has less than {_LEAST} bytes")
    return key


def headers(key: bytes, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of one try; `timestamp` is its time in Unix seconds, `id` the same for every try."""
    signed = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
