"""The same table in the words of other APIs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from tests.cancel.table import Phase, Row

Object = dict[str, Any]
Asks = Callable[[str], Object]


def _events(body: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines]


def _lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


def _fields(told: Any) -> set[str]:
    error = told["error"]
    return set(error) if isinstance(error, dict) else set()


@dataclass(frozen=True)
class Api:
    """What its clients see of an answer without a good end."""

    name: str
    error: tuple[str, ...]
    """Fields of an error; none where it is a text."""
    good: bytes
    """What a stream with a good end holds."""
    pieces: Callable[[bytes], list[Any]] = _events
    streamed: tuple[str, ...] = ()
    """Fields of an error in a stream, where they are others."""

    def refused(self, body: bytes) -> bool:
        """Whether an answer is an error; it may have details."""
        return _fields(json.loads(body)) - {"details"} == set(self.error)

    def broke(self, body: bytes) -> bool:
        """Whether a stream ended with an error, behind pieces of which none says that it is whole."""
        *pieces, last = self.pieces(body)
        return bool(pieces) and self.good not in body and _fields(last) == set(self.streamed or self.error)


ANTHROPIC: Final = Api("anthropic", ("type", "message"), b"message_stop")
OLLAMA: Final = Api("ollama", (), b'"done":true', _lines)
GOOGLE: Final = Api("google", ("code", "message", "status"), b"finishReason")
GOOGLE_ARRAY: Final = Api("google", GOOGLE.error, GOOGLE.good, json.loads)
INTERACTIONS: Final = Api("interactions", GOOGLE.error, b"interaction.complete", streamed=("code", "message"))


@dataclass(frozen=True)
class DialectRow(Row):
    """One kind of request of another API."""

    api: Api = ANTHROPIC
    asks: Asks = dict

    def model(self, phase: Phase) -> str:
        return f"{super().model(phase)}-{self.api.name}" if phase is Phase.PAUSE else super().model(phase)

    def url(self, phase: Phase) -> str:
        return self.path.replace("{model}", self.model(phase))

    def body(self, phase: Phase, text: str) -> Object:
        made = self.asks(text)
        if "{model}" not in self.path:
            made["model"] = self.model(phase)
            if self.verb == "chat":
                made["stream"] = self.stream
        return made


def _said(text: str) -> list[Object]:
    return [{"role": "user", "content": text}]


def _content(text: str) -> Object:
    return {"parts": [{"text": text}]}


def _both(path: str, api: Api, asks: Asks) -> Iterator[DialectRow]:
    """Whole and streaming."""
    for stream in (False, True):
        yield DialectRow("chat", path, stream, api, asks)


def _ollama() -> Iterator[DialectRow]:
    options = {"num_predict": 3000}
    yield from _both("/api/chat", OLLAMA, lambda text: {"messages": _said(text), "options": options})
    yield from _both("/api/generate", OLLAMA, lambda text: {"prompt": text, "options": options})
    yield from _both("/api/generate", OLLAMA, lambda text: {"prompt": text, "options": options, "raw": True})
    yield DialectRow("embeddings", "/api/embed", False, OLLAMA, lambda text: {"input": [text]})
    yield DialectRow("embeddings", "/api/embeddings", False, OLLAMA, lambda text: {"prompt": text})


def _google() -> Iterator[DialectRow]:
    at = "/v1beta/models/{model}"

    def asks(text: str) -> Object:
        return {"contents": [_content(text)], "generationConfig": {"maxOutputTokens": 3000}}

    yield DialectRow("chat", f"{at}:generateContent", False, GOOGLE, asks)
    yield DialectRow("chat", f"{at}:streamGenerateContent?alt=sse", True, GOOGLE, asks)
    yield DialectRow("chat", f"{at}:streamGenerateContent", True, GOOGLE_ARRAY, asks)
    yield DialectRow("embeddings", f"{at}:embedContent", False, GOOGLE, lambda text: {"content": _content(text)})
    yield DialectRow(
        "embeddings",
        f"{at}:batchEmbedContents",
        False,
        GOOGLE,
        lambda text: {"requests": [{"content": _content(text)}]},
    )


def _interactions() -> Iterator[DialectRow]:
    for path in ("/v1beta/interactions", "/v1alpha/interactions"):
        yield from _both(
            path,
            INTERACTIONS,
            lambda text: {"input": text, "store": False, "generation_config": {"max_output_tokens": 3000}},
        )


def _llama_stack(generation: int, at: str, chat: str, batch: str) -> Iterator[DialectRow]:
    api = Api(f"llama-stack-{generation}", ("message", "type", "param", "code"), b"end_of_turn")
    options = {"sampling_params": {"max_tokens": 3000}}
    asks = f"{at}/inference"
    yield from _both(f"{asks}/{chat}", api, lambda text: {"messages": _said(text), **options})
    yield from _both(f"{asks}/completion", api, lambda text: {"content": text, **options})
    yield DialectRow("embeddings", f"{asks}/embeddings", False, api, lambda text: {"contents": [text]})
    yield DialectRow("chat", f"{at}/{batch}", False, api, lambda text: {"messages_batch": [_said(text)]})


def _all() -> Iterator[DialectRow]:
    yield from _both("/v1/messages", ANTHROPIC, lambda text: {"messages": _said(text), "max_tokens": 3000})
    yield from _ollama()
    yield from _google()
    yield from _interactions()
    yield from _llama_stack(1, "", "chat_completion", "batch_inference/chat_completion")
    yield from _llama_stack(2, "/alpha", "chat-completion", "batch-inference/chat-completion")
    yield from _llama_stack(3, "/v1", "chat-completion", "inference/batch-chat-completion")


APIS: Final = {name: list(rows) for name, rows in groupby(_all(), lambda row: row.api.name)}
