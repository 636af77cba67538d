"""The client: what the official OpenAI client has of chat, completions, embeddings, models, responses, moderations, and
Llama Stack's of shields; over the bus."""

from __future__ import annotations

import asyncio
import copy
import os
import random
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, Final, Self, TypeVar

import orjson
from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import SERVICE as INFERENCE
from caravan_contracts.inference import Verb

from caravan_client import address as addresses
from caravan_client.answers import Object, RerankResponse, plain
from caravan_client.asking import Asking
from caravan_client.errors import APIError, APIStatusError, may_help, status_error
from caravan_client.line import Call, Line
from caravan_client.resources import Chat, Completions, Embeddings, Models
from caravan_client.responses import Responses
from caravan_client.safety import Moderations, Safety, Shields
from caravan_client.stream import Event, Stream

Answer = TypeVar("Answer", bound=Object)
Events = TypeVar("Events", bound=Stream[Any])

DEFAULT_TIMEOUT: Final = 600.0
DEFAULT_MAX_RETRIES: Final = 2
STREAM_SECONDS: Final = 600.0
"""How long a streamed answer may take in all, unless the header ``x-caravan-timeout`` says something else."""
_OMITTED: Final = frozenset({"NotGiven", "Omit"})
"""Types by which callers of the OpenAI client say that a parameter is left out."""


class Caravan:
    """Asks models over the bus. One per process is enough: any number of requests may be under way.

    Connects at its first request, or when it is entered or awaited; use it on one event loop. Where the bus is and who
    asks is found by :func:`caravan_client.address.find` unless it is given.
    """

    chat: Chat
    completions: Completions
    embeddings: Embeddings
    models: Models
    responses: Responses
    moderations: Moderations
    safety: Safety
    shields: Shields

    def __init__(
        self,
        url: str | None = None,
        *,
        user: str | None = None,
        tenant: str | None = None,
        seed: str | None = None,
        seed_file: str | os.PathLike[str] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        connect_timeout: float = 5.0,
    ) -> None:
        """`timeout`: seconds for an answer, or between the events of a stream. `max_retries`: how often a request that
        failed before anything of its answer came is sent again, as the OpenAI client does it.

        Raises CaravanClientError when it cannot be found out where the bus is, or who asks.
        """
        found = addresses.find(url, user, tenant, seed, seed_file, data_dir)
        self._line = Line(found, connect_timeout)
        self.timeout = DEFAULT_TIMEOUT if timeout is None else timeout
        self.max_retries = max_retries
        self.default_headers = dict(default_headers or {})
        self._make_resources()

    @classmethod
    def connect(cls, url: str | None = None, **options: Any) -> Self:
        """A client to be entered (``async with``) or awaited, so that it is connected from there on."""
        return cls(url, **options)

    async def _connected(self) -> Self:
        await self._line.connect()
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self._connected().__await__()

    async def __aenter__(self) -> Self:
        return await self._connected()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up what is under way and leave the bus."""
        await self._line.close()

    @property
    def open_streams(self) -> int:
        """Answers under way."""
        return self._line.open_streams

    def with_options(
        self,
        *,
        timeout: float | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """The same client, on the same connection, with other options."""
        made = copy.copy(self)
        made.timeout = self.timeout if timeout is None else timeout
        made.max_retries = self.max_retries if max_retries is None else max_retries
        made.default_headers = {**self.default_headers, **(default_headers or {})}
        made._make_resources()
        return made

    async def rerank(
        self, *, model: str, query: str | Mapping[str, Any], documents: Iterable[str | Mapping[str, Any]], **params: Any
    ) -> RerankResponse:
        """Documents in the order in which they fit `query`; `top_n`, `return_documents` and others as ``POST
        /v1/rerank`` takes them."""
        fields = {"model": model, "query": query, "documents": list(documents), **params}
        return await self._ask(Verb.RERANK, fields, RerankResponse)

    async def _ask(self, verb: str, params: Mapping[str, Any], kind: type[Answer]) -> Answer:
        """One answer as a whole; `params` are the caller's, the OpenAI client's own (`extra_headers` …) among them."""
        body, headers, timeout = self._read(params)
        call = Call(INFERENCE, verb, body, headers)
        return await self._whole(lambda: self._line.asking(call, timeout), kind)

    async def _control(self, service: str, verb: str, params: Mapping[str, Any], kind: type[Answer]) -> Answer:
        """One message each way, of a service that does not stream."""
        body, headers, timeout = self._read(params)
        call = Call(service, verb, body, headers)
        for left in range(self.max_retries, -1, -1):
            try:
                answer, request_id = await self._line.exchange(call, timeout)
                return kind(orjson.loads(answer), request_id)
            except APIError as error:
                await _pause(error, left, self.max_retries)
        raise RuntimeError("unreachable")

    async def _stream(self, verb: str, params: Mapping[str, Any], kind: type[Event]) -> Stream[Event]:
        """One answer event by event; returns when its first bytes are there."""
        body, headers, timeout = self._read({**params, "stream": True})
        call = Call(INFERENCE, verb, body, headers)
        return await self._begun(lambda: Stream(self._line.asking(call, timeout, STREAM_SECONDS), kind))

    async def _whole(self, begin: Callable[[], Asking], kind: type[Answer]) -> Answer:
        """The answer to what `begin` makes, which is called for each try."""
        for left in range(self.max_retries, -1, -1):
            try:
                return await _once(begin(), kind)
            except APIError as error:
                await _pause(error, left, self.max_retries)
        raise RuntimeError("unreachable")

    async def _begun(self, begin: Callable[[], Events]) -> Events:
        """The stream that `begin` makes, which is called for each try, once its first bytes are there."""
        for left in range(self.max_retries, -1, -1):
            try:
                made = begin()
                await made.open()
                return made
            except APIError as error:
                await _pause(error, left, self.max_retries)
        raise RuntimeError("unreachable")

    def _read(self, params: Mapping[str, Any]) -> tuple[bytes, dict[str, str], float]:
        fields = {name: value for name, value in params.items() if type(value).__name__ not in _OMITTED}
        headers = {**self.default_headers, **(fields.pop("extra_headers", None) or {})}
        fields.pop("extra_query", None)
        timeout = fields.pop("timeout", None)
        fields.update(fields.pop("extra_body", None) or {})
        return orjson.dumps(fields, default=_json), headers, self.timeout if timeout is None else float(timeout)

    def _make_resources(self) -> None:
        self.chat = Chat(self)
        self.completions = Completions(self)
        self.embeddings = Embeddings(self)
        self.models = Models(self)
        self.responses = Responses(self)
        self.moderations = Moderations(self)
        self.safety = Safety(self)
        self.shields = Shields(self)


async def _once(asking: Asking, kind: type[Answer]) -> Answer:
    try:
        await asking.open()
        answer = await asking.read_all()
    except CaravanError as error:
        raise status_error(error, asking.request.request_id) from error
    finally:
        asking.cancel()
    try:
        return kind(orjson.loads(answer), asking.request.request_id)
    except orjson.JSONDecodeError as error:
        raise APIError("the answer is no JSON", request_id=asking.request.request_id) from error


def _json(value: Any) -> Any:
    made = plain(value)
    if made is not value:
        return made
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


async def _pause(error: APIError, left: int, retries: int) -> None:
    """Wait before the next try, as long as the OpenAI client does; raises `error` when there is none."""
    if left <= 0 or not may_help(error):
        raise error
    after = error.retry_after if isinstance(error, APIStatusError) else None
    if after is None:
        after = min(0.5 * 2 ** (retries - left), 8.0) * (1 - 0.25 * random.random())
    await asyncio.sleep(after)
