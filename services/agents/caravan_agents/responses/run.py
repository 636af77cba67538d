"""One response, from its request to what is stored of it: history, the model, its events."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from caravan_bus.inference import Asked, InferenceClient
from caravan_bus.stream.sender import StreamSender
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, ContextLengthExceeded, InvalidRequest
from caravan_contracts.inference import JSON_BODY, Summary, Usage, Verb

from caravan_agents.prompts.store import Store as Prompts
from caravan_agents.prompts.templates import render
from caravan_agents.responses import assembly
from caravan_agents.responses.assembly import ResponseObject
from caravan_agents.responses.chat import chat_body
from caravan_agents.responses.events import EventWriter, Terminal
from caravan_agents.responses.ids import new_id
from caravan_agents.responses.items import Item
from caravan_agents.responses.messages import to_messages
from caravan_agents.responses.request import ResponseRequest, read_request
from caravan_agents.responses.store import ResponseStore
from caravan_agents.responses.truncating import TRIES, shortened
from caravan_agents.responses.turn import Turn

_OWN: Final = frozenset({"function", "custom"})
"""Types of tools that the client runs itself."""
_BROKE: Final = "the model's answer broke off before it was finished"


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs are made with; one per process."""

    client: InferenceClient
    store: ResponseStore
    prompts: Prompts


class Run:
    """One response."""

    def __init__(
        self, parts: Parts, context: RequestContext, credentials: Mapping[str, str], sender: StreamSender
    ) -> None:
        """`credentials` are the caller's own for providers."""
        self._parts = parts
        self._context = context
        self._tenant = context.principal.tenant
        self._credentials = dict(credentials) or None
        self._sender = sender
        self._asked: Asked | None = None
        """The model's answer."""

    async def run(self, body: bytes) -> None:
        """All of it. Raises what is wrong with the request, and what kept the model from being asked."""
        request = await self._prepared(read_request(body))
        items = [*await self._history(request), *request.input]
        response = ResponseObject(new_id("resp"), int(time.time()), request)
        try:
            asked = await self._ask(request, items)
            await self._answer(request, items, EventWriter(response), asked)
        finally:
            await self._leave()

    async def _ask(self, request: ResponseRequest, items: Sequence[Item]) -> Asked:
        """Returns once a worker accepted."""
        await self._leave()
        body = chat_body(request, to_messages(items, request.instructions))
        self._asked = asked = await self._parts.client.ask(Verb.CHAT, body, self._context, self._credentials)
        return asked

    async def _leave(self) -> None:
        if self._asked is not None:
            asked, self._asked = self._asked, None
            await self._parts.client.finish(asked)

    async def _first(self, request: ResponseRequest, items: Sequence[Item], asked: Asked) -> tuple[Asked, bytes]:
        """The beginning of the answer, and whose it is. A model that has no room for all of it is asked again with
        less, if that is wished."""
        for _ in range(TRIES):
            try:
                return asked, await asked.stream.read()
            except ContextLengthExceeded:
                less = shortened(items) if request.truncation == "auto" else None
                if less is None:
                    raise
                items = less
            asked = await self._ask(request, items)
        return asked, await asked.stream.read()

    async def _prepared(self, request: ResponseRequest) -> ResponseRequest:
        """With its prompt put in. Raises InvalidRequest for what is not served, NotFound for a prompt that is not."""
        if request.background:
            raise _unserved("background", "responses in the background")
        for at, tool in enumerate(request.tools):
            if tool["type"] not in _OWN:
                raise _unserved(f"tools[{at}].type", f"tools of the type {tool['type']!r}")
        if request.context_management:
            raise _unserved("context_management", "compaction")
        for at, item in enumerate(request.input):
            if item["type"] in ("item_reference", "compaction"):
                raise _unserved(f"input[{at}].type", f"items of the type {item['type']!r}")
        if request.prompt is None:
            return request
        given = request.prompt
        version = given.get("version")
        if version is not None and not str(version).isdecimal():
            raise InvalidRequest("'prompt.version' is a number", param="prompt.version")
        prompt = await self._parts.prompts.get(self._tenant, given["id"], int(version) if version else None)
        text = render(prompt.prompt, _texts(given.get("variables") or {}))
        if not request.model:
            raise InvalidRequest("'model' is missing: a prompt here names none", param="model", code="missing_model")
        return replace(request, instructions=f"{text}\n\n{request.instructions}" if request.instructions else text)

    async def _history(self, request: ResponseRequest) -> list[Item]:
        store = self._parts.store
        if request.conversation:
            return await store.said(self._tenant, request.conversation)
        if request.previous_response_id:
            return await store.history(self._tenant, request.previous_response_id)
        return []

    async def _answer(self, request: ResponseRequest, items: Sequence[Item], writer: EventWriter, asked: Asked) -> None:
        began = time.perf_counter()
        first = 0.0
        # of an answer that is no stream the events go nowhere; what they are made of is kept all the same
        feeding = _Feeding(writer, self._sender if request.stream else None)
        feeding.tell(writer.start() + writer.begin())
        failure: dict[str, Any] | None = None
        turn: Turn | None = None
        try:
            asked, data = await self._first(request, items, asked)
            first = (time.perf_counter() - began) * 1000
            if not feeding.take(data):
                await feeding.room()
            feeding.take(await asked.stream.pump(feeding))
            turn, events = writer.end_turn()
            feeding.tell(events)
        except CaravanError as error:
            if not request.stream and error.status < 500 and not writer.response.output:
                raise  # nobody was told anything yet: the provider's own refusal says more
            failure = assembly.error_object(error)
        if turn is not None and (turn.error or turn.finish_reason is None):
            failure = {"code": "server_error", "message": turn.error or _BROKE}
        await self._end(request, writer, asked, turn, failure, first)

    async def _end(
        self,
        request: ResponseRequest,
        writer: EventWriter,
        asked: Asked,
        turn: Turn | None,
        failure: dict[str, Any] | None,
        first: float,
    ) -> None:
        reason = turn.incomplete if turn is not None and failure is None else None
        status: Terminal = "failed" if failure else "incomplete" if reason else "completed"
        now = int(time.time())
        last = writer.finish(status, error=failure, reason=reason, at=now)
        made = writer.response.snapshot(status, error=failure, reason=reason, completed_at=now)
        # before the client hears of the end: what it was told is there, it can ask for
        await self._parts.store.keep(self._tenant, request.input, made, request.store)
        usage = made["usage"]
        summary = Summary(
            response_id=made["id"],
            model=asked.stream.target,
            finish_reason=turn.finish_reason or "" if turn is not None else "",
            usage=Usage(usage["input_tokens"], usage["output_tokens"]) if usage else None,
            first_token_ms=first,
        )
        if request.stream:
            self._sender.end(summary, last)
        else:
            self._sender.end(replace(summary, content_type=JSON_BODY), orjson.dumps(made))


class _Feeding:
    """The sink of a chat completion: what arrives goes out as events, in the same turn of the loop."""

    __slots__ = ("_sender", "_writer")

    def __init__(self, writer: EventWriter, sender: StreamSender | None) -> None:
        """Without a `sender` the events go nowhere."""
        self._writer = writer
        self._sender = sender

    def take(self, data: bytes) -> bool:
        """See :class:`caravan_bus.stream.reader.Sink`."""
        return self.tell(self._writer.feed(data))

    def tell(self, events: bytes) -> bool:
        """Send events; False when the receiver has to take some first."""
        return self._sender.write(events) if self._sender is not None else True

    async def room(self) -> None:
        """See :class:`caravan_bus.stream.reader.Sink`."""
        if self._sender is not None:
            await self._sender.room()


def _unserved(param: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"'{param}': {what} are not served here", param=param, code="unsupported_value")


def _texts(variables: Mapping[str, Any]) -> dict[str, str]:
    """Values of a prompt's variables. Raises InvalidRequest for one that is no text."""
    made = {}
    for name, value in variables.items():
        text = value.get("text") if isinstance(value, dict) and value.get("type") == "input_text" else value
        if not isinstance(text, str):
            raise InvalidRequest(f"'prompt.variables.{name[:100]}' is a text", param=f"prompt.variables.{name[:100]}")
        made[name] = text
    return made
