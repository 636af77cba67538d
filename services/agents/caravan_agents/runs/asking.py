"""Asking the model for one turn of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from caravan_bus.inference import Asked
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import ContextLengthExceeded
from caravan_contracts.inference import Verb

from caravan_agents.responses.chat import chat_body
from caravan_agents.responses.items import Item
from caravan_agents.responses.messages import to_messages
from caravan_agents.responses.request import ResponseRequest
from caravan_agents.responses.resolving import resolve
from caravan_agents.responses.tools import Offered
from caravan_agents.responses.truncating import TRIES, shortened
from caravan_agents.runs.journal import Claimed
from caravan_agents.runs.parts import Parts
from caravan_agents.runs.state import State

Accepted = Callable[[], Awaitable[None]]


class Model:
    """As one run asks it: one answer at a time."""

    def __init__(
        self,
        parts: Parts,
        context: RequestContext,
        request: ResponseRequest,
        run: Claimed | None,
        credentials: Mapping[str, str] | None,
    ) -> None:
        """`credentials` are the caller's own for providers."""
        self._parts = parts
        self._context = context
        self._request = request
        self._run = run
        self._credentials = credentials
        self._asked: Asked | None = None
        self._files = AsyncExitStack()
        """Memory for those of the last question: its body is kept until its answer is there."""

    async def ask(self, state: State, hosted: Sequence[Offered], accepted: Accepted) -> tuple[Asked, bytes]:
        """The beginning of the answer, and whose it is. A model that has no room for all of it is asked again with
        less, if that is wished. `accepted` is called once a worker has accepted."""
        items: Sequence[Item] = state.said
        for _ in range(TRIES):
            asked = await self._send(items, state.turn, hosted)
            await accepted()
            try:
                return asked, await asked.stream.read()
            except ContextLengthExceeded:
                less = shortened(items) if self._request.truncation == "auto" else None
                if less is None:
                    raise
                items = less
        asked = await self._send(items, state.turn, hosted)
        return asked, await asked.stream.read()

    async def leave(self) -> None:
        """Give up what is left of the last answer."""
        try:
            if self._asked is not None:
                asked, self._asked = self._asked, None
                await self._parts.client.finish(asked)
        finally:
            await self._files.aclose()

    async def _send(self, items: Sequence[Item], turn: int, hosted: Sequence[Offered]) -> Asked:
        """Returns once a worker accepted."""
        await self.leave()
        request = self._request
        if turn >= self._parts.max_turns:
            # it has to answer in words now
            request, hosted = replace(request, tools=(), tool_choice="auto"), ()
        resolved = resolve(items, self._context.principal.tenant, self._parts.compactor.sealing)
        filled = self._parts.attachments.filled(resolved, request.input, self._context)
        told = await self._files.enter_async_context(filled)
        body = chat_body(request, to_messages(told, request.instructions), hosted, first=turn == 0)
        context = self._context
        if self._run is not None:
            context = replace(context, idempotency_key=f"{self._run.id}.{turn}")
        self._asked = asked = await self._parts.client.ask(Verb.CHAT, body, context, self._credentials)
        return asked
