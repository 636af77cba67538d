"""The error tree: each class knows its HTTP status, OpenAI `type` and `code`, and whether another try may help.

CaravanError 500 server_error
├── InvalidRequest 400
│   ├── InvalidJSON · ContextLengthExceeded · SecretInConfig · ContentFiltered
│   ├── RequestTooLarge 413
│   └── UnsupportedMediaType 415
├── AuthenticationFailed 401 · PermissionDenied 403
├── NotFound 404
│   └── ModelNotFound
├── MethodNotAllowed 405
├── Conflict 409
├── FailedDependency 424   (a server that the request itself names)
├── RateLimited 429
│   └── TenantLimited          (by ourselves: the tenant's part of the waiting line is full)
├── ClientGone 499 (never sent)
├── UpstreamRefused        (the upstream's own 4xx, passed on)
├── UpstreamFailed 502
│   └── UpstreamBroke      (a stream that ended without its end)
├── Unavailable 503
│   ├── NoWorker · Overloaded · WorkerLost · DependencyDown
├── DeadlineExceeded 504
└── StreamInterrupted 502  (after the first token)
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

ErrorClass = type["CaravanError"]
MAX_TEXT = 16 * 1024
"""Characters of an error's message on the bus; the rest is cut off."""


class CaravanError(Exception):
    """The base: something failed on our side.

    `retryable` says whether the same request may be tried on another worker when nothing was delivered yet.
    """

    status: int = 500
    type: str = "server_error"
    code: str | None = "internal_error"
    retryable: bool = False
    _by_code: ClassVar[dict[str, ErrorClass]] = {}

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        code: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """`details` are of our own: what OpenAI's errors have no field for."""
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.details = details
        if code is not None:
            self.code = code

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if isinstance(cls.code, str):
            cls._by_code.setdefault(cls.code, cls)

    def to_body(self) -> dict[str, Any]:
        """The body of an OpenAI error: ``{"error": {message, type, param, code}}``, all four keys present; with
        details ``caravan`` as well."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error if self.details is None else {**error, "caravan": self.details}}

    def to_json(self) -> bytes:
        """:meth:`to_body` as JSON."""
        return orjson.dumps(self.to_body())

    def to_wire(self) -> bytes:
        """The body with what the bus needs beside it: kind (the code of its class), status, retryable, retry_after
        (seconds). Never raises, and always fits into a message."""
        return orjson.dumps(
            {
                "error": {
                    "message": _short(self.message),
                    "type": _short(self.type),
                    "param": None if self.param is None else _short(self.param),
                    "code": None if self.code is None else _short(self.code),
                },
                "details": self.details,
                "kind": type(self).code,
                "status": self.status,
                "retryable": self.retryable,
                "retry_after": self.retry_after,
            }
        )

    @staticmethod
    def from_wire(payload: bytes) -> CaravanError:
        """The error another process sent with :meth:`to_wire`; never raises, whatever the bytes."""
        try:
            data = orjson.loads(payload)
            error = data["error"]
            # not by the code alone: a provider's own may read like one of ours, and what it means is acted on
            cls = CaravanError._by_code.get(data.get("kind", error.get("code")) or "", CaravanError)
            made = cls(
                str(error.get("message", "")),
                param=error.get("param"),
                retry_after=data.get("retry_after"),
            )
            details = data.get("details")
            made.details = details if isinstance(details, dict) else None
            made.status = int(data.get("status", made.status))
            made.type = str(error.get("type", made.type))
            made.code = error.get("code")
            made.retryable = bool(data.get("retryable", False))
            return made
        except (
            orjson.JSONDecodeError,
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
        ):
            return CaravanError(f"unreadable error from a worker: {payload[:200]!r}")


def _short(text: object) -> str:
    """`text` as JSON takes it: no half characters, and no more than :data:`MAX_TEXT`."""
    return str(text)[:MAX_TEXT].encode("utf-8", "replace").decode()


class InvalidRequest(CaravanError):
    """The request is wrong; `param` names the field."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class InvalidJSON(InvalidRequest):
    """The body is no JSON, or JSON that is too deep."""

    code = "invalid_json"


class ContextLengthExceeded(InvalidRequest):
    """The prompt does not fit the model."""

    code = "context_length_exceeded"


class ContentFiltered(InvalidRequest):
    """A guardrail does not let the request pass; its details say which, where it is visible."""

    code = "content_filter"


class SecretInConfig(InvalidRequest):
    """A secret was written out where only a reference to the environment or a file may stand."""

    code = "secret_in_config"


class RequestTooLarge(InvalidRequest):
    """The body is over the limit."""

    status = 413
    code = "request_too_large"


class UnsupportedMediaType(InvalidRequest):
    """The body is not what the route takes."""

    status = 415
    code = "unsupported_media_type"


class AuthenticationFailed(CaravanError):
    """No key, or one that is not known."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class PermissionDenied(CaravanError):
    """Known, but not allowed."""

    status = 403
    type = "permission_error"
    code = "permission_denied"


class NotFound(CaravanError):
    """No such thing for this tenant."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    """No such model; the message lists near matches."""

    code = "model_not_found"


class MethodNotAllowed(CaravanError):
    """The path is known, the method is not."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class Conflict(CaravanError):
    """The thing changed meanwhile, or exists already."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"


class FailedDependency(CaravanError):
    """A server that the request names, such as an MCP server, could not be asked. Type and code are OpenAI's."""

    status = 424
    type = "external_connector_error"
    code = "http_error"


class RateLimited(CaravanError):
    """Too much at once; `retry_after` in seconds."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    limit = 0
    """Requests that may wait; 0 when it was not our own bound of that which was reached."""


class TenantLimited(RateLimited):
    """A tenant has as many requests waiting as it may, or more than its share of a line that is full: the others'
    are not refused."""


class ClientGone(CaravanError):
    """The caller went away; for logs and cancellation, never sent."""

    status = 499
    type = "client_closed_request"
    code = "client_gone"


class UpstreamRefused(CaravanError):
    """The provider refused the request: its status and message are passed on."""

    status = 400
    type = "invalid_request_error"
    code = "upstream_refused"


class UpstreamFailed(CaravanError):
    """The provider failed or could not be reached."""

    status = 502
    code = "upstream_error"
    retryable = True


class UpstreamBroke(UpstreamFailed):
    """The provider's stream ended without its end."""

    code = "upstream_stream_broken"


class Unavailable(CaravanError):
    """Nothing can take the request now."""

    status = 503
    code = "unavailable"
    retryable = True


class NoWorker(Unavailable):
    """No worker serves this model at the moment."""

    code = "no_worker"


class Overloaded(Unavailable):
    """Every slot is busy and the waiting line is full, or waiting took too long."""

    code = "overloaded"
    limit = 0
    """Requests that may wait; 0 when it was not that bound which was reached."""


class WorkerLost(Unavailable):
    """The worker that held the request died or stopped answering before its first token."""

    code = "worker_lost"


class DependencyDown(Unavailable):
    """PostgreSQL, Redis or NATS cannot be reached."""

    code = "dependency_down"


class DeadlineExceeded(CaravanError):
    """The request's time is over."""

    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"


class StreamInterrupted(CaravanError):
    """A stream that had begun could not be finished."""

    status = 502
    code = "stream_interrupted"


class CannotContinue(CaravanError):
    """What was said of an answer is not known here any more: nobody can finish it."""

    status = 502
    code = "cannot_continue"
