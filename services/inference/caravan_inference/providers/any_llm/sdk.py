"""any-llm, as far as we use it: its shape for our types, and its import, which takes seconds.

Nothing else imports it, so everything here works the same whether it is installed or not until a provider starts.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Sequence
from typing import Any, Final, Protocol

from caravan_contracts.errors import InvalidRequest, Unavailable

from caravan_inference.providers.any_llm.names import INSTALL, PACKAGE

_NOT_FOR_CALLERS: Final = frozenset({"self", "model", "messages", "stream", "timeout", "session_label", "kwargs"})
_QUIET: Final = {PACKAGE: logging.ERROR, "httpx": logging.WARNING, "httpx2": logging.WARNING}
"""Loggers that would say something for each request."""


class Client(Protocol):
    """An any-llm provider object (``any_llm.AnyLLM``)."""

    async def acompletion(self, model: str, messages: list[Any], **options: Any) -> Any:
        """A ChatCompletion, or an async iterator of ChatCompletionChunk."""
        ...

    async def aembedding(self, model: str, inputs: Any, **options: Any) -> Any:
        """A CreateEmbeddingResponse."""
        ...

    async def arerank(self, model: str, query: str, documents: list[str], **options: Any) -> Any:
        """A RerankResponse."""
        ...

    async def alist_models(self) -> Sequence[Any]:
        """Objects with an `id`."""
        ...


class Package:
    """The imported package with one of its providers. Blocks: make it on a thread."""

    def __init__(self, name: str) -> None:
        for logger, level in _QUIET.items():
            if logging.getLogger(logger).level == logging.NOTSET:
                logging.getLogger(logger).setLevel(level)
        try:
            base = importlib.import_module(PACKAGE).AnyLLM
            self.errors: Any = importlib.import_module(f"{PACKAGE}.exceptions")
        except ImportError as error:
            raise Unavailable(f"any-llm is not installed here ({error}): {INSTALL}") from error
        try:
            self.kind: Any = base.get_provider_class(name)
            self._openai: Any = importlib.import_module(f"{PACKAGE}.providers.openai.base").BaseOpenAIProvider
        except (ImportError, self.errors.UnsupportedProviderError) as error:
            raise InvalidRequest(f"any-llm does not know {name!r}: {error}") from error
        if self.kind.MISSING_PACKAGES_ERROR is not None:
            raise Unavailable(
                f"the SDK of {name!r} is not installed here ({self.kind.MISSING_PACKAGES_ERROR}): "
                f"pip install 'any-llm-sdk[{name}]'"
            )
        self.arguments = tuple(set(inspect.signature(base.acompletion).parameters) - _NOT_FOR_CALLERS)
        """Names of OpenAI's fields that a call may have."""
        self.blocks = callable(getattr(self.kind, "_completion", None))
        """Whether its SDK knows no asyncio: its streams would hold the event loop up between two chunks."""
        self.speaks_openai = issubclass(self.kind, self._openai)
        self.takes_timeout: bool = self.kind.TIMEOUT_SUPPORT != "unsupported"

    def create(self, api_key: str, base_url: str, client: dict[str, Any]) -> Client:
        """A client of the upstream. Raises any-llm's errors."""
        options = dict(client)
        if self.kind.MAX_RETRIES_SUPPORT != "unsupported":
            options.setdefault("max_retries", 0)  # who asks decides about another try
        elif self.blocks:
            # botocore is the SDK that blocks, and says it in its own way
            config = {"retries": {"total_max_attempts": 1}, **options.get("config", {})}
            options["config"] = importlib.import_module("botocore.config").Config(**config)
        made: Client = self.kind(api_key=api_key or None, api_base=base_url or None, unified_exceptions=True, **options)
        return made
