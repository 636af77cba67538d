"""The provider for everything that any-llm reaches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from caravan_contracts.errors import (
    CaravanError,
    DeadlineExceeded,
    InvalidRequest,
    Unavailable,
    UpstreamBroke,
    UpstreamFailed,
)
from caravan_contracts.inference import Verb
from caravan_contracts.registry import DiscoveredModel
from caravan_contracts.rerank import text_of

from caravan_inference.providers.any_llm import bodies, names, request, threads
from caravan_inference.providers.any_llm import options as opt
from caravan_inference.providers.any_llm.clients import Clients
from caravan_inference.providers.any_llm.events import Events
from caravan_inference.providers.any_llm.hints import Hints
from caravan_inference.providers.any_llm.refusals import refusal
from caravan_inference.providers.any_llm.sdk import Client, Package
from caravan_inference.providers.base import Call, Output, ProviderOptions, Result
from caravan_inference.providers.credentials import callers_key
from caravan_inference.providers.model_types import guessed

_LIST_SECONDS = 10.0
_BLOCKING_SLOTS = 64
"""Each call of an SDK that blocks is a thread."""


class AnyLLM:
    """One upstream, through its SDK."""

    types: ClassVar[Sequence[str]] = names.types()

    def __init__(self, options: ProviderOptions) -> None:
        self._config = opt.read(options)
        self.options = options
        self._name = names.name_of(options.type)
        self._package: Package | None = None
        self._clients: Clients | None = None
        self._hints = Hints()

    async def start(self) -> None:
        """Import the upstream's SDK (seconds of CPU, on a thread). Connections are made by the first call."""
        package = await asyncio.to_thread(Package, self._name)
        if package.blocks:
            self.options = replace(self.options, slots=min(self.options.slots, _BLOCKING_SLOTS))
        self._package = package
        self._clients = Clients(package, self._config)

    async def close(self) -> None:
        """Close the SDK's clients."""
        if self._clients is not None:
            await self._clients.close()

    async def models(self) -> list[DiscoveredModel]:
        """What it lists; nothing when its API has no list."""
        package, clients = self._started
        if not self._config.discover or not package.kind.SUPPORTS_LIST_MODELS:
            return []
        try:
            async with asyncio.timeout(_LIST_SECONDS), clients.use("") as client:
                work = client.alist_models
                listed = await (threads.result(work) if package.blocks else work())
        except TimeoutError as error:
            raise UpstreamFailed(
                f"provider {self.options.id!r} did not list its models in time", code="upstream_timeout"
            ) from error
        except Exception as error:
            raise refusal(self.options.id, error, package.errors) from error
        allowed = self._config.allowed_models
        return [
            DiscoveredModel(id=row.id, model_type=guessed(row.id))
            for row in listed
            if len(row.id) <= 200 and (allowed is None or row.id in allowed)
        ]

    async def run(self, call: Call, output: Output) -> Result:
        """Serve one call."""
        package, clients = self._started
        began = time.perf_counter()
        key = callers_key(call.credentials, (self.options.id, names.name_of(self.options.type)))
        try:
            async with asyncio.timeout(max(0.0, call.context.remaining)) as limit, clients.use(key) as client:
                return await self._serve(call, client, output, began)
        except TimeoutError as error:
            if limit.expired():
                raise DeadlineExceeded("the request's time is over while the provider worked on it") from error
            raise UpstreamFailed(
                f"provider {self.options.id!r} did not answer in time", code="upstream_timeout"
            ) from error
        except CaravanError:
            raise
        except Exception as error:
            raise refusal(self.options.id, error, package.errors) from error

    async def _serve(self, call: Call, client: Client, output: Output, began: float) -> Result:
        data = request.read(call.body)
        if call.verb is Verb.CHAT and call.spec.stream:
            return await self._stream(call, client, data, output, began)
        if call.verb is Verb.CHAT:
            options = self._chat_options(data)
            made = await self._whole(partial(client.acompletion, call.spec.model, data["messages"]), options)
            return bodies.chat(made, call, _since(began))
        if call.verb is Verb.EMBEDDINGS:
            texts, options = request.embedding(data, self._config.fields)
            made = await self._whole(partial(client.aembedding, call.spec.model, texts), options)
            return bodies.embedding(made, call, _since(began))
        if call.verb is Verb.RERANK:
            documents, options = self._rerank_options(data)
            query = str(text_of(data["query"]) or "")
            made = await self._whole(partial(client.arerank, call.spec.model, query, documents), options)
            return bodies.rerank(made, call, _since(began))
        raise InvalidRequest(f"{call.spec.shown_model!r} is a chat model: use chat completions", param="model")

    async def _whole(self, ask: Callable[..., Any], options: dict[str, Any]) -> Any:
        package, _ = self._started
        while True:
            work = partial(ask, **self._hints.fitting(options))
            try:
                return await (threads.result(work) if package.blocks else work())
            except Exception as error:
                if not self._hints.learned(error):
                    raise

    async def _stream(self, call: Call, client: Client, data: dict[str, Any], output: Output, began: float) -> Result:
        options = {**self._chat_options(data), "stream_options": {"include_usage": True}}
        events = Events(call.spec.shown_model, f"chatcmpl-{call.context.request_id}")
        first, held = 0.0, b""
        async with aclosing(self._chunks(call, client, data["messages"], options)) as chunks:
            try:
                async for chunk in chunks:
                    first = first or _since(began)
                    held += events.encode(chunk)
                    if events.finish or not held:
                        continue  # perhaps the end, and the end travels with the summary
                    if not output.write(held):
                        await output.room()
                    held = b""
            except CaravanError:
                raise
            except Exception as error:
                raise self._broken(error, first) from error
        if not events.finish:
            raise UpstreamBroke(f"provider {self.options.id!r} ended its stream without saying why")
        return Result(events.summary(first), held + events.end(call.spec.include_usage))

    async def _chunks(
        self, call: Call, client: Client, messages: list[Any], options: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """The upstream's chunks. An SDK may object to an argument as late as when the first one is asked for."""
        package, _ = self._started
        begun = False
        while True:
            ask = partial(client.acompletion, call.spec.model, messages, stream=True, **self._hints.fitting(options))
            try:
                made: Any = threads.stream(ask) if package.blocks else await ask()
                async with aclosing(made):
                    async for chunk in made:
                        begun = True
                        yield chunk
                return
            except Exception as error:
                if begun or not self._hints.learned(error):
                    raise

    def _broken(self, error: Exception, first: float) -> CaravanError:
        """After the first chunk, a failure of the upstream is a stream that broke."""
        package, _ = self._started
        made = refusal(self.options.id, error, package.errors)
        if not first:
            return made
        broke = UpstreamBroke(made.message, retry_after=made.retry_after)
        if not isinstance(made, InvalidRequest):
            broke.status = made.status
        return broke

    def _chat_options(self, data: dict[str, Any]) -> dict[str, Any]:
        package, _ = self._started
        made = request.chat(data, package.arguments, self._config.fields, openai=package.speaks_openai)
        if package.takes_timeout:
            made["timeout"] = self._config.timeouts.read
        return made

    def _rerank_options(self, data: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        documents = [text_of(document) for document in data["documents"]]
        if None in documents:
            raise InvalidRequest("'documents' should be texts: this provider ranks nothing else", param="documents")
        wanted = ("top_n", *self._config.fields)
        return [text or "" for text in documents], {name: data[name] for name in wanted if data.get(name) is not None}

    @property
    def _started(self) -> tuple[Package, Clients]:
        if self._package is None or self._clients is None:
            raise Unavailable(f"provider {self.options.id!r} is not started")
        return self._package, self._clients


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
