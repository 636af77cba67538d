"""How reading a document fails. The codes are those of OpenAI's `last_error` of a vector store's file."""

from __future__ import annotations

from caravan_contracts.errors import CaravanError


class DocumentError(CaravanError):
    """One document could not be read; `bound` names the setting that it broke, if it was one."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_file"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        code: str | None = None,
        bound: str | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after=retry_after, code=code)
        self.bound = bound


class InvalidFile(DocumentError):
    """The document is broken, hostile, over a bound, or not what it says it is. Trying again does not help."""


class UnsupportedFile(DocumentError):
    """Nothing here reads this type."""

    code = "unsupported_file"


class ParserFailed(DocumentError):
    """The fault is ours: a worker was killed from outside or did not start. Another try may help."""

    status = 500
    type = "server_error"
    code = "server_error"
    retryable = True


KINDS: dict[str, type[DocumentError]] = {kind.__name__: kind for kind in (InvalidFile, UnsupportedFile, ParserFailed)}
"""By the name under which a worker reports them."""
