"""Answers: OpenAI's objects with attributes, light.

An object holds the JSON as it came; an attribute is made when somebody asks for it. A field that OpenAI declares and
the answer does not have is None; one that only this provider has is there all the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Self, get_args, get_type_hints

import orjson


class Object:
    """The base: attributes, ``to_dict()``, ``to_json()``, equality by content."""

    def __init__(self, data: dict[str, Any], request_id: str | None = None) -> None:
        self.__dict__["_data"] = data
        self.__dict__["_request_id"] = request_id

    if TYPE_CHECKING:
        _request_id: str | None
        """As the mesh logs it; on the object that a call returned."""
    else:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            nested = _fields(type(self))
            if name in self._data:
                value = _wrapped(self._data[name], nested.get(name))
            elif name in nested:
                value = None
            else:
                raise AttributeError(f"{type(self).__name__} has no field {name!r}")
            self.__dict__[name] = value
            return value

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: what came, and what was set since."""
        own: dict[str, Any] = self.__dict__
        made = dict(own["_data"])
        for name, value in own.items():
            if not name.startswith("_") and (name in made or value is not None):
                made[name] = plain(value)
        return made

    def model_dump(self, *, exclude_none: bool = False, **_: Any) -> dict[str, Any]:
        """:meth:`to_dict`, under the name that pydantic's models have for it."""
        made = self.to_dict()
        return {name: value for name, value in made.items() if value is not None} if exclude_none else made

    def to_json(self) -> str:
        """:meth:`to_dict` as JSON."""
        return orjson.dumps(self.to_dict()).decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Object) and type(self) is type(other) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"{type(self).__name__}({said})"

    def __getstate__(self) -> tuple[dict[str, Any], str | None]:
        return self.to_dict(), self._request_id

    def __setstate__(self, state: tuple[dict[str, Any], str | None]) -> None:
        self.__dict__["_data"], self.__dict__["_request_id"] = state

    def __copy__(self) -> Self:
        return type(self)(self.to_dict(), self._request_id)


@cache
def _fields(kind: type[Object]) -> dict[str, type[Object] | None]:
    """Declared fields of a class, and the class of what is in them (alone or in a list)."""
    made: dict[str, type[Object] | None] = {}
    for name, hint in get_type_hints(kind).items():
        if not name.startswith("_"):
            made[name] = _object_in(hint)
    return made


def _object_in(hint: Any) -> type[Object] | None:
    if isinstance(hint, type) and issubclass(hint, Object):
        return hint
    return next((found for part in get_args(hint) if (found := _object_in(part)) is not None), None)


def _wrapped(value: Any, kind: type[Object] | None) -> Any:
    if kind is None:
        return value
    if isinstance(value, dict):
        return kind(value)
    if isinstance(value, list):
        return [_wrapped(item, kind) for item in value]
    return value


def plain(value: Any) -> Any:
    """Objects in `value`, ours and pydantic's, as JSON has them. Raises TypeError for what is none (orjson's hook)."""
    if isinstance(value, Object):
        return value.to_dict()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump(mode="json", exclude_unset=True)
    return value


class PromptTokensDetails(Object):
    audio_tokens: int | None
    cached_tokens: int | None


class CompletionTokensDetails(Object):
    accepted_prediction_tokens: int | None
    audio_tokens: int | None
    reasoning_tokens: int | None
    rejected_prediction_tokens: int | None


class CompletionUsage(Object):
    """Tokens, as the provider counted them."""

    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    completion_tokens_details: CompletionTokensDetails | None
    prompt_tokens_details: PromptTokensDetails | None


class Function(Object):
    arguments: str
    name: str


class ChatCompletionMessageToolCall(Object):
    id: str
    function: Function
    type: str


class ChatCompletionMessage(Object):
    """Can be put into `messages` of the next request as it is."""

    content: str | None
    refusal: str | None
    role: str
    annotations: list[dict[str, Any]] | None
    audio: dict[str, Any] | None
    function_call: Function | None
    tool_calls: list[ChatCompletionMessageToolCall] | None


class TopLogprob(Object):
    token: str
    bytes: list[int] | None
    logprob: float


class ChatCompletionTokenLogprob(Object):
    token: str
    bytes: list[int] | None
    logprob: float
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(Object):
    content: list[ChatCompletionTokenLogprob] | None
    refusal: list[ChatCompletionTokenLogprob] | None


class Choice(Object):
    finish_reason: str
    index: int
    logprobs: ChoiceLogprobs | None
    message: ChatCompletionMessage


class ChatCompletion(Object):
    """Answer of ``chat.completions.create``."""

    id: str
    choices: list[Choice]
    created: int
    model: str
    object: str
    service_tier: str | None
    system_fingerprint: str | None
    usage: CompletionUsage | None


class ChoiceDeltaToolCallFunction(Object):
    arguments: str | None
    name: str | None


class ChoiceDeltaToolCall(Object):
    index: int
    id: str | None
    function: ChoiceDeltaToolCallFunction | None
    type: str | None


class ChoiceDelta(Object):
    content: str | None
    function_call: ChoiceDeltaToolCallFunction | None
    refusal: str | None
    role: str | None
    tool_calls: list[ChoiceDeltaToolCall] | None


class ChunkChoice(Object):
    delta: ChoiceDelta
    finish_reason: str | None
    index: int
    logprobs: ChoiceLogprobs | None


class ChatCompletionChunk(Object):
    """One event of a stream of ``chat.completions.create``."""

    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    object: str
    service_tier: str | None
    system_fingerprint: str | None
    usage: CompletionUsage | None


class CompletionChoice(Object):
    finish_reason: str
    index: int
    logprobs: dict[str, Any] | None
    text: str


class Completion(Object):
    """Answer of ``completions.create``, and one event of its streams."""

    id: str
    choices: list[CompletionChoice]
    created: int
    model: str
    object: str
    system_fingerprint: str | None
    usage: CompletionUsage | None


class Embedding(Object):
    embedding: list[float]
    index: int
    object: str


class EmbeddingUsage(Object):
    prompt_tokens: int
    total_tokens: int


class CreateEmbeddingResponse(Object):
    """Answer of ``embeddings.create``."""

    data: list[Embedding]
    model: str
    object: str
    usage: EmbeddingUsage


class RerankResult(Object):
    index: int
    relevance_score: float
    document: dict[str, Any] | None


class RerankResponse(Object):
    """Answer of ``rerank``: best first."""

    id: str
    model: str
    results: list[RerankResult]
    usage: EmbeddingUsage | None


class Model(Object):
    id: str
    created: int
    object: str
    owned_by: str
    model_type: str
    provider_id: str
    metadata: dict[str, Any]


class ModelPage(Object):
    """Every model: ``.data``, or ``async for``."""

    data: list[Model]
    object: str

    async def __aiter__(self) -> AsyncIterator[Model]:
        for model in self.data:
            yield model
