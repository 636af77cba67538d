"""What goes wrong with a server, and how that is said."""

from __future__ import annotations

from typing import Any, Literal

Kind = Literal["http_error", "mcp_protocol_error"]


class ServerFailure(Exception):
    """A server could not be asked, or did not answer as it should. Its text may be shown."""

    def __init__(self, message: str, kind: Kind = "http_error", code: int = 502) -> None:
        message = message.encode("utf-8", "replace").decode()  # strangers' half characters are not JSON
        super().__init__(message)
        self.message = message
        self.kind: Kind = kind
        """As OpenAI tells them apart."""
        self.code = code
        """A status of HTTP, or a code of JSON-RPC."""

    def error(self) -> dict[str, Any]:
        """The field `error` of an `mcp_call`."""
        return {"type": self.kind, "code": self.code, "message": self.message}


class TimedOut(ServerFailure):
    """No answer within the time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s", code=504)


class TooLarge(ServerFailure):
    """An answer that was not read to its end."""

    def __init__(self, bytes: int) -> None:
        super().__init__(f"the answer is longer than {bytes} bytes", code=502)
