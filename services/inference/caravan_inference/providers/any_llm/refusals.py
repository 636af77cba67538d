"""any-llm's errors in our shape. The upstream's status and message are kept where it had any."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from time import time
from typing import Any, Final

from caravan_contracts.errors import (
    CaravanError,
    ContextLengthExceeded,
    InvalidRequest,
    RateLimited,
    UpstreamFailed,
    UpstreamRefused,
)
from pydantic import ValidationError

from caravan_inference.providers.any_llm.hints import refused_argument

_TOO_LONG: Final = re.compile(
    r"prompt is too long|input is too long|too many (input |total )?tokens|context.{0,30}(length|window)"
    r"|(length|window).{0,30}context|(exceed|maximum).{0,40}\btokens\b"
)
_OVERLOADED: Final = {529: 503, 499: 503}
"""Statuses that only their inventor knows, and what they mean."""
_BY_TYPE: Final = {"rate_limit_error": 429, "overloaded_error": 503, "api_error": 502, "timeout_error": 504}
"""Of errors that arrive inside a stream, under the stream's own 200."""
_FILTERED: Final = "content_filter"


def refusal(provider: str, error: Exception, errors: Any) -> CaravanError:
    """`errors` is the module ``any_llm.exceptions``."""
    if isinstance(error, ValidationError):
        return _invalid(provider, error)
    if isinstance(error, NotImplementedError):
        return InvalidRequest(f"provider {provider!r} cannot do that: {error}", param="model")
    if not isinstance(error, errors.AnyLLMError):
        return UpstreamFailed(f"provider {provider!r} failed: {type(error).__name__}: {error}")
    if isinstance(error, errors.MissingApiKeyError):
        made: CaravanError = UpstreamRefused(str(error), code="missing_provider_key")
        made.status = 401
        return made
    if name := refused_argument(error):
        return InvalidRequest(_message(error), param=name, code="unsupported_parameter")
    original = getattr(error, "original_exception", None)
    status = _status(error)
    if not status and isinstance(original, ValueError) and not isinstance(original, JSONDecodeError):
        return InvalidRequest(_message(error))  # an SDK's objection, before anything was sent
    made = _by_status(provider, status, error, errors)
    made.param = getattr(error, "param", None)
    return made


def _by_status(provider: str, status: int, error: Any, errors: Any) -> CaravanError:
    message = _message(error)
    if status == 429 or isinstance(error, errors.RateLimitError):
        return RateLimited(message, retry_after=_retry_after(error))
    if isinstance(error, errors.ContextLengthExceededError) or (
        status in (0, 400, 413, 422) and _TOO_LONG.search(message.lower())
    ):
        return ContextLengthExceeded(message)
    if 400 <= status < 500:
        return _refused(message, status, error, errors)
    if not status and isinstance(error, errors.ContentFilterError):
        return _refused(message, 400, error, errors)
    if not status and isinstance(error, errors.AuthenticationError):
        return _refused(message, 401, error, errors)
    if status >= 500:
        failed = UpstreamFailed(f"provider {provider!r} failed: {message}", retry_after=_retry_after(error))
        failed.status = status
        return failed
    original = type(getattr(error, "original_exception", None) or error).__name__
    if "timeout" in original.lower():
        return UpstreamFailed(f"provider {provider!r} did not answer in time", code="upstream_timeout")
    return UpstreamFailed(f"provider {provider!r} cannot be reached: {message or original}")


def _refused(message: str, status: int, error: Any, errors: Any) -> CaravanError:
    made = UpstreamRefused(message)
    made.status = status
    made.type = error.error_type or made.type
    filtered = isinstance(error, errors.ContentFilterError)
    made.code = error.code or (_FILTERED if filtered else "model_not_found" if status == 404 else made.code)
    return made


def _invalid(provider: str, error: ValidationError) -> CaravanError:
    """Either the client's fields are not what any-llm takes, or the upstream's answer is not what it gives."""
    if error.title != "CompletionParams":
        return UpstreamFailed(f"provider {provider!r} answered something unreadable: {error.error_count()} errors")
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return InvalidRequest(f"'{where}': {first['msg']}", param=where)


def _status(error: Any) -> int:
    """The upstream's; 0 when it did not answer."""
    status = getattr(error, "status_code", None) or 0
    if status < 300:
        return _BY_TYPE.get(error.error_type or "", 502) if status else 0
    return _OVERLOADED.get(status, status)


def _message(error: Any) -> str:
    """What the upstream wrote, without the SDK's wrapping."""
    body = getattr(getattr(error, "original_exception", None), "body", None)
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        text = inner.get("message") if isinstance(inner, Mapping) else inner
        if isinstance(text, str) and text:
            return text
    return str(getattr(error, "message", "") or error)


def _retry_after(error: Any) -> float | None:
    """Seconds. any-llm reads it of a 429 only."""
    told = getattr(error, "retry_after", None)
    if told is None:
        response = getattr(getattr(error, "original_exception", None), "response", None)
        headers = getattr(response, "headers", None)
        told = headers.get("retry-after") if isinstance(headers, Mapping) else None
    if not isinstance(told, str):
        return None
    try:
        return max(0.0, float(told))
    except ValueError:
        pass  # perhaps a date
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time())
    except ValueError:
        return None
