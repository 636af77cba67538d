"""Responses in the background: written down and queued, so that neither is without the other, then made by whichever
worker is free.

The row comes first; its job follows, and is published again until the row says that it is in the queue. A worker that
finds a job whose run belongs to another waits for that one's end, or its death.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import Final

import orjson
from caravan_bus.stream.sender import StreamSender
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.work.queue import Job, QueueFull, TryLater, WorkQueue
from caravan_contracts import headers as h
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, DependencyDown, InvalidRequest
from caravan_contracts.inference import JSON_BODY, Summary

from caravan_agents.responses.assembly import ResponseObject
from caravan_agents.responses.events import EventWriter
from caravan_agents.responses.ids import of_input
from caravan_agents.responses.preparing import check
from caravan_agents.responses.request import read_request
from caravan_agents.runs import spans
from caravan_agents.runs.engine import Ended, failure_of
from caravan_agents.runs.finishing import finish
from caravan_agents.runs.following import Following
from caravan_agents.runs.foreground import Asked
from caravan_agents.runs.journal import Claimed
from caravan_agents.runs.keeper import Held
from caravan_agents.runs.log import RunTaken
from caravan_agents.runs.packing import pack, unpack
from caravan_agents.runs.parts import Parts
from caravan_agents.runs.starting import Left, Started, at_its_end, forget_unseen, go_on, open_run, start
from caravan_agents.runs.state import Opened, State
from caravan_agents.runs.tail import Fenced

log = logging.getLogger(__name__)

MAX_LOST: Final = 9
"""Times a run may be left without its getting on: its process died, or failed in a way that nobody foresaw."""
_END_SECONDS: Final = 30.0
_LAST_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 1.0
"""Between two looks whether a run has lost its worker."""
_FLUSH_SECONDS: Final = 0.5


class Background:
    """One per process."""

    def __init__(self, parts: Parts, queue: WorkQueue, most: int) -> None:
        """At most so many runs wait in the queue."""
        self._parts = parts
        self._queue = queue
        self._most = most

    async def accept(self, asked: Asked) -> None:
        """Write it down and queue it; what the sender ends with is the queued response, or all its events. Raises
        QueueFull when too many wait."""
        tenant = asked.context.principal.tenant
        began = await self._begun(tenant, asked.id) if asked.again else None
        if began is None:
            try:
                began = await self._write_down(asked)
            except RunTaken:  # by a worker that died before it could say so
                began = await self._begun(tenant, asked.id)
                if began is None:
                    raise
        if asked.request.stream:
            await self.follow(asked.context, asked.id, asked.after, asked.sender)
            return
        queued = ResponseObject(asked.id, began, asked.request).snapshot("queued")
        asked.sender.end(Summary(response_id=asked.id, content_type=JSON_BODY), orjson.dumps(queued))

    async def follow(self, context: RequestContext, id: str, first: int, sender: StreamSender) -> None:
        """Send the events of a response, from the number `first` on, to the last."""
        await Following(self._parts, context, id, sender).follow(first)

    async def publish(self, tenant: str, id: str, again: str = "", traceparent: str = "") -> None:
        """Queue a run that is written down; with another `again`, another time. Raises QueueFull, Unavailable,
        DependencyDown."""
        headers = {h.TRACEPARENT: traceparent} if traceparent else {}
        await self._queue.send(Job(id.removeprefix("resp_") + again, orjson.dumps([tenant, id]), headers))
        await self._parts.journal.published(tenant, id)

    async def work(self, job: Job) -> None:
        """Make one response; it is stored when this returns. Raises TryLater while another worker has it."""
        tenant, response = orjson.loads(job.data)
        run = await self._parts.journal.claim(tenant, response, self._parts.instance)
        if run is None:
            known = await self._parts.journal.known(tenant, response)
            if known is None:
                return  # it is over
            raise TryLater(f"the response is made by {known.owner}", retry_after=_LOOK_SECONDS)
        await self.make(run, job.headers.get(h.TRACEPARENT, ""))

    async def make(self, run: Claimed, traceparent: str = "") -> None:
        """Go on with a run that is ours, to its end."""
        until = time.monotonic() + self._parts.seconds
        span, context = spans.of_run(RequestContext(f"run_{run.id}", run.principal, until, traceparent), run.id, "")
        task = asyncio.current_task()
        assert task is not None
        held = self._parts.keeper.hold(run, task)
        try:
            await self._make(run, context, held)
        except RunTaken:
            raise TryLater("another worker goes on with the response", retry_after=_LOOK_SECONDS) from None
        except TryLater:
            raise
        except Exception as error:
            await self._let_go(run, failed=not (isinstance(error, CaravanError) and error.retryable))
            raise
        finally:
            span.end()
            self._parts.keeper.drop(held)

    async def give_up(self, tenant: str, id: str) -> None:
        """End a run that somebody waited for, and nobody does any more. Raises DependencyDown."""
        run = await self._parts.journal.claim(tenant, id, self._parts.instance)
        if run is None:
            return
        log.info("a response that nobody waits for is ended", extra={"response": id})
        context = RequestContext(f"run_{id}", run.principal, time.monotonic() + _END_SECONDS)
        started = await at_its_end(self._parts, context, run, Ended("cancelled"))
        try:
            await finish(self._parts, context, started.engine, started.log, Ended("cancelled"), started.given, run)
        except RunTaken:
            log.info("it goes on elsewhere", extra={"response": id})
        finally:
            started.log.close()

    async def _begun(self, tenant: str, id: str) -> int | None:
        """When it was written down, in Unix seconds; None when it never was."""
        known = await self._parts.journal.known(tenant, id)
        if known is not None:
            return known.created_at
        found = await self._parts.store.find(tenant, id)
        return int(orjson.loads(found)["created_at"]) if found is not None else None

    async def _write_down(self, asked: Asked) -> int:
        parts, request, context = self._parts, asked.request, asked.context
        check(request, self._parts.compactor.sealing)
        tenant = context.principal.tenant
        parts.kit(request, context)  # what is not served is refused now
        if request.previous_response_id and await parts.journal.known(tenant, request.previous_response_id):
            raise InvalidRequest(
                f"the response {request.previous_response_id!r} is not finished yet",
                param="previous_response_id",
            )
        await open_run(request, context, parts)  # the same for what is not there
        body = pack(parts.compactor.sealing, tenant, request, asked.body, asked.credentials)
        now = int(time.time())
        events = EventWriter(ResponseObject(asked.id, now, request)).start()
        number = await parts.journal.accept(
            tenant,
            asked.id,
            request.model,
            context.principal,
            body,
            True,
            now,
            queued=self._most,
            events=events,
        )
        if number is None:
            raise QueueFull(f"{self._most} responses wait already; try again shortly", retry_after=5)
        try:
            await self.publish(tenant, asked.id, "", context.traceparent)
        except (QueueFull, asyncio.CancelledError):
            await parts.journal.withdraw(tenant, asked.id)
            raise
        except (CaravanError, TimeoutError) as error:
            # the row is there: its job is published as soon as that can be done
            log.info("a run is queued later: %s", error, extra={"response": asked.id})
        return now

    async def _make(self, run: Claimed, context: RequestContext, held: Held) -> None:
        started: Started | None = None
        try:
            if run.lost > MAX_LOST:
                error = CaravanError(f"{run.lost} times this response could not be gone on with")
                started = await at_its_end(self._parts, context, run, failure_of(error))
            else:
                started = await self._started(run, context)
            ended = await self._ended(run, started)
        except asyncio.CancelledError:
            if held.why == "taken":
                raise TryLater("another worker goes on with the response", retry_after=_LOOK_SECONDS) from None
            if held.why != "cancelled":
                # in a task of its own: who drains cancels again and again
                await asyncio.shield(asyncio.create_task(self._let_go(run), name=f"let-go-{run.id}"))
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            started = started or await at_its_end(self._parts, context, run, Ended("cancelled"))
            ended = Ended("cancelled")
        held.ending = True
        try:
            await started.engine.begin()
            await finish(self._parts, context, started.engine, started.log, ended, started.given, run)
        finally:
            started.log.close()

    async def _ended(self, run: Claimed, started: Started) -> Ended:
        if started.broken is not None:
            return started.broken
        if run.cancelled:
            return Ended("cancelled")
        flushing = asyncio.create_task(self._flush(run, started), name=f"flush-{run.id}")
        try:
            return await started.engine.run()
        except RunTaken:
            raise
        except CaravanError as error:
            log.info("a response in the background failed: %s", error.message, extra={"response": run.id})
            return failure_of(error)
        finally:
            await cancel_and_wait(flushing)

    async def _flush(self, run: Claimed, started: Started) -> None:
        """While Redis is gone, whoever follows reads from PostgreSQL."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            if started.log.degraded:
                pieces = started.log.unsaved()
                behind = started.engine.first_untold
                try:
                    await self._parts.journal.keep(run, pieces)
                except RunTaken:
                    return
                except DependencyDown as error:
                    log.debug("events are kept here alone: %s", error.message)
                else:
                    started.log.saved(behind)

    async def _started(self, run: Claimed, context: RequestContext) -> Started:
        """Raises what may be better later; what will not ends the run."""
        try:
            return await self._begin(run, context)
        except CaravanError as error:
            if error.retryable or isinstance(error, RunTaken):
                raise
            log.info("a response cannot be gone on with: %s", error.message, extra={"response": run.id})
            return await at_its_end(self._parts, context, run, failure_of(error))

    async def _begin(self, run: Claimed, context: RequestContext) -> Started:
        parts = self._parts
        body, keys = unpack(parts.compactor.sealing, run.tenant, run.body)
        request = read_request(body, of_input(run.id))
        if run.checkpoint is None or run.opened is None:
            request, opened = await open_run(request, context, parts)
            opened = replace(opened, created_at=run.created_at)
            return start(parts, context, run.id, request, opened, None, run, keys)
        opened = Opened.decode(run.opened)
        request = replace(request, model=opened.model, instructions=opened.instructions)
        fenced: Fenced | None = None
        try:
            fenced = await parts.tail.fence(run.tenant, run.id, run.epoch, parts.instance)
        except DependencyDown as error:
            log.info("the tail of a run cannot be read now: %s", error.message)
        state = State.decode(run.checkpoint)
        if not state.pending and await forget_unseen(parts, run, state.sequence):
            fenced = Fenced(run.epoch, [])
        log.info("a response in the background goes on here", extra={"response": run.id, "lost": run.lost})
        return await go_on(parts, context, run.id, request, opened, None, Left(run, fenced), keys)

    async def _let_go(self, run: Claimed, failed: bool = False) -> None:
        """Another process may go on at once; `failed` when it is not known why this one cannot."""
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self._parts.journal.release(run, failed)
        except (CaravanError, TimeoutError) as error:
            log.info("a run is left to whoever finds its lease over: %s", error, extra={"response": run.id})
