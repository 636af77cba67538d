"""Who asks, until when, and in which trace: what every message carries in its headers."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import orjson

from caravan_contracts import headers as h
from caravan_contracts.errors import InvalidRequest

DEFAULT_TENANT = "default"
DEFAULT_TIMEOUT = 600.0
"""Seconds a request may take in all when its caller names no deadline."""
UNGUARDED = "unguarded"
"""A role that service users alone give, to requests of their own that no guardrail may look at: what a shield asks a
model. `admin` does not bring it, and no credential of a client does."""
LONGEST_TIMEOUT = 86_400.0
"""Seconds it may take whatever its caller names."""
_LONGEST_TEXT = 1024
_MOST_GUARDRAILS = 16
_TOKENS: Final = re.compile(r"[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True)
class Principal:
    """On whose behalf a message is sent. Only bus users of services may set it (their allow-lists say so)."""

    tenant: str = DEFAULT_TENANT
    subject: str = "anonymous"
    roles: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()
    """Ids of those that the request names, beside those that hold anyway."""

    def may(self, role: str) -> bool:
        """Whether this principal has `role`; `admin` has them all."""
        return role in self.roles or "admin" in self.roles

    @property
    def unguarded(self) -> bool:
        """Whether no guardrail holds for what is asked."""
        return UNGUARDED in self.roles

    def naming(self, guardrails: str) -> Principal:
        """The same with what the header ``X-Caravan-Guardrails`` says. Raises InvalidRequest."""
        names = tuple(dict.fromkeys(name for each in guardrails.split(",") if (name := each.strip())))
        if len(names) > _MOST_GUARDRAILS or not guardrails.isascii() or len(guardrails) > _LONGEST_TEXT:
            raise InvalidRequest(
                f"the header {h.GUARDRAILS} has at most {_MOST_GUARDRAILS} ids, with commas between", param=h.GUARDRAILS
            )
        return replace(self, guardrails=names)

    def encode(self) -> str:
        """One header line: ASCII JSON."""
        return _encode_principal(self)

    @staticmethod
    def decode(text: str) -> Principal:
        """The opposite of :meth:`encode`; raises InvalidRequest."""
        return _decode_principal(text)


@lru_cache(maxsize=1024)
def _encode_principal(principal: Principal) -> str:
    import json  # the standard library escapes non-ASCII text, as a header needs; cached, so off the hot path

    row = {"tenant": principal.tenant, "subject": principal.subject, "roles": principal.roles}
    if principal.guardrails:
        row["guardrails"] = principal.guardrails
    # DEL is the one control character that JSON leaves as it is
    return json.dumps(row, separators=(",", ":")).replace("\x7f", "\\u007f")


@lru_cache(maxsize=1024)
def _decode_principal(text: str) -> Principal:
    try:
        data = orjson.loads(text)
        return Principal(
            str(data["tenant"]),
            str(data["subject"]),
            tuple(str(r) for r in data.get("roles", ())),
            tuple(str(g) for g in data.get("guardrails", ())),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"the header {h.PRINCIPAL} cannot be read: {error}") from error


ANONYMOUS = Principal()
SYSTEM = Principal(subject="system", roles=("admin",))


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What travels with a request. `deadline` is on this machine's monotonic clock (seconds); on the wire it is
    the time left, so that clocks need not agree."""

    request_id: str
    principal: Principal = ANONYMOUS
    deadline: float = field(default_factory=lambda: time.monotonic() + DEFAULT_TIMEOUT)
    traceparent: str = ""
    tracestate: str = ""
    idempotency_key: str = ""
    client_request_id: str = ""
    """What the client calls it. For logs and traces: nothing is decided by it."""
    anthropic_version: str = ""
    anthropic_beta: str = ""
    """As what a client of Anthropic's Messages API wants its request to be read, when that is not the plain version:
    for a provider that it is passed on to untouched."""

    @property
    def remaining(self) -> float:
        """Seconds left; negative when it is over."""
        return self.deadline - time.monotonic()

    def with_traceparent(self, traceparent: str) -> RequestContext:
        """The same, one span further down."""
        return replace(self, traceparent=traceparent)

    def with_anthropic(self, version: str, beta: str) -> RequestContext:
        """The same with what the headers of these names say. Raises InvalidRequest for what is not plain."""
        version, beta = _tokens(h.ANTHROPIC_VERSION, version), _tokens(h.ANTHROPIC_BETA, beta)
        if version in ("", h.PLAIN_VERSION) and not beta:
            return self
        return replace(self, anthropic_version=version, anthropic_beta=beta)

    def to_headers(self) -> dict[str, str]:
        """The headers of a message sent for this request."""
        made = {
            h.REQUEST_ID: self.request_id,
            h.PRINCIPAL: self.principal.encode(),
            h.DEADLINE_MS: str(max(0, int(self.remaining * 1000))),
        }
        if self.traceparent:
            made[h.TRACEPARENT] = self.traceparent
            if self.tracestate:
                made[h.TRACESTATE] = self.tracestate
        if self.idempotency_key:
            made[h.IDEMPOTENCY_KEY] = self.idempotency_key
        if self.client_request_id:
            made[h.CLIENT_REQUEST_ID] = self.client_request_id
        if self.anthropic_version:
            made[h.ANTHROPIC_VERSION] = self.anthropic_version
        if self.anthropic_beta:
            made[h.ANTHROPIC_BETA] = self.anthropic_beta
        return made

    @staticmethod
    def from_headers(headers: Mapping[str, str]) -> RequestContext:
        """The context of a message; missing headers take their defaults. Raises InvalidRequest."""
        given = headers.get(h.DEADLINE_MS)
        try:
            left = float(given) / 1000 if given is not None else DEFAULT_TIMEOUT
        except ValueError as error:
            raise InvalidRequest(f"the header {h.DEADLINE_MS} is no number") from error
        if not math.isfinite(left):
            raise InvalidRequest(f"the header {h.DEADLINE_MS} is no number of milliseconds")
        principal = headers.get(h.PRINCIPAL)
        return RequestContext(
            _text(headers, h.REQUEST_ID),
            _decode_principal(principal) if principal else ANONYMOUS,
            time.monotonic() + min(left, LONGEST_TIMEOUT),
            (_line(headers, h.TRACEPARENT) or "") if h.TRACEPARENT in headers else "",
            (_line(headers, h.TRACESTATE) or "") if h.TRACESTATE in headers else "",
            _text(headers, h.IDEMPOTENCY_KEY) if h.IDEMPOTENCY_KEY in headers else "",
            (_line(headers, h.CLIENT_REQUEST_ID) or "") if h.CLIENT_REQUEST_ID in headers else "",
            _tokens(h.ANTHROPIC_VERSION, headers[h.ANTHROPIC_VERSION]) if h.ANTHROPIC_VERSION in headers else "",
            _tokens(h.ANTHROPIC_BETA, headers[h.ANTHROPIC_BETA]) if h.ANTHROPIC_BETA in headers else "",
        )


def _text(headers: Mapping[str, str], name: str) -> str:
    text = _line(headers, name)
    if text is None:
        raise InvalidRequest(f"the header {name} is one line of at most {_LONGEST_TEXT} printable characters")
    return text


def _tokens(name: str, text: str) -> str:
    """A list as HTTP allows it (RFC 9110, 5.6.1), without its blanks and what is empty in it."""
    if len(text) <= _LONGEST_TEXT and ("," in text or " " in text or "\t" in text):
        text = ",".join(part for each in text.split(",") if (part := each.strip(" \t")))
    if text and (len(text) > _LONGEST_TEXT or not _TOKENS.fullmatch(text)):
        raise InvalidRequest(
            f"the header {name} has names of letters, digits, '.', '_' and '-', with commas between, and at most "
            f"{_LONGEST_TEXT} characters",
            param=name,
        )
    return text


def _line(headers: Mapping[str, str], name: str) -> str | None:
    """A header that is passed on, into other messages and into logs; None when it is not one short line."""
    text = headers.get(name, "")
    return text if not text or (len(text) <= _LONGEST_TEXT and text.isprintable()) else None
