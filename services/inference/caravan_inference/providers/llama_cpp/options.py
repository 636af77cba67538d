"""Configuration of a llama.cpp provider, as it stands under `config` in the stack file."""

from __future__ import annotations

import os
from typing import Literal

from caravan_contracts.errors import InvalidRequest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caravan_inference.cores import engine_threads
from caravan_inference.providers.base import ProviderOptions

BUNDLED_MODEL = "SmolLM2-135M-Instruct"
THREADS_VARIABLE = "CARAVAN_LLAMA_THREADS"


def _threads() -> int:
    text = os.environ.get(THREADS_VARIABLE, "")
    if not text:
        return engine_threads()
    if not text.isdigit() or int(text) < 1:
        raise InvalidRequest(f"{THREADS_VARIABLE} should be a number of threads, not {text!r}", param="threads")
    return int(text)


class Config(BaseModel):
    """The whole of it."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_path: str | None = None
    """A GGUF file; the bundled SmolLM2 when there is none."""
    model_id: str = ""
    """The name it is served under; by default the file's name without its ending."""
    context_length: int = Field(4096, ge=128)
    """Tokens of one conversation, prompt and answer together."""
    parallel: int = Field(4, ge=1, le=64)
    """Conversations decoded at once. Memory for all of them is taken at the start."""
    threads: int = Field(default_factory=_threads, ge=1)
    """Threads that compute; see :func:`caravan_inference.cores.engine_threads` for the default."""
    gpu_layers: int = Field(0, ge=0)
    """Layers kept on the GPU; needs a GPU build of xllamacpp."""
    batch: int = Field(64, ge=32, le=4096)
    """Tokens of a prompt computed in one step. Small, because a call can only be cancelled between two steps, and
    the other conversations wait for a step; on a CPU larger steps gain 4 %."""
    system_message: str = "You are a helpful assistant."
    """Put before a conversation that has no system message; "" = none."""
    auto_tools: Literal["model", "words"] | None = None
    """How ``tool_choice: auto`` is decided, see :mod:`choosing`; default: `words` for the bundled model."""
    chat_template: str | None = None
    """A Jinja template instead of the one in the file."""

    @property
    def tools_by_words(self) -> bool:
        """Whether a rule decides on tools instead of the model."""
        return self.auto_tools == "words" or (self.auto_tools is None and self.model_path is None)


def read(options: ProviderOptions) -> Config:
    """The configuration. Raises InvalidRequest saying what is wrong."""
    given = {name: value for name, value in options.config.items() if value is not None}
    try:
        return Config.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"provider {options.id!r}: config.{where}: {first['msg']}", param=where) from error
