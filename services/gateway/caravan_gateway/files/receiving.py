"""The two routes that take bytes: ``POST /v1/files`` and ``POST /v1/uploads/{id}/parts``.

A place is asked for before anything is read, so that nothing comes for which there is no room; what is read goes
straight into the object store; then the files service is told what came there. Until that moment nobody sees anything,
and whoever dies before it leaves a place whose time ends.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from caravan_bus import metrics
from caravan_contracts import files as f
from caravan_contracts.errors import CaravanError, ClientGone, InvalidRequest, RequestTooLarge
from caravan_contracts.file_content import ContentCheck
from caravan_storage.objects import Objects, Stored
from pydantic import BaseModel

from caravan_gateway import asgi
from caravan_gateway.asgi import App, BodyTimeout, Receive, Scope, Send
from caravan_gateway.auth import Authenticator
from caravan_gateway.files.asking import Asking, Files
from caravan_gateway.files.fields import Fields
from caravan_gateway.files.form import Form, Part
from caravan_gateway.files.transfers import Transfers

FILES_PATH: Final = "/v1/files"
PARTS_PATH: Final = "/v1/uploads/{upload}/parts"
_PARTS: Final = re.compile(r"/v1/uploads/([^/]{1,200})/parts\Z")
_AROUND: Final = 1024 * 1024
"""Bytes that a body may have beside those of the file."""


@dataclass(frozen=True, slots=True)
class Taking:
    """One body on its way."""

    asking: Asking
    objects: Objects
    form: Form
    length: int
    """Of the body, as its head says it; 0 when it does not."""


class Taker(Protocol):
    """What is made of a body."""

    async def take(self, taking: Taking) -> BaseModel:
        """The answer."""
        ...


@dataclass(frozen=True, slots=True)
class _Route:
    path: str


class Receiving:
    """Both routes; the edge asks :meth:`find` which."""

    def __init__(
        self,
        files: Files,
        auth: Authenticator,
        ready: Callable[[], Awaitable[object]],
        transfers: Transfers,
        patience: float,
    ) -> None:
        """`ready`: awaited before anybody is let in; `patience`: seconds without a byte."""
        self._files = files
        self._auth = auth
        self._ready = ready
        self._transfers = transfers
        self._patience = patience

    def find(self, path: str) -> App | None:
        """What serves a POST to `path`; None when it takes no bytes."""
        if path == FILES_PATH:
            return self._app(NewFile(), FILES_PATH)
        match = _PARTS.match(path)
        return self._app(NewPart(match[1]), PARTS_PATH) if match is not None else None

    def _app(self, taker: Taker, path: str) -> App:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            scope["route"] = _Route(path)
            try:
                made = await self._take(taker, scope, receive)
            except ClientGone:
                raise
            except CaravanError as error:
                metrics.ERRORS.labels(error.code or error.type).inc()
                await asgi.send_json(send, error.status, error.to_json(), asgi.error_headers(error))
                return
            await asgi.send_json(send, 200, made.model_dump_json().encode(), [])

        return serve

    async def _take(self, taker: Taker, scope: Scope, receive: Receive) -> BaseModel:
        headers = dict(scope["headers"])
        await self._ready()
        principal = self._auth.who(headers.get(b"authorization", b""), headers.get(b"x-api-key", b""))
        asking = self._files.asking(scope["caravan_request_id"], principal)
        form = Form(headers.get(b"content-type", b""), receive, self._patience)
        given = headers.get(b"content-length", b"")
        length = int(given) if given.isdigit() and len(given) < 19 else 0
        with self._transfers.one(principal.tenant):
            return await taker.take(Taking(asking, self._files.objects, form, length))


class NewFile:
    """``POST /v1/files``."""

    async def take(self, taking: Taking) -> f.File:
        """The file. Raises InvalidRequest and its kin, BodyTimeout, ClientGone, and what the files service raises."""
        asking = taking.asking
        wanted = f.BeginFile(length=max(0, taking.length - _AROUND))
        place = await asking.ask("begin_file", wanted, f.Place)
        try:
            async with _within(place.seconds):
                finish = await _read_file(taking, place)
            return await asking.persist("finish_file", finish, f.File)
        except BaseException:
            await asking.forget("abandon_file", f.Abandon(id=place.id), f.Abandoned)
            raise


class NewPart:
    """``POST /v1/uploads/{upload}/parts``."""

    def __init__(self, upload: str) -> None:
        self._upload = upload

    async def take(self, taking: Taking) -> f.UploadPart:
        """The part. Raises as :meth:`NewFile.take`."""
        asking = taking.asking
        wanted = f.BeginPart(upload=self._upload, length=max(0, taking.length - _AROUND))
        place = await asking.ask("begin_part", wanted, f.Place)
        try:
            async with _within(place.seconds):
                stored = await _read_part(taking, place)
            finish = f.FinishPart(id=place.id, bytes=stored.size, sha256=stored.sha256)
            return await asking.persist("finish_part", finish, f.UploadPart)
        except BaseException:
            await asking.forget("abandon_part", f.Abandon(id=place.id), f.Abandoned)
            raise


async def _read_file(taking: Taking, place: f.Place) -> f.FinishFile:
    form, fields = taking.form, Fields()
    _check_length(taking.length, place.most)
    found: tuple[str, str, Stored, ContentCheck] | None = None
    while (part := await form.part()) is not None:
        if part.name != "file":
            fields.take(part.name, await form.text(part))
            continue
        if found is not None:
            raise InvalidRequest("the form has more than one 'file'", param="file")
        name = f.plain_name(_named(part))
        check = ContentCheck(name, part.media_type, fields.purpose)
        stored = await taking.objects.put(place.key, _pieces(form, place.most, check), place.most)
        found = (name, part.media_type, stored, check)
    if found is None:
        raise InvalidRequest("'file' is missing", param="file", code="missing_required_parameter")
    name, media_type, stored, check = found
    purpose = fields.needed_purpose()
    check.end(purpose)
    return f.FinishFile(
        id=place.id,
        bytes=stored.size,
        sha256=stored.sha256,
        purpose=purpose,
        filename=name,
        media_type=media_type,
        expires_after=fields.expires_after(),
    )


async def _read_part(taking: Taking, place: f.Place) -> Stored:
    form = taking.form
    _check_length(taking.length, place.most)
    stored: Stored | None = None
    while (part := await form.part()) is not None:
        if part.name != "data":
            await form.text(part)
            continue
        if stored is not None:
            raise InvalidRequest("the form has more than one 'data'", param="data")
        stored = await taking.objects.put(place.key, _pieces(form, place.most, None), place.most)
    if stored is None:
        raise InvalidRequest("'data' is missing", param="data", code="missing_required_parameter")
    if not stored.size:
        raise InvalidRequest("the part is empty", param="data", code="empty_file")
    return stored


async def _pieces(form: Form, most: int, check: ContentCheck | None) -> AsyncGenerator[bytes]:
    size = 0
    async for piece in form.data():
        size += len(piece)
        if size > most:
            raise _too_large(most)
        if check is not None:
            check.feed(piece)
        yield piece


def _check_length(length: int, most: int) -> None:
    if length > most + _AROUND:
        raise _too_large(most)


def _too_large(most: int) -> RequestTooLarge:
    return RequestTooLarge(f"at most {most} bytes are taken here", param="file", code="file_too_large")


def _named(part: Part) -> str:
    if part.filename is None:
        raise InvalidRequest("'file' should be a file with a name, not a field", param="file", code="invalid_type")
    return part.filename


@asynccontextmanager
async def _within(seconds: float) -> AsyncGenerator[None]:
    """``asyncio.timeout`` whose end is what a client is told of a body that takes too long."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise BodyTimeout(f"the body did not arrive within {seconds:g} s") from error
