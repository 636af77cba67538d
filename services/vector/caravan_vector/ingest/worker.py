"""Jobs of the queue `ingest`: each is one file, and ends with what became of it written down."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

import orjson
from caravan_bus.work.queue import Job, JobRefused, TryLater
from caravan_contracts.errors import CaravanError, DependencyDown, NotFound
from caravan_contracts.vectors import FailureCode

from caravan_vector.attached.telling import Telling
from caravan_vector.cleaning import Cleaner
from caravan_vector.indexes.opened import Indexes
from caravan_vector.ingest.claims import Claim, Claims
from caravan_vector.ingest.keeper import Keeper
from caravan_vector.ingest.pipeline import Lost, Pipeline
from caravan_vector.parsing.errors import DocumentError

log = logging.getLogger(__name__)

MOST_LOST: Final = 5
"""Times in a row that a file may be left by its workers: they died of it, or failed in a way nobody foresaw."""
_LONGEST_PAUSE: Final = 30.0
_TAKEN_PAUSE: Final = 1.0


class Worker:
    """One per process."""

    def __init__(
        self,
        claims: Claims,
        keeper: Keeper,
        pipeline: Pipeline,
        indexes: Indexes,
        cleaner: Cleaner,
        telling: Telling,
        patience: float,
    ) -> None:
        """`patience`: seconds without getting on after which a file fails for want of what it needs."""
        self._claims = claims
        self._keeper = keeper
        self._pipeline = pipeline
        self._indexes = indexes
        self._cleaner = cleaner
        self._telling = telling
        self._patience = patience

    async def work(self, job: Job) -> None:
        """Read one file; it is completed or failed when this returns. Raises TryLater while another worker has it, or
        what it needs is away; JobRefused for a job that is none; DependencyDown."""
        number = _number(job)
        claim = await self._claims.take(number)
        if claim is None:
            left = await self._claims.left(number)
            if left is not None:
                raise TryLater("another worker reads the file", retry_after=left + _TAKEN_PAUSE)
            return
        if claim.lost > MOST_LOST:
            await self._failed(claim, "server_error", f"it was begun {claim.lost} times, and no worker got on with it")
            return
        reading = asyncio.create_task(self._read(claim), name=f"file-{number}")
        self._keeper.hold(claim, reading)
        try:
            await asyncio.wait({reading})
        except asyncio.CancelledError:
            reading.cancel()
            await asyncio.wait({reading})
            await self._leave(claim)
            raise
        finally:
            self._keeper.drop(claim)
        if reading.cancelled():
            await self._cleaner.clean_if_over(claim.number, claim.store)
            return
        await reading

    async def _leave(self, claim: Claim) -> None:
        try:
            await self._claims.leave(claim)
        except DependencyDown as error:
            log.info("the lease of a file has to end by itself: %s", error.message, extra={"file": claim.file_id})

    async def _read(self, claim: Claim) -> None:
        """To its end. Raises what leaves the file for later."""
        try:
            await self._through(claim)
        except asyncio.CancelledError:
            raise
        except Lost:
            await self._cleaner.clean_if_over(claim.number, claim.store)
        except DocumentError as error:
            if error.retryable and claim.lost < MOST_LOST:  # its reader was killed from outside
                await self._claims.release(claim, lost=True)
                raise TryLater(error.message, retry_after=_TAKEN_PAUSE) from error
            await self._failed(claim, _code(error), error.message)
        except CaravanError as error:
            await self._later(claim, error)

    async def _through(self, claim: Claim) -> None:
        index = self._indexes.get(claim.store.provider)
        if claim.attributes:  # whoever changes them while it is read tells the index as well
            try:
                await self._telling.tell(claim.store, claim.number, claim.attributes)
            except NotFound as error:
                raise Lost from error
        await self._pipeline.read(claim, index)
        if not await self._claims.finish(claim):
            raise Lost

    async def _later(self, claim: Claim, error: CaravanError) -> None:
        """What it needs refuses, or is away. Raises TryLater, unless that has gone on for too long."""
        if not _passing(error):
            await self._failed(claim, "server_error", error.message)
            return
        if claim.troubled > self._patience:
            await self._failed(claim, "server_error", f"given up after {claim.troubled:.0f} s: {error.message}")
            return
        await self._claims.release(claim, lost=False)
        pause = min(_LONGEST_PAUSE, max(error.retry_after or 0.0, 1.0 + claim.troubled / 4))
        raise TryLater(error.message, retry_after=pause * random.uniform(0.7, 1.0)) from error

    async def _failed(self, claim: Claim, code: FailureCode, reason: str) -> None:
        log.info("a file cannot be read: %s", reason, extra={"file": claim.file_id, "store": claim.store.id})
        await self._claims.fail(claim, code, reason)
        await self._cleaner.clean_if_over(claim.number, claim.store)


def _number(job: Job) -> int:
    try:
        _, number = orjson.loads(job.data)
        return int(number)
    except (orjson.JSONDecodeError, TypeError, ValueError) as error:
        raise JobRefused(f"this is no file to be read: {job.data[:100]!r}") from error


def _code(error: DocumentError) -> FailureCode:
    if error.code == "unsupported_file":
        return "unsupported_file"
    return "invalid_file" if error.code == "invalid_file" else "server_error"


def _passing(error: CaravanError) -> bool:
    """Whether it may be better in a while."""
    return error.retryable or error.status in (408, 409, 429, 499) or error.status >= 500
