"""The client's JSON, checked. What the engine cannot do is refused here, by the name of the field."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import orjson
from caravan_contracts.errors import InvalidJSON, InvalidRequest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_CHOICES = 16
MAX_STOPS = 16
_PASSED_ON = (
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "logit_bias",
    "top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n", "mirostat", "mirostat_tau", "mirostat_eta",
)  # fmt: skip


class Sampling(BaseModel):
    """What chat and completions have in common; the second half is llama.cpp's own."""

    model_config = ConfigDict(extra="ignore", strict=True)

    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    seed: int | None = None
    stop: Any = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None

    top_k: int | None = None
    min_p: float | None = Field(None, ge=0, le=1)
    typical_p: float | None = Field(None, ge=0, le=1)
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return self.n or 1

    @property
    def longest(self) -> int | None:
        """Tokens of an answer at most; None = until the context is full."""
        return self.max_tokens

    def for_engine(self, choice: int) -> dict[str, Any]:
        """The engine's fields for the answer number `choice`.

        With a seed the cache of prompts is not used: a prompt computed in other steps gives slightly other numbers,
        and the same request should give the same text.
        """
        made = {name: value for name in _PASSED_ON if (value := getattr(self, name)) is not None}
        if self.seed is not None:
            made["seed"] = (self.seed + choice) % 0xFFFF_FFFF  # the last one means "random" to the engine
            made["cache_prompt"] = False
        if self.stop is not None:
            made["stop"] = self.stop
        if self.longest is not None:
            made["max_tokens"] = self.longest
        return made


class ResponseFormat(BaseModel):
    """`response_format`."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


class Chat(Sampling):
    """Body of a chat call. Messages and tools are read by their own modules."""

    messages: list[dict[str, Any]] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = Field(None, strict=False)
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: list[Any] | None = None
    modalities: list[str] | None = None

    @property
    def longest(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


class Completion(Sampling):
    """Body of a completions call."""

    prompt: Any
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = Field(None, ge=1)
    logprobs: int | None = Field(None, ge=0, le=20)


_Body = TypeVar("_Body", Chat, Completion)


def _parse(kind: type[_Body], body: bytes) -> _Body:
    try:
        made = kind.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        param = _path(first["loc"])
        raise InvalidRequest(f"{param or 'the body'}: {first['msg']}", param=param or None) from error
    if made.stop is not None:
        made.stop = _stops(made.stop)
    return made


def _path(loc: tuple[int | str, ...]) -> str:
    """``messages[0]``, ``response_format.type``."""
    made = str(loc[0]) if loc else ""
    for part in loc[1:]:
        made += f"[{part}]" if isinstance(part, int) else f".{part}"
    return made


def _stops(given: Any) -> list[str]:
    stops = [given] if isinstance(given, str) else given
    if not isinstance(stops, list) or len(stops) > MAX_STOPS or not all(s and isinstance(s, str) for s in stops):
        raise InvalidRequest(f"stop should be text, or up to {MAX_STOPS} texts, and none of them empty", param="stop")
    return stops


def chat(body: bytes) -> Chat:
    """Raises InvalidJSON or InvalidRequest with the field's name."""
    made = _parse(Chat, body)
    if made.functions:
        raise InvalidRequest("functions are not supported; use tools", param="functions")
    if made.modalities and made.modalities != ["text"]:
        raise InvalidRequest("this model writes text only", param="modalities")
    if made.top_logprobs and not made.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs: true", param="top_logprobs")
    return made


def completion(body: bytes) -> Completion:
    """Raises InvalidJSON or InvalidRequest with the field's name."""
    made = _parse(Completion, body)
    if made.suffix:
        raise InvalidRequest("this model cannot fill in before a suffix", param="suffix")
    if made.best_of is not None and made.best_of > made.choices:
        raise InvalidRequest("best_of beyond n is not supported", param="best_of")
    if made.echo and made.logprobs is not None:
        raise InvalidRequest("echo with logprobs is not supported", param="echo")
    if len(prompts(made)) * made.choices > MAX_CHOICES:
        raise InvalidRequest(f"more than {MAX_CHOICES} answers at once (prompts times n)", param="prompt")
    return made


def prompts(body: Completion) -> list[str]:
    """The prompts, one or several. Raises InvalidRequest for tokens and for empty ones."""
    given = body.prompt if isinstance(body.prompt, list) else [body.prompt]
    for prompt in given:
        if isinstance(prompt, int | list):
            raise InvalidRequest("prompts of tokens are not supported; send text", param="prompt")
        if not isinstance(prompt, str) or not prompt:
            raise InvalidRequest("prompt should be text, or a list of texts, and not empty", param="prompt")
    if not given:
        raise InvalidRequest("prompt is empty", param="prompt")
    return given


def schema_of(format: ResponseFormat | None) -> dict[str, Any] | None:
    """The JSON schema the answer must follow; None = free text. Raises InvalidRequest."""
    if format is None or format.type == "text":
        return None
    if format.type == "json_object":
        return {"type": "object"}
    schema = (format.json_schema or {}).get("schema")
    if not isinstance(schema, dict):
        raise InvalidRequest("response_format.json_schema.schema is missing", param="response_format")
    return schema
