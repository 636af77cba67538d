"""The table: every route of inference, streaming and not, and every point at which a request may be when it ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Phase(StrEnum):
    """Where a request is. What its upstream does is said by its model."""

    LINE = "line"
    """It waits for a slot."""
    SILENT = "silent"
    """The upstream has the request, and has not answered with headers."""
    HEADERS = "headers"
    """Headers came, and no token; of an answer that does not stream its first byte."""
    STREAM = "stream"
    """In mid-stream."""
    FULL = "full"
    """In mid-stream, and the client takes nothing: all buffers on the way and the credit are used up."""
    PAUSE = "pause"
    """The upstream said 429 with Retry-After: 4, and there is no other."""
    AGAIN = "again"
    """The first target of its route failed, and the next is silent."""
    NEXT = "next"
    """The first target of its route broke in mid-stream, and the next, which is to go on, is silent."""


_BEHAVIOUR: Final = {
    Phase.LINE: "hang",
    Phase.SILENT: "hang",
    Phase.HEADERS: "mute",
    Phase.STREAM: "slow-20",
    Phase.FULL: "flood-64",
    Phase.PAUSE: "pause-4",
}
_FIRST: Final = {Phase.AGAIN: "status-503", Phase.NEXT: "cut-2"}
MID_STREAM: Final = (Phase.STREAM, Phase.FULL, Phase.NEXT)
"""The phases in which the client has some of the answer."""
_TYPES: Final = {"llm": "llm", "embedding": "embedding", "rerank": "rerank", "native": "llm"}
"""By the beginning of a model's name. The provider of `native` ones speaks Anthropic's Messages API itself."""
_KINDS: Final = {"embeddings": "embedding", "rerank": "rerank", "messages": "native"}


@dataclass(frozen=True)
class Row:
    """One kind of request."""

    verb: str
    path: str
    stream: bool = False

    def has(self, phase: Phase) -> bool:
        if self.verb == "messages" and phase in (Phase.NEXT, Phase.LINE):
            return False  # nobody goes on with them; the one slot is of a provider that does not speak them
        return self.stream or phase not in MID_STREAM

    def model(self, phase: Phase) -> str:
        return f"{_KINDS.get(self.verb, 'llm')}-{phase}"

    def url(self, phase: Phase) -> str:
        """The path that is asked."""
        return self.path

    def body(self, phase: Phase, text: str) -> dict[str, Any]:
        """A request whose prompt is `text`: by it the upstream's record of the request is found."""
        body: dict[str, Any] = {"model": self.model(phase)}
        if self.verb in ("chat", "messages"):
            body["messages"] = [{"role": "user", "content": text}]
        elif self.verb == "completions":
            body["prompt"] = text
        elif self.verb == "embeddings":
            body["input"] = text
        elif "alpha" in self.path:
            body.update(query=text, items=["one", "another"])
        else:
            body.update(query=text, documents=["one", "another"])
        return {**body, "stream": True, "max_tokens": 3000} if self.stream else body

    def __str__(self) -> str:
        return f"{self.path}{' streaming' if self.stream else ''}"


def http_rows() -> Iterator[Row]:
    for verb, path in (("chat", "chat/completions"), ("completions", "completions"), ("embeddings", "embeddings"),
                       ("rerank", "rerank")):  # fmt: skip
        for prefix in ("/v1/", "/v1/openai/v1/"):
            yield Row(verb, prefix + path)
            if verb in ("chat", "completions"):
                yield Row(verb, prefix + path, stream=True)
    yield Row("rerank", "/v1alpha/inference/rerank")
    yield Row("messages", "/v1/messages")  # passed on untouched
    yield Row("messages", "/v1/messages", stream=True)


def bus_rows() -> Iterator[Row]:
    for verb in ("chat", "completions", "embeddings", "rerank"):
        yield Row(verb, f"caravan.v1.inference.{verb}")
        if verb in ("chat", "completions"):
            yield Row(verb, f"caravan.v1.inference.{verb}", stream=True)


def stack(url: str, apis: Iterable[str] = ()) -> str:
    """A model for each phase and type, or a route; those of the phase `line` are at a provider with one slot. Those of
    the phase `pause` are others for each of `apis`: a model has ten tries again in ten seconds."""
    models = [
        {
            "id": f"{kind}-{phase}",
            "provider": "narrow" if phase is Phase.LINE else "native" if kind == "native" else "up",
            "provider_model_id": behaviour,
            "model_type": model_type,
        }
        for kind, model_type in _TYPES.items()
        for phase, behaviour in _BEHAVIOUR.items()
    ]
    models += [
        {
            "id": f"{kind}-{phase}-first",
            "provider": "native" if kind == "native" else "up",
            "provider_model_id": behaviour,
            "model_type": model_type,
        }
        for kind, model_type in _TYPES.items()
        for phase, behaviour in _FIRST.items()
    ]
    models += [
        {**model, "id": f"{model['id']}-{api}"}
        for model in list(models)
        for api in apis
        if str(model["id"]).endswith(f"-{Phase.PAUSE}")
    ]
    routes = [
        {
            "id": f"{kind}-{phase}",
            "targets": [f"{kind}-{phase}-first", f"{kind}-{Phase.SILENT}"],
            "breaker": {"failures": 1000},
        }
        for kind in _TYPES
        for phase in _FIRST
    ]
    config = {"base_url": url, "allow_unlisted": True}
    provider = {"type": "remote::openai-compatible", "config": config}
    native = {**provider, "config": {**config, "messages": True}}
    providers = [{"id": "up", **provider}, {"id": "narrow", "slots": 1, **provider}, {"id": "native", **native}]
    return json.dumps({"providers": providers, "models": models, "routes": routes})
