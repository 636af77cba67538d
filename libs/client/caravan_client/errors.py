"""What can go wrong, by the names and in the tree of the official OpenAI client.

CaravanClientError
└── APIError                    an error event in a stream that had begun; a stream that broke
    ├── APIConnectionError      the bus cannot be reached
    │   └── APITimeoutError     the request's time is over
    └── APIStatusError          an answer with a status; `status_code`
        ├── BadRequestError 400 · AuthenticationError 401 · PermissionDeniedError 403 · NotFoundError 404
        ├── ConflictError 409 · UnprocessableEntityError 422 · RateLimitError 429
        └── InternalServerError 5xx
"""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.errors import CaravanError, DeadlineExceeded


class CaravanClientError(Exception):
    """The base of all."""


class APIError(CaravanClientError):
    """Something that the other side said of the request, or that became of it."""

    message: str
    body: object | None
    """The `error` object of the answer: message, type, param, code."""
    code: str | None
    param: str | None
    type: str | None
    request_id: str | None
    """As logs and traces of the mesh have it."""

    def __init__(self, message: str, *, body: object | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.body = body
        self.request_id = request_id
        said: dict[str, Any] = body if isinstance(body, dict) else {}
        code = said.get("code")
        self.code = None if code is None else str(code)
        self.param = said.get("param")
        self.type = said.get("type")


class APIConnectionError(APIError):
    """The bus cannot be reached, or was left."""

    def __init__(self, message: str = "Connection error.", *, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)


class APITimeoutError(APIConnectionError):
    """The request's time is over; the worker was told to stop."""

    def __init__(self, message: str = "Request timed out.", *, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)


class APIStatusError(APIError):
    """An error with a status, before anything of the answer came."""

    status_code: int
    retry_after: float | None
    """Seconds after which another try may help, if the other side said so."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        body: object | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, body=body, request_id=request_id)
        self.status_code = status_code
        self.retry_after = retry_after


class BadRequestError(APIStatusError):
    """400."""


class AuthenticationError(APIStatusError):
    """401."""


class PermissionDeniedError(APIStatusError):
    """403."""


class NotFoundError(APIStatusError):
    """404."""


class ConflictError(APIStatusError):
    """409."""


class UnprocessableEntityError(APIStatusError):
    """422."""


class RateLimitError(APIStatusError):
    """429."""


class InternalServerError(APIStatusError):
    """500 and above."""


_MAX_WAIT: Final = 120.0
"""Seconds; who says `retry_after` more is not asked again."""
_BY_STATUS: Final[dict[int, type[APIStatusError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error(error: CaravanError, request_id: str) -> APIError:
    """What an error that came instead of an answer is called here."""
    if isinstance(error, DeadlineExceeded):
        return APITimeoutError(request_id=request_id)
    kind = _BY_STATUS.get(error.status, InternalServerError if error.status >= 500 else APIStatusError)
    return kind(
        f"Error code: {error.status} - {error.message}",
        status_code=error.status,
        body=error.to_body()["error"],
        request_id=request_id,
        retry_after=error.retry_after,
    )


def stream_error(error: CaravanError, request_id: str) -> APIError:
    """What an error that ended a stream is called here: its status cannot be told any more."""
    if isinstance(error, DeadlineExceeded):
        return APITimeoutError(request_id=request_id)
    return APIError(error.message, body=error.to_body()["error"], request_id=request_id)


def event_error(error: object, request_id: str) -> APIError:
    """An `error` that stood in an event of a stream."""
    said = error.get("message") if isinstance(error, dict) else None
    message = said if isinstance(said, str) and said else "An error occurred during streaming"
    return APIError(message, body=error, request_id=request_id)


def may_help(error: APIError) -> bool:
    """Whether the OpenAI client would send the same request again after `error`."""
    if isinstance(error, APIStatusError):
        if error.code == "insufficient_quota" or error.status_code == 409 or (error.retry_after or 0) > _MAX_WAIT:
            return False
        return error.status_code in (408, 429) or error.status_code >= 500
    return isinstance(error, APIConnectionError)
