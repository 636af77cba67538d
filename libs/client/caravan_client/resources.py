"""Chat, completions, embeddings, models: the OpenAI client's resources by their names and arguments.

Arguments that are not named here pass through to the provider as they are. The OpenAI client's own are understood:
`extra_body`, `extra_headers` (x-request-id, traceparent, tracestate, idempotency-key, x-caravan-timeout), `timeout`.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from sys import byteorder
from typing import TYPE_CHECKING, Any, Literal, overload

from caravan_contracts.inference import MODELS, Verb

from caravan_client.answers import (
    ChatCompletion,
    ChatCompletionChunk,
    Completion,
    CreateEmbeddingResponse,
    Model,
    ModelPage,
)
from caravan_client.stream import Stream

if TYPE_CHECKING:
    from caravan_client.client import Caravan


class ChatCompletions:
    """``client.chat.completions``."""

    def __init__(self, client: Caravan) -> None:
        self._client = client

    @overload
    async def create(
        self, *, model: str, messages: Iterable[Any], stream: Literal[True], **params: Any
    ) -> Stream[ChatCompletionChunk]: ...

    @overload
    async def create(
        self, *, model: str, messages: Iterable[Any], stream: Literal[False] | None = None, **params: Any
    ) -> ChatCompletion: ...

    async def create(
        self, *, model: str, messages: Iterable[Any], stream: bool | None = None, **params: Any
    ) -> ChatCompletion | Stream[ChatCompletionChunk]:
        """The next message of a chat, as a whole or event by event."""
        fields = {"model": model, "messages": messages, **params}
        if stream is True:
            return await self._client._stream(Verb.CHAT, fields, ChatCompletionChunk)
        return await self._client._ask(Verb.CHAT, fields, ChatCompletion)


class Chat:
    """``client.chat``."""

    def __init__(self, client: Caravan) -> None:
        self.completions = ChatCompletions(client)


class Completions:
    """``client.completions``."""

    def __init__(self, client: Caravan) -> None:
        self._client = client

    @overload
    async def create(self, *, model: str, prompt: Any, stream: Literal[True], **params: Any) -> Stream[Completion]: ...

    @overload
    async def create(
        self, *, model: str, prompt: Any, stream: Literal[False] | None = None, **params: Any
    ) -> Completion: ...

    async def create(
        self, *, model: str, prompt: Any, stream: bool | None = None, **params: Any
    ) -> Completion | Stream[Completion]:
        """What follows on a text, as a whole or event by event."""
        fields = {"model": model, "prompt": prompt, **params}
        if stream is True:
            return await self._client._stream(Verb.COMPLETIONS, fields, Completion)
        return await self._client._ask(Verb.COMPLETIONS, fields, Completion)


class Embeddings:
    """``client.embeddings``."""

    def __init__(self, client: Caravan) -> None:
        self._client = client

    async def create(
        self, *, model: str, input: Any, encoding_format: Literal["float", "base64"] | Any = None, **params: Any
    ) -> CreateEmbeddingResponse:
        """Vectors of texts. Unless a format is named they travel as base64 and are floats here, as with the OpenAI
        client."""
        chosen = encoding_format if isinstance(encoding_format, str) else None
        fields = {"model": model, "input": input, "encoding_format": chosen or "base64", **params}
        answer = await self._client._ask(Verb.EMBEDDINGS, fields, CreateEmbeddingResponse)
        if chosen is None:
            for row in answer.to_dict().get("data") or ():
                if isinstance(row.get("embedding"), str):
                    row["embedding"] = floats(row["embedding"])
        return answer


class Models:
    """``client.models``."""

    def __init__(self, client: Caravan) -> None:
        self._client = client

    def list(self, **params: Any) -> ModelList:
        """Every model of the caller's tenant: ``await`` it, or ``async for``."""
        return ModelList(self._client, params)

    async def retrieve(self, model: str, **params: Any) -> Model:
        """One model by any of its names. Raises NotFoundError."""
        return await self._client._ask(MODELS, {"model": model, **params}, Model)


class ModelList:
    """The models that are to be asked for."""

    def __init__(self, client: Caravan, params: Mapping[str, Any]) -> None:
        self._client = client
        self._params = params

    def __await__(self) -> Generator[Any, None, ModelPage]:
        return self._client._ask(MODELS, self._params, ModelPage).__await__()

    async def __aiter__(self) -> AsyncIterator[Model]:
        for model in (await self).data:
            yield model


def floats(packed: str) -> list[float]:
    """Little-endian float32 in base64, as OpenAI packs vectors."""
    made = array("f", base64.b64decode(packed))
    if byteorder == "big":
        made.byteswap()
    return made.tolist()
