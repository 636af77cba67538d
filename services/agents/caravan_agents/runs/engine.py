"""The loop of a run: a turn of the model, the calls it wants, the next turn, until there is nothing more to do."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from caravan_bus.pauses import pauses
from caravan_bus.routing.delivered import Delivered
from caravan_bus.routing.splice import Diverged, Splice
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import (
    CaravanError,
    DependencyDown,
    StreamInterrupted,
    Unavailable,
)

from caravan_agents.responses import assembly
from caravan_agents.responses.assembly import IncompleteReason
from caravan_agents.responses.events import EventWriter, Terminal
from caravan_agents.responses.request import ResponseRequest
from caravan_agents.responses.turn import Hooks, ToolCall, Turn
from caravan_agents.runs.asking import Model
from caravan_agents.runs.calls import Calls, Emitting
from caravan_agents.runs.journal import Claimed
from caravan_agents.runs.log import RunLog, RunTaken
from caravan_agents.runs.parts import Parts
from caravan_agents.runs.rebuild import CannotRebuild, go_on_in_turn, read_events, writer_at
from caravan_agents.runs.state import Opened, State
from caravan_agents.runs.wanted import for_model, note
from caravan_agents.tools.base import HostedTool, Kit

log = logging.getLogger(__name__)

MAX_UNKNOWN: Final = 3
"""Turns in a row in which a model may call a tool that is not there."""
_PLAIN: Final = Hooks()
_BROKE: Final = "the model's answer broke off before it was finished"
_WAITING: Final = 2
_PATIENT: Final = 6
"""Times a turn may fail: for a caller that waits, and in the background. That nobody is there to ask is no failure; in
the background that is waited for."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    status: Terminal
    error: dict[str, Any] | None = None
    reason: IncompleteReason | None = None
    finish_reason: str = ""


class Engine:
    """One run in this process. `state`, `log` and `writer` are as far as it is."""

    def __init__(
        self,
        parts: Parts,
        context: RequestContext,
        request: ResponseRequest,
        state: State,
        writer: EventWriter,
        events: RunLog,
        run: Claimed | None = None,
        kit: Kit | None = None,
        credentials: Mapping[str, str] | None = None,
        hooks: Hooks = _PLAIN,
        splice: Splice | None = None,
        opened: Opened | None = None,
        opening: bytes = b"",
    ) -> None:
        """`run` when it is journaled. `splice` when the model was in the middle of a turn. `writer` stands behind what
        was said, and behind `opening`, events that are to be told as soon as the run really begins; `opened` is
        written down with them."""
        self._parts = parts
        self._context = context
        self._request = request
        self.state = state
        self.writer = writer
        self._log = events
        self._opened, self._opening = opened, opening
        self._told = writer.sequence if not opening else state.sequence
        self._run = run
        self._kit = kit
        self._hooks = hooks
        self._splice = splice
        self._credentials = credentials
        self._tools: dict[str, HostedTool] = {}
        self._model = Model(parts, context, request, run, credentials)
        self._heard = False
        """Whether the model said anything when it was asked last."""
        self.untold = b""
        """Events of a step that is being written down."""
        self.closing = b""
        """Events that end the last turn: they go out together with what comes next."""
        self.target = ""
        """The model that answered last."""
        self.first_ms = 0.0
        """Until the first of its answer."""

    @property
    def first_untold(self) -> int:
        """The number of the first event that was written and not told yet."""
        return self._told

    @property
    def begun(self) -> bool:
        """Whether anybody was told that it began."""
        return not self._opening

    @property
    def told(self) -> bool:
        """Whether anything of the answer was said."""
        return bool(self.writer.response.output)

    async def run(self) -> Ended:
        """To its end. Raises RunTaken, and what kept a model from being asked."""
        try:
            await self._open()
            while True:
                if self.state.pending or self.state.stop:
                    await self._calls()
                    if self.state.stop:
                        return Ended("completed", finish_reason="tool_calls")
                await self._compact()
                ended = await self._one_turn()
                if ended is not None:
                    return ended
        finally:
            await self._model.leave()
            if self._kit is not None:
                await self._kit.close()

    def tell(self, data: bytes) -> bool:
        """Events that the writer has just made; False when there is no room for more."""
        first, self._told = self._told, self.writer.sequence
        return self._log.tell(first, self._told, data)

    async def tell_all(self, data: bytes) -> None:
        """The same, and wait for room."""
        if not self.tell(data):
            await self._log.room()

    async def commit(self, data: bytes) -> None:
        """The end of a step: its events are in PostgreSQL, with the state behind them, before anybody reads them."""
        state, response = self.state, self.writer.response
        state.output = list(response.output)
        state.usage = asdict(response.usage) if response.usage is not None else None
        state.tier, state.sequence = response.service_tier, self.writer.sequence
        self.untold = data = self.untold + data
        if self._run is not None:
            await self._persist(self._run, [*self._log.unsaved(), (self._told, data)] if data else self._log.unsaved())
            self._log.saved(self.writer.sequence)
        self.untold = b""
        room = self.tell(data)
        if self._run is not None:
            self._log.end_turn()
        if not room:
            await self._log.room()

    async def begin(self) -> None:
        """Say that it began, once."""
        if self._opening:
            opening, self._opening = self._opening, b""
            await self.commit(opening)

    async def _persist(self, run: Claimed, events: list[tuple[int, bytes]]) -> None:
        opened = self._opened.encode() if self._opened is not None else None
        for pause in pauses(0.1, 2.0):
            try:
                await self._parts.journal.checkpoint(run, self.state.encode(), events, opened)
            except DependencyDown as error:
                if self._context.remaining < pause:
                    raise
                log.info("a run waits: %s", error.message, extra={"response": run.id})
                await asyncio.sleep(pause)
            else:
                self._opened = None
                return

    async def _open(self) -> None:
        if self._kit is None:
            return
        await self.begin()
        emit = Emitting(self.writer)
        try:
            found = await self._kit.open(emit, [*self.state.said, *self.writer.response.output])
        except CaravanError:
            self.closing = emit.take()  # what went wrong is told with the end
            raise
        self._tools = {tool.offered.name: tool for tool in found}
        if self.state.opened:
            return
        self.state.opened = True
        self._want(self._kit.allowed(self.state.said), emit)
        await self.commit(emit.take())

    async def _compact(self) -> None:
        """Make room before a turn, where that is wished and needed."""
        if not self._request.context_management or self._splice is not None:
            return
        context = self._context
        if self._run is not None:
            context = replace(context, idempotency_key=f"{self._run.id}.{self.state.turn}.compaction")
        compactor = self._parts.compactor
        await self._model.leave()  # its files are read again, and there is no memory for them twice
        for pause in pauses(0.2, 5.0):
            try:
                made = await compactor.between_turns(self._request, self.state.said, context, self._credentials)
                break
            except CaravanError as error:
                if not error.retryable or self._hurried or context.remaining < pause:
                    raise
                log.info("a compaction is begun again: %s", error.message, extra={"response": self.writer.response.id})
                await asyncio.sleep(pause)
        if made is None:
            return
        await self.begin()
        self.state.said = made.items
        if made.chat_usage is not None:
            self.writer.response.add_usage(made.chat_usage)
        await self.commit(self.writer.whole_item(made.item))

    # ---- the model

    async def _one_turn(self) -> Ended | None:
        state = self.state
        if self._splice is None and not self._opening:
            self._log.begin_turn()
        turn = await self._turn()
        state.turn += 1
        emit = Emitting(self.writer)
        if turn.error or turn.finish_reason is None:
            return Ended("failed", {"code": "server_error", "message": turn.error or _BROKE})
        if turn.incomplete:
            return Ended("incomplete", reason=turn.incomplete, finish_reason=turn.finish_reason)
        if not turn.calls:
            return Ended("completed", finish_reason=turn.finish_reason)
        if state.turn > self._parts.max_turns:  # no tools were offered any more
            return Ended("failed", {"code": "server_error", "message": "the model goes on calling tools"})
        state.said += turn.items
        state.stop = turn.client_calls
        self._want([(call, "") for call in turn.calls], emit)
        if state.unknown_calls > MAX_UNKNOWN:
            self.closing += emit.take()
            message = "the model goes on calling tools that are not there"
            return Ended("failed", {"code": "server_error", "message": message})
        closing, self.closing = self.closing, b""
        await self.commit(closing + emit.take())
        return None

    async def _turn(self) -> Turn:
        """One answer of the model, whole. What breaks is begun again, as far as that can be."""
        tries = 0
        for pause in pauses(0.2, 5.0):
            try:
                await self._ask_and_feed()
                turn, self.closing = self.writer.end_turn()
                self._splice = None
                return turn
            except CaravanError as error:
                await self._broke_off(error)
                tries += self._heard or not isinstance(error, Unavailable)
                if tries >= (_WAITING if self._hurried else _PATIENT) or self._context.remaining <= pause:
                    raise
                log.info("a turn is begun again: %s", error.message, extra={"response": self.writer.response.id})
            if not self._hurried:
                await asyncio.sleep(pause)
        raise AssertionError

    async def _broke_off(self, error: CaravanError) -> None:
        """Make ready to begin the turn again. Raises `error` when that cannot be, or is of no use."""
        if isinstance(error, Diverged):
            if not await self._forget_turn():
                raise error
            return
        if isinstance(error, RunTaken) or not (error.retryable or isinstance(error, StreamInterrupted)):
            raise error
        if self._hurried and not self.told:
            raise error
        if self.begun:
            await self._step_back(error)

    @property
    def _hurried(self) -> bool:
        """Whether somebody waits for it."""
        return self._run is None or not self._run.background

    async def _step_back(self, error: CaravanError) -> None:
        """To where the turn can be begun again: at its beginning when nobody has seen any of it, else behind what was
        said. Raises `error` when that cannot be."""
        if await self._forget_turn():
            return
        await self._log.settled()
        events = list(read_events(self._log.turn()))
        if not events and self.writer.sequence != self.state.sequence:
            raise error  # it was not kept
        self._to_beginning()
        if events:
            try:
                chat = go_on_in_turn(self.writer, events)
            except CannotRebuild:
                raise error from None
            self._told = self.writer.sequence
            self._splice = Splice(Delivered.read(chat), replay=True)

    async def _forget_turn(self) -> bool:
        """As if the turn had not begun, if nobody has seen anything of it."""
        run, tail = self._run, self._parts.tail
        if run is None or not run.background or self._log.saved_behind > self.state.sequence:
            return False
        try:
            await self._log.settled()
            if not await tail.restart(run.tenant, run.id, run.epoch):
                return False
        except DependencyDown:
            return False
        await self._parts.journal.drop(run, self.state.sequence)
        self._log.forget_turn()
        self._log.begin_tail_anew(self.state.sequence)
        self._to_beginning()
        self._splice = None
        return True

    def _to_beginning(self) -> None:
        self.writer = writer_at(self.writer.response, self.state, self._hooks)
        self._told = self.writer.sequence

    async def _ask_and_feed(self) -> None:
        self._heard, began = False, time.perf_counter()
        hosted = [tool.offered for tool in self._tools.values()]
        asked, data = await self._model.ask(self.state, hosted, self._accepted)
        self._heard, self.target = True, asked.stream.target
        self.first_ms = self.first_ms or (time.perf_counter() - began) * 1000
        feeding = _Feeding(self, self._log, self._splice)
        if not feeding.take(data):
            await feeding.room()
        feeding.take(await asked.stream.pump(feeding))

    async def _accepted(self) -> None:
        """A model is at work."""
        if self._opening:
            await self.begin()
            self._log.begin_turn()

    # ---- tools

    def _want(self, wanted: list[tuple[ToolCall, str]], emit: Emitting) -> None:
        note(wanted, self.state, self._tools, emit, self.writer.response.output, self._request.max_tool_calls)

    async def _calls(self) -> None:
        state, response = self.state, self.writer.response
        if not state.pending:
            return
        calls = Calls(self._tools, self.writer, self.tell_all, self._parts.journal, self._run, self._context)
        under_way = ("in_progress", "searching", "calling")
        done = {call.index for call in state.pending if response.output[call.index].get("status") not in under_way}
        outcomes = await calls.make(state.pending, done, self._request.parallel_tool_calls)
        for call in state.pending:
            state.said.append(for_model(response.output[call.index], outcomes[call.key]))
        if self._kit is not None:
            self._kit.learn(state.said[-len(state.pending) :])
        state.pending = []
        await self.commit(b"")


class _Feeding:
    """The sink of a chat completion: what arrives goes out as events, in the same turn of the loop."""

    __slots__ = ("_engine", "_splice", "room")

    def __init__(self, engine: Engine, events: RunLog, splice: Splice | None) -> None:
        self._engine = engine
        self._splice = splice
        self.room = events.room

    def take(self, data: bytes) -> bool:
        """See :class:`caravan_bus.stream.reader.Sink`."""
        if self._splice is not None:
            data = self._splice.feed(data) if data else b""
        engine = self._engine
        return engine.tell(engine.writer.feed(data)) if data else True


def failure_of(error: CaravanError) -> Ended:
    """The end of a run that something kept from going on."""
    return Ended("failed", assembly.error_object(error))
