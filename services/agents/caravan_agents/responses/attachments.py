"""Files that an input names by their ids: read from the object store and put in as data, each time a model is asked.

What is stored and journaled of an input keeps the ids.
"""

from __future__ import annotations

import asyncio
import base64
import mimetypes
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from caravan_bus.requests import Requester
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import DeadlineExceeded, DependencyDown, InvalidRequest, NotFound, RequestTooLarge
from caravan_contracts.files import PAGE_ROWS, LocatedFile, LocatedFiles, LocateFiles
from caravan_contracts.users import FILES
from caravan_storage.objects import Objects

from caravan_agents.errors import NoObjectStore
from caravan_agents.responses.items import Item
from caravan_agents.room import Room

_MOST_FILES: Final = PAGE_ROWS
"""Of one input: one question to the files service."""
_SECONDS: Final = 60.0
"""To read all of them."""
_AT_ONCE: Final = 8
"""Inputs with as many bytes of files as there may be, that are told to models at once; more of smaller ones."""
_NAMING: Final = ("input_image", "input_file")
_IMAGES: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


class Attachments:
    """One per process."""

    def __init__(self, requester: Requester, objects: Objects | None, most: int) -> None:
        """`most`: bytes of all files of one input. Without `objects` no file can be named."""
        self._room = Room(_AT_ONCE * most)
        self._requester = requester
        self._objects = objects
        self._most = most

    async def check(self, given: Sequence[Item], context: RequestContext) -> None:
        """Whether the files that an input names are there, and not too large. Raises NotFound, RequestTooLarge,
        NoObjectStore, and what :meth:`Requester.ask` raises."""
        wanted = _named(given)
        if wanted:
            await self._located(wanted, frozenset(wanted), context)

    @asynccontextmanager
    async def filled(
        self, items: Sequence[Item], given: Sequence[Item], context: RequestContext
    ) -> AsyncIterator[Sequence[Item]]:
        """`items` with the data of every file that they name, for the time of the block: there is memory for so many
        of such inputs at once. Raises what :meth:`check` raises, InvalidRequest for an image that is none, Overloaded,
        and DependencyDown.

        A file of `given` must be there; in the place of one that was named earlier and is gone, the model is told so.
        """
        wanted = _named(items)
        if not wanted:
            yield items
            return
        located = await self._located(wanted, frozenset(_named(given)), context)
        seconds = min(_SECONDS, max(0.0, context.remaining))
        size = sum(file.file.bytes * wanted[name] for name, file in located.items())
        async with self._room.taken(size, seconds):
            try:
                async with asyncio.timeout(seconds):
                    read = {name: _data(file, await self._read(file)) for name, file in located.items()}
            except TimeoutError as error:
                raise DeadlineExceeded("the files of the input could not be read in time") from error
            yield [_with_data(item, read) for item in items]

    async def _located(
        self, wanted: Counter[str], needed: frozenset[str], context: RequestContext
    ) -> dict[str, LocatedFile]:
        if self._objects is None:
            raise NoObjectStore(
                "files cannot be named here: whoever runs the agents service sets CARAVAN_OBJECTS_URL for it, too"
            )
        if len(wanted) > _MOST_FILES:
            raise InvalidRequest(f"an input may name {_MOST_FILES} files, not {len(wanted)}", param="input")
        answer = await self._requester.ask(FILES, "locate_files", LocateFiles(ids=list(wanted)), LocatedFiles, context)
        found = {one.file.id: one for one in answer.data}
        for missing in (name for name in wanted if name in needed and name not in found):
            raise _no_file(missing)
        size = sum(file.file.bytes * wanted[name] for name, file in found.items())
        if size > self._most:
            raise RequestTooLarge(
                f"the files of the input have {size} bytes together, and at most {self._most} are taken", param="input"
            )
        return found

    async def _read(self, file: LocatedFile) -> bytes:
        assert self._objects is not None  # `_located` has looked
        data = bytearray()
        try:
            async with aclosing(self._objects.get(file.key, 0, file.file.bytes)) as pieces:
                async for piece in pieces:
                    data += piece
        except NotFound as error:  # it was deleted in this moment
            raise _no_file(file.file.id) from error
        if len(data) != file.file.bytes:
            raise DependencyDown(f"the file {file.file.id!r} cannot be read to its end")
        return bytes(data)


def _no_file(id: str) -> NotFound:
    return NotFound(f"there is no file {id[:200]!r}", param="input")


def _parts(item: Item) -> Iterator[dict[str, Any]]:
    """Parts that may name a file, of a message or of a tool's output."""
    for name in ("content", "output"):
        held = item.get(name)
        for part in held if isinstance(held, list) else ():
            if isinstance(part, dict) and part.get("type") in _NAMING:
                yield part


def _named(items: Iterable[Item]) -> Counter[str]:
    """The ids of files, and how often each is named."""
    return Counter(part["file_id"] for item in items for part in _parts(item) if part.get("file_id") is not None)


def _with_data(item: Item, read: dict[str, _Data]) -> Item:
    if not any(part.get("file_id") is not None for part in _parts(item)):
        return item
    made = dict(item)
    for name in ("content", "output"):
        if isinstance(item.get(name), list):
            made[name] = [_filled(part, read) for part in item[name]]
    return made


def _filled(part: dict[str, Any], read: dict[str, _Data]) -> dict[str, Any]:
    named = part.get("file_id")
    if named is None or part.get("type") not in _NAMING:
        return part
    data = read.get(named)
    if data is None:
        return {"type": "input_text", "text": f"(The file {named} was here; it has been deleted.)"}
    rest = {name: value for name, value in part.items() if name != "file_id"}
    if part["type"] == "input_image":
        return {**rest, "image_url": data.as_image(named)}
    return {**rest, "file_data": data.url, "filename": data.name}


class _Data:
    """A file that was read."""

    def __init__(self, name: str, type: str, image: str, data: bytes) -> None:
        self.name = name
        self._image = image
        self.url = f"data:{type};base64,{base64.b64encode(data).decode()}"

    def as_image(self, id: str) -> str:
        """Its data URL. Raises InvalidRequest when it is no image that models take."""
        if not self._image:
            raise InvalidRequest(
                f"the file {id!r} is no image: PNG, JPEG, GIF and WebP are taken",
                param="input",
                code="invalid_image_format",
            )
        return self.url


def _data(file: LocatedFile, data: bytes) -> _Data:
    image = _image_type(data[:12])
    declared = file.media_type.partition(";")[0].strip().lower()
    guessed = mimetypes.guess_type(file.file.filename)[0]
    return _Data(file.file.filename, image or declared or guessed or "application/octet-stream", image, data)


def _image_type(head: bytes) -> str:
    """By the first bytes: what a client declared is not believed. "" for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in _IMAGES.items() if head.startswith(mark)), "")
