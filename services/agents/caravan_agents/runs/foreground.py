"""Responses that somebody waits for.

The caller names the response. When its worker dies, another is asked for the response of the same name, and told how
many of its events have arrived: it goes on behind them, or makes all of it when nothing is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson
from caravan_bus.stream.sender import StreamSender
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CannotContinue, CaravanError, DependencyDown, StreamInterrupted
from caravan_contracts.inference import JSON_BODY, Summary

from caravan_agents.responses.request import ResponseRequest
from caravan_agents.runs import spans
from caravan_agents.runs.engine import Ended, failure_of
from caravan_agents.runs.finishing import finish, summary
from caravan_agents.runs.journal import Claimed
from caravan_agents.runs.keeper import Held
from caravan_agents.runs.log import RunTaken
from caravan_agents.runs.packing import pack
from caravan_agents.runs.parts import Parts
from caravan_agents.runs.rebuild import read_events, retold
from caravan_agents.runs.starting import Left, Started, at_its_end, go_on, open_run, start
from caravan_agents.runs.state import Opened

log = logging.getLogger(__name__)

_LAST_SECONDS: Final = 5.0
_TAKES: Final = 3
"""Times a run may be taken by somebody else while it is taken here."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a response."""

    context: RequestContext
    id: str
    after: int
    """Events that the caller has."""
    again: bool
    """Whether another worker was asked before."""
    body: bytes
    request: ResponseRequest
    credentials: Mapping[str, str] | None
    sender: StreamSender


class Foreground:
    """One per process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def serve(self, asked: Asked) -> None:
        """Make the response; its end goes into the sender. Raises what kept a model from being asked."""
        span, context = spans.of_run(asked.context, asked.id, asked.request.model)
        try:
            await self._serve(replace(asked, context=context))
        except BaseException as error:
            span.end(error, error.code or "" if isinstance(error, CaravanError) else "")
            raise
        span.end()

    async def _serve(self, asked: Asked) -> None:
        again = asked.again
        for _ in range(_TAKES):
            try:
                epoch = await self._another(asked) if again else 1
                if epoch:
                    await self._first(asked, epoch)
            except RunTaken:
                if asked.sender.seq or not asked.request.store:
                    raise StreamInterrupted("another worker goes on with this response") from None
                # another worker began it: it is gone, or it would have been waited for
                again = True
            else:
                return
        raise StreamInterrupted("this response is made elsewhere")

    async def _first(self, asked: Asked, epoch: int) -> None:
        parts, request = self._parts, asked.request
        if asked.after:
            raise CannotContinue("what was said of this response is not kept here, and so it cannot be finished")
        request, opened = await open_run(request, asked.context, parts)
        run = await self._journaled(asked, request, opened)
        out = asked.sender if request.stream else None
        started = start(parts, asked.context, asked.id, request, opened, out, run, asked.credentials, epoch)
        await self._through(asked, started, run)

    async def _journaled(self, asked: Asked, request: ResponseRequest, opened: Opened) -> Claimed | None:
        """With tools on the server, and where it may be compacted, every step is written down."""
        tenant = asked.context.principal.tenant
        kit = self._parts.kit(request, asked.context)
        if not request.store or (kit is None and not request.context_management):
            return None
        parts, principal = self._parts, asked.context.principal
        body = pack(parts.compactor.sealing, tenant, request, asked.body, asked.credentials)
        number = await parts.journal.accept(
            tenant, asked.id, opened.model, principal, body, False, opened.created_at, parts.instance
        )
        if number is None:
            raise RuntimeError("a run that somebody waits for is not queued")
        return Claimed(number, tenant, asked.id, opened.model, principal, False, body, 1, opened.created_at)

    async def _another(self, asked: Asked) -> int:
        """Go on where another worker was, to the end; the epoch to begin with when nothing is known of that, else 0."""
        parts, tenant = self._parts, asked.context.principal.tenant
        if not asked.request.store:
            return 1
        if await self._is_stored(asked):
            return 0
        run = await parts.journal.claim(tenant, asked.id, parts.instance, force=True)
        fenced = None
        try:
            fenced = await parts.tail.fence(tenant, asked.id, run.epoch if run is not None else 1, parts.instance)
        except DependencyDown as error:
            log.info("the events of a response cannot be read now: %s", error.message)
        if run is None and await self._is_stored(asked):  # it ended between the two
            return 0
        if run is None and (fenced is None or not fenced.said):
            return fenced.epoch if fenced is not None else 1
        try:
            started = await self._left(asked, Left(run, fenced, asked.after))
        except CannotContinue as error:
            if run is not None:
                broken = await at_its_end(parts, asked.context, run, failure_of(error))
                await finish(parts, asked.context, broken.engine, broken.log, failure_of(error), broken.given, run)
            raise
        log.info("a response goes on here", extra={"response": asked.id, "after": asked.after})
        await self._through(asked, started, run)
        return 0

    async def _left(self, asked: Asked, left: Left) -> Started:
        """A run as another worker left it: with a checkpoint, with what was said of it, or with nothing yet."""
        parts, context, run, request = self._parts, asked.context, left.run, asked.request
        out = asked.sender if request.stream else None
        if run is not None and run.checkpoint and run.opened:
            opened = Opened.decode(run.opened)
            request = replace(request, model=opened.model, instructions=opened.instructions)
        else:
            request, opened = await open_run(request, context, parts)
            if run is not None:
                return start(parts, context, asked.id, request, opened, out, run, asked.credentials)
        return await go_on(parts, context, asked.id, request, opened, out, left, asked.credentials)

    async def _is_stored(self, asked: Asked) -> bool:
        """Whether it ended meanwhile; then the caller has its end."""
        tenant = asked.context.principal.tenant
        found = await self._parts.store.find(tenant, asked.id)
        if found is None:
            return False
        if not asked.request.stream:
            asked.sender.end(Summary(response_id=asked.id, content_type=JSON_BODY), found)
            return True
        pieces = await self._parts.journal.events(tenant, asked.id, asked.after)
        events = [event for _, data in pieces for event in read_events(data) if event.number >= asked.after]
        if pieces and [event.number for event in events] != list(range(asked.after, asked.after + len(events))):
            raise CannotContinue("some of the events of this response are lost")
        if not pieces and asked.after:
            raise CannotContinue("the events of this response are not kept any more")
        told = b"".join([event.raw for event in events]) if pieces else retold(found)
        asked.sender.end(Summary(response_id=asked.id), told)
        return True

    async def _through(self, asked: Asked, started: Started, run: Claimed | None) -> None:
        held = None
        if run is not None:
            task = asyncio.current_task()
            assert task is not None
            held = self._parts.keeper.hold(run, task)
        try:
            await self._run(asked, started, run, held)
        except asyncio.CancelledError:
            if held is not None and held.why == "taken":
                raise StreamInterrupted("another worker goes on with this response") from None
            if asked.sender.cancelled or asked.context.remaining <= 0:
                await asyncio.shield(asyncio.create_task(self._give_up(asked, started, run), name="give-up"))
            raise
        finally:
            started.log.close()
            if held is not None:
                self._parts.keeper.drop(held)

    async def _run(self, asked: Asked, started: Started, run: Claimed | None, held: Held | None) -> None:
        engine, stream = started.engine, asked.request.stream
        try:
            ended = started.broken or await engine.run()
        except RunTaken:
            raise
        except CaravanError as error:
            if not asked.sender.seq and (not engine.begun or (not stream and error.status < 500 and not engine.told)):
                if run is not None:
                    await self._parts.journal.withdraw(run.tenant, run.id, self._parts.instance, run.epoch)
                raise  # nobody was told anything yet: the provider's own refusal says more
            ended = failure_of(error)
        if held is not None:
            held.ending = True
        finished = await finish(self._parts, asked.context, engine, started.log, ended, started.given, run)
        if stream and not finished.last:
            raise StreamInterrupted("another worker has finished this response")
        told = summary(engine, ended, finished.made)
        if stream:
            asked.sender.end(told)
        else:
            asked.sender.end(replace(told, content_type=JSON_BODY), orjson.dumps(finished.made))

    async def _give_up(self, asked: Asked, started: Started, run: Claimed | None) -> None:
        """Its caller went away: what was written down ends here, and everybody can see that."""
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                if run is None:
                    await self._parts.tail.forget(asked.context.principal.tenant, asked.id)
                    return
                await finish(
                    self._parts, asked.context, started.engine, started.log, Ended("cancelled"), started.given, run
                )
        except (CaravanError, TimeoutError) as error:
            log.info("a response that nobody waits for is ended later: %s", error, extra={"response": asked.id})
