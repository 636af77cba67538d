"""Names of the message headers."""

from __future__ import annotations

from typing import Final

REQUEST_ID: Final = "Caravan-Request-Id"
CLIENT_REQUEST_ID: Final = "Caravan-Client-Request-Id"
"""What the client calls its request: for logs and traces alone."""
PRINCIPAL: Final = "Caravan-Principal"
"""JSON ``{tenant, subject, roles}``; believed because only service users may publish where it is read."""
DEADLINE_MS: Final = "Caravan-Deadline-Ms"
"""Milliseconds left, not a time of day."""
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
CONTENT_TYPE: Final = "Content-Type"
ANTHROPIC_VERSION: Final = "anthropic-version"
ANTHROPIC_BETA: Final = "anthropic-beta"
"""Of requests in Anthropic's words, for the provider: names with commas between."""
PLAIN_VERSION: Final = "2023-06-01"
"""Of Anthropic's API, for whoever names none."""

CALL: Final = "Caravan-Call"
"""JSON of :class:`caravan_contracts.inference.CallSpec`: what the worker must know without parsing the body."""
WINDOW: Final = "Caravan-Window"
"""Bytes of credit; its presence asks for frames. Without it a reply is plain messages (plain mode)."""
BODY_SIZE: Final = "Caravan-Body-Size"
"""Bytes of a body that follows in parts, as control messages of its stream; the request's own is empty. Foreign users
only, and only with a window."""
RESPONSE: Final = "Caravan-Response"
"""The id that a response gets; asked for again under the same one, any worker goes on with it."""
AFTER: Final = "Caravan-After"
"""How many of its events have arrived, of a response that may have been asked for before."""
CLAIM: Final = "Caravan-Claim"
"""JSON ``{ref, digest, size}``: the body lies in the blob store and the message's own is empty."""
PROVIDER_DATA: Final = "Caravan-Provider-Data"
"""JSON of the caller's own provider keys. Never logged; stored only encrypted, with a run in the background."""

GUARDRAILS: Final = "X-Caravan-Guardrails"
"""Of a client's request: ids of guardrails that it is to pass beside those that hold anyway, with commas between."""

SERVICE_ERROR_CODE: Final = "Nats-Service-Error-Code"
SERVICE_ERROR: Final = "Nats-Service-Error"
STATUS: Final = "Status"
"""Set by the server itself; `503` means that nobody subscribes."""
