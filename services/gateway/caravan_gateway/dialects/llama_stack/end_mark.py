"""Streams without ``[DONE]``, for Llama Stack's clients that speak OpenAI's API (generations 4 and 5).

llama-stack-client reads every event as JSON until some version after 0.3.5: the mark would raise in its caller. All of
its versions name themselves in a header, and take the end of the stream as its end.
"""

from __future__ import annotations

from typing import Final

from caravan_contracts.context import RequestContext

from caravan_gateway.asgi import Headers
from caravan_gateway.completions import CompletionRoute, Progress
from caravan_gateway.dialects.translated import Translated
from caravan_gateway.source import Source

CLIENT: Final = b"x-llamastack-client-version"
_MARK: Final = b"data: [DONE]"


class OpenAIRoute(CompletionRoute):
    """One of OpenAI's routes; these clients' streams end without the mark."""

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        begun = await super()._begin(progress, body, headers, context, provider_data)
        if CLIENT not in headers or not begun[1]:
            return begun
        source, _, more = begun
        return Translated(source, WithoutMark()), True, more


class WithoutMark:
    """Everything but the line of the mark; what may be the beginning of that line waits for the rest of it."""

    def __init__(self) -> None:
        self._held = b""
        self._within = False
        """Whether the last line's beginning was passed on already."""

    def feed(self, data: bytes) -> bytes:
        """See :meth:`caravan_gateway.dialects.base.Writer.feed`."""
        *lines, rest = (self._held + data).split(b"\n")
        made = b"".join(
            line + b"\n" for number, line in enumerate(lines) if (number == 0 and self._within) or line.strip() != _MARK
        )
        self._within = self._within and not lines
        self._held = rest if not self._within and (_MARK + b"\r").startswith(rest) else b""
        self._within = self._within or (bool(rest) and not self._held)
        return made if self._held else made + rest

    def end(self) -> bytes:
        """See :meth:`caravan_gateway.dialects.base.Writer.end`."""
        return b"" if self._held.strip() == _MARK else self._held

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`caravan_gateway.dialects.base.Writer.whole`."""
        return answer
