"""Configuration of an ONNX embedder, as it stands under `config` in the stack file."""

from __future__ import annotations

from caravan_contracts.errors import InvalidRequest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caravan_inference.cores import engine_threads
from caravan_inference.providers.base import ProviderOptions

BUNDLED_MODEL = "all-MiniLM-L6-v2"


class Config(BaseModel):
    """The whole of it."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_path: str | None = None
    """An ONNX file of a BERT-like encoder; the bundled MiniLM when there is none."""
    tokenizer_path: str | None = None
    """Its tokenizer.json; needed with `model_path`."""
    sha256: str | None = None
    """What the ONNX file should hash to; the bundled model is always checked."""
    model_id: str = ""
    """The name it is served under; by default the file's name without its ending."""
    context_length: int = Field(256, ge=8)
    """Tokens of one text, the two at its ends included."""
    truncate: bool = True
    """Cut longer texts, as everybody does who serves this model; false = refuse them, as OpenAI does."""
    threads: int = Field(default_factory=engine_threads, ge=1)
    """Threads that compute."""
    parallel: int = Field(16, ge=1, le=1024)
    """Calls taken at once. They take turns, one batch at a time."""


def read(options: ProviderOptions) -> Config:
    """The configuration. Raises InvalidRequest saying what is wrong."""
    given = {name: value for name, value in options.config.items() if value is not None}
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"provider {options.id!r}: config.{where}: {first['msg']}", param=where) from error
    if config.model_path and not config.tokenizer_path:
        raise InvalidRequest(
            f"provider {options.id!r}: config.model_path needs config.tokenizer_path", param="tokenizer_path"
        )
    return config
