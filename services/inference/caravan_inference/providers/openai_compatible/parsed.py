"""An upstream's answer, as the parser hears it: status, headers, and pieces of its body."""

from __future__ import annotations

from typing import Any

import httptools


class Parsed:
    """One answer at a time; :meth:`expect` begins another. `_break_off` is told of what is no HTTP."""

    __slots__ = ("_keep", "_parser", "_parts", "_stray", "_whole", "finished", "headers", "on_body", "status")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        # for each HTTP chunk, which is a token, the parser calls this: a list's own method costs least
        self.on_body = self._parts.append
        self._parser: Any = None
        self._keep = False
        self._whole = 0
        """Parts of the body when it was complete; what comes after them belongs to nobody."""
        self._stray = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.finished = False

    def expect(self) -> None:
        """The next bytes are the beginning of an answer."""
        self._parser = httptools.HttpResponseParser(self)
        self._parts.clear()
        self._whole = 0
        self._stray = self.finished = False
        self.status, self.headers = 0, {}

    def on_message_begin(self) -> None:
        """See httptools."""
        if self.finished:
            self._stray = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        if not self.finished:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """See httptools."""
        if not self.finished:
            self.status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        """See httptools."""
        if self.finished:
            return
        if self.status and self.status < 200:
            self.status, self.headers = 0, {}  # an interim answer: the real one follows
            return
        self.finished = True
        self._whole = len(self._parts)
        self._keep = bool(self._parser.should_keep_alive())  # the parser forgets it after this call
        self._stop_timer()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._break_off(f"no HTTP answer: {error}")
        if self._stray:
            del self._parts[self._whole :]
            self._keep = False

    def _break_off(self, why: str) -> None:
        raise NotImplementedError

    def _stop_timer(self) -> None:
        raise NotImplementedError
