"""multipart/form-data (RFC 7578), read as it comes: never more in memory than what arrived at once."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from caravan_contracts.errors import ClientGone, InvalidRequest, UnsupportedMediaType
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from caravan_gateway.asgi import BodyTimeout, Receive

MOST_PARTS: Final = 32
FIELD_BYTES: Final = 16 * 1024
"""Of one field that is no file."""
_OTHER_NAME: Final = re.compile(rb";\s*filename\*=(?:utf-8|UTF-8)''([^;\s]+)")


class BadForm(InvalidRequest):
    """The body is no form that can be read."""

    code = "invalid_multipart"


@dataclass(frozen=True, slots=True)
class Part:
    """What stands before the bytes of a part."""

    name: str
    filename: str | None
    """None for a field."""
    media_type: str


@dataclass(frozen=True, slots=True)
class _End:
    last: bool
    """Of the form; else of a part."""


class Form:
    """One body. Ask for a part, then for its data, and so on: parts come in the order in which they were sent."""

    def __init__(self, content_type: bytes, receive: Receive, patience: float) -> None:
        """`patience`: seconds without a byte. Raises UnsupportedMediaType, BadForm."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise UnsupportedMediaType("the body should be multipart/form-data")
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise BadForm("the header Content-Type names no boundary")
        self._receive = receive
        self._patience = patience
        self._events: deque[Part | bytes | _End] = deque()
        self._pieces: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._parts = 0
        self._more = True
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise BadForm(f"the boundary cannot be used: {error}") from error

    async def part(self) -> Part | None:
        """The next one; what was not read of the one before is passed over. None at the end. Raises BadForm,
        BodyTimeout, ClientGone."""
        while True:
            event = await self._next()
            if isinstance(event, Part):
                return event
            if isinstance(event, _End) and event.last:
                return None

    async def data(self) -> AsyncGenerator[bytes]:
        """The bytes of the part that was asked for last, in pieces. Raises as :meth:`part`."""
        while not isinstance(event := await self._next(), _End):
            if isinstance(event, bytes):
                yield event

    async def text(self, part: Part) -> str:
        """The bytes of a field. Raises as :meth:`part`."""
        made = bytearray()
        async for piece in self.data():
            made += piece
            if len(made) > FIELD_BYTES:
                raise BadForm(f"the field {part.name[:100]!r} has more than {FIELD_BYTES} bytes", param=part.name[:100])
        try:
            return made.decode()
        except UnicodeDecodeError as error:
            raise BadForm(f"the field {part.name[:100]!r} is no UTF-8", param=part.name[:100]) from error

    async def _next(self) -> Part | bytes | _End:
        while not self._events:
            await self._fill()
        return self._events.popleft()

    async def _fill(self) -> None:
        if not self._more:
            raise BadForm("the body ends before its last boundary")
        try:
            async with asyncio.timeout(self._patience):
                event = await self._receive()
        except TimeoutError as error:
            raise BodyTimeout(f"nothing of the body came for {self._patience:g} s") from error
        if event["type"] == "http.disconnect":
            raise ClientGone("the client went away before its body was complete")
        self._more = bool(event.get("more_body", False))
        try:
            self._parser.write(event.get("body", b""))
        except FormParserError as error:
            raise BadForm(f"the body is no multipart/form-data that can be read: {error}") from error
        self._flush()

    def _flush(self) -> None:
        """What came of a part at once becomes one piece, however it is cut up by what looks like a boundary."""
        if self._pieces:
            self._events.append(b"".join(self._pieces))
            self._pieces.clear()

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise BadForm(f"a form may have {MOST_PARTS} parts")
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        kind, options = parse_options_header(disposition)
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise BadForm("a part of the form has no name")
        filename = options.get(b"filename")
        other = _OTHER_NAME.search(disposition)
        if filename is None and other is not None:
            filename = unquote(other[1].decode("latin-1")).encode("utf-8", "replace")
        self._events.append(
            Part(
                name.decode("utf-8", "replace"),
                None if filename is None else filename.decode("utf-8", "replace"),
                self._headers.get(b"content-type", b"").decode("latin-1")[:200],
            )
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _on_part_end(self) -> None:
        self._flush()
        self._events.append(_End(last=False))

    def _on_end(self) -> None:
        self._more = False
        self._events.append(_End(last=True))
