"""The bytes of a file to the client: as slowly as it takes them, whole or a range, and never as a page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

from caravan_contracts.errors import CaravanError, NotFound
from caravan_contracts.files import LocatedFile
from caravan_storage.objects import Objects
from fastapi import Request, Response

from caravan_gateway.asgi import Headers, Receive, Scope, Send
from caravan_gateway.errors import response
from caravan_gateway.files.ranges import RangeNotSatisfiable, wanted
from caravan_gateway.line import Line

log = logging.getLogger(__name__)

_STALLED_SECONDS: Final = 60.0
"""How long a client may take for a piece."""
_HARMLESS: Final = frozenset(
    (
        "application/pdf",
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "application/json",
        "application/jsonl",
        "text/plain",
        "text/csv",
        "text/markdown",
    )
)
"""Media types that are told as they were declared; anything else is bytes."""


async def answer(request: Request, located: LocatedFile, objects: Objects) -> Response:
    """What is sent for a GET or HEAD. Raises NotFound, DependencyDown."""
    tag = f'"{located.sha256}"'
    headers = _headers(located, tag)
    if _matches(request.headers.get("if-none-match", ""), tag):
        return Response(None, 304, headers)
    size = located.file.bytes
    start, end, status = 0, size, 200
    given = request.headers.get("range")
    if given is not None and request.headers.get("if-range", tag) == tag:
        try:
            part = wanted(given, size)
        except RangeNotSatisfiable as error:
            made = response(error)
            made.headers["content-range"] = f"bytes */{size}"
            return made
        if part is not None:
            start, end = part
            status = 206
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(None, status, headers)
    try:
        return await Bytes.open(objects.get(located.key, start, end), end - start, status, headers)
    except NotFound as error:  # it was deleted in this moment
        raise NotFound(f"there is no file {located.file.id!r}", param="file_id") from error


class Bytes(Response):
    """Pieces from the object store."""

    def __init__(
        self, first: bytes, pieces: AsyncIterator[bytes], size: int, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(None, status)
        self._first = first
        self._pieces = pieces
        self._left = size
        self._sent: Headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    @staticmethod
    async def open(pieces: AsyncIterator[bytes], size: int, status: int, headers: dict[str, str]) -> Bytes:
        """With the first piece read, so that what is not there is still an error with its status. `size`: bytes of
        all pieces."""
        return Bytes(await anext(pieces, b""), pieces, size, status, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them; whoever goes away, or takes nothing for a minute, gets no more."""
        line: Line | None = scope.get("caravan_line")  # none once the client has gone
        leaving = asyncio.create_task(_left(receive))
        try:
            async with _closing(self._pieces):
                await self._send(send, leaving)
        except TimeoutError:
            log.info("a client took nothing for %g s", _STALLED_SECONDS)
            if line is not None:
                line.cut()
        except CaravanError as error:  # the head has promised more: only a broken line tells that it does not come
            log.warning("a file cannot be read to its end: %s", error.message)
            if line is not None:
                line.cut()
        finally:
            leaving.cancel()

    async def _send(self, send: Send, leaving: asyncio.Task[None]) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self._sent})
        await self._piece(send, self._first)
        async for piece in self._pieces:
            if leaving.done():
                return
            await self._piece(send, piece)
        if self._left:
            raise CaravanError(f"{self._left} bytes of it are missing")

    async def _piece(self, send: Send, piece: bytes) -> None:
        # the last one says so: a client that has them all may ask for the next thing at once
        self._left -= len(piece)
        async with asyncio.timeout(_STALLED_SECONDS):
            await send({"type": "http.response.body", "body": piece, "more_body": self._left > 0})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def _closing(pieces: AsyncIterator[bytes]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def _headers(located: LocatedFile, tag: str) -> dict[str, str]:
    declared = located.media_type.partition(";")[0].strip().lower()
    return {
        "content-type": declared if declared in _HARMLESS else "application/octet-stream",
        "content-disposition": disposition(located.file.filename),
        "etag": tag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
    }


def disposition(name: str) -> str:
    """``Content-Disposition`` (RFC 6266): to be saved under `name`, never to be shown."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _matches(header: str, tag: str) -> bool:
    given = [one.strip().removeprefix("W/") for one in header.split(",")]
    return "*" in given or tag in given
