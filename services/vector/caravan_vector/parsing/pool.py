"""The bounded pool of worker processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from caravan_vector.parsing.errors import KINDS, DocumentError, ParserFailed
from caravan_vector.parsing.frames import BadFrame, Frame, to_error, to_piece
from caravan_vector.parsing.limits import Limits
from caravan_vector.parsing.pieces import Piece
from caravan_vector.parsing.process import Document, Worker, WorkerGone

START_SECONDS = 60.0
"""From a worker's start, imports included, to its first word; a machine may be busy."""


class Reading(AsyncIterator[Piece]):
    """The pieces of one document, while a worker reads it."""

    def __init__(self, worker: Worker, limits: Limits) -> None:
        self._worker = worker
        self._limits = limits
        self._left = limits.seconds
        self._recognized = 0
        self._over = False
        self.clean = False
        """The worker said its last word about the document, and broke no bound."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece:
        if self._over:
            raise StopAsyncIteration
        try:
            return await self._next()
        except BaseException:
            self._over = True
            raise

    async def _next(self) -> Piece:
        try:
            kind, payload = await self._frame()
            while kind is Frame.MORE_TIME:
                self._allow()
                kind, payload = await self._frame()
            if kind is Frame.TEXT:
                return to_piece(payload)
            if kind is Frame.ERROR:
                raise self._error(payload)
            if kind is not Frame.END:
                raise BadFrame(f"a frame of kind {kind.name} in the middle")
        except BadFrame as error:
            raise ParserFailed(f"the process that read the document sent something else: {error}") from error
        self.clean = True
        raise StopAsyncIteration

    async def _frame(self) -> tuple[Frame, bytes]:
        kind, payload, self._left = await self._worker.next(self._limits, self._left)
        return kind, payload

    def _allow(self) -> None:
        """Time for one page more; a worker that asks too often is none of ours."""
        self._recognized += 1
        if self._recognized > self._limits.ocr_pages:
            raise BadFrame("more pages than may be read by OCR")
        self._left += self._limits.ocr_seconds

    def _error(self, payload: bytes) -> DocumentError:
        said = to_error(payload)
        bound = None if said["bound"] is None else str(said["bound"])
        self.clean = bound is None
        return KINDS.get(said["kind"], ParserFailed)(said["message"], bound=bound)


class ParserPool:
    """Reads documents, a few at once, each in a process of its own.

    A process serves one document after another until it had `documents` of them, or one of them broke it or a bound.
    Processes start when they are needed. Who waits for one gets it in the order of coming; how many may wait is the
    caller's to bound, and for how long.
    """

    def __init__(
        self,
        workers: int = 2,
        documents: int = 50,
        limits: Limits | None = None,
        parsers: Mapping[str, str] | None = None,
    ) -> None:
        """`parsers` adds to the table or goes before it: media type -> "module:function" (`formats/opened.py`)."""
        self.limits = limits or Limits()
        self._documents = documents
        self._parsers = dict(parsers or {})
        self._free = asyncio.Semaphore(workers)
        self._idle: list[Worker] = []
        self._closed = False

    @asynccontextmanager
    async def read(self, document: Document) -> AsyncIterator[Reading]:
        """The document's text, piece by piece; a reader that is slow makes its parser wait, and nobody else.

            async with pool.read(document) as pieces:
                async for piece in pieces: ...

        Leaving the block before the end, or being cancelled in it, ends the process. Raises UnsupportedFile,
        InvalidFile or ParserFailed.
        """
        async with self._free:
            worker = await self._begun(document)
            reading = Reading(worker, self.limits)
            try:
                yield reading
            finally:
                if reading.clean and worker.alive and worker.documents < self._documents and not self._closed:
                    self._idle.append(worker)
                else:
                    await worker.kill()

    async def close(self) -> None:
        """End the idle processes; those that read end with their readers."""
        self._closed = True
        while self._idle:
            await self._idle.pop().kill()

    async def _begun(self, document: Document) -> Worker:
        """A worker that has begun with it. One that died while it was idle is no fault of the document."""
        while self._idle:
            try:
                return await self._asked(self._idle.pop(), document)
            except WorkerGone:
                continue
        try:
            return await self._asked(await Worker.start(self.limits), document)
        except WorkerGone as error:
            raise ParserFailed("the process that reads documents does not start") from error

    async def _asked(self, worker: Worker, document: Document) -> Worker:
        try:
            await worker.ask(document, self.limits, self._parsers, START_SECONDS)
        except BadFrame as error:
            await worker.kill()
            raise ParserFailed(f"the process that reads documents said something else: {error}") from error
        except BaseException:
            await worker.kill()
            raise
        return worker
