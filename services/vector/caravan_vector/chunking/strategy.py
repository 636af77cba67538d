"""OpenAI's `chunking_strategy`, and ours beside it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from caravan_vector.texts import storable

AUTO_SIZE = 800
AUTO_OVERLAP = 400


def _storable(text: str) -> str:
    if not storable(text):
        raise ValueError("it has characters that cannot be kept")
    return text


Text = Annotated[str, AfterValidator(_storable)]


class Sizes(BaseModel):
    """Of chunks, in tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_chunk_size_tokens: int = Field(AUTO_SIZE, ge=100, le=4096)
    chunk_overlap_tokens: int = Field(AUTO_OVERLAP, ge=0)
    """At most half of the size."""

    @model_validator(mode="after")
    def _at_most_half(self) -> Self:
        if self.chunk_overlap_tokens * 2 > self.max_chunk_size_tokens:
            raise ValueError("chunk_overlap_tokens should be at most half of max_chunk_size_tokens")
        return self


class StaticSizes(Sizes):
    """Both have to be said."""

    max_chunk_size_tokens: int = Field(ge=100, le=4096)
    chunk_overlap_tokens: int = Field(ge=0)


class ContextualSizes(Sizes):
    """Sizes of chunks, and who says in which context each stands."""

    max_chunk_size_tokens: int = Field(700, ge=100, le=4096)
    chunk_overlap_tokens: int = Field(350, ge=0)
    model_id: Text | None = Field(None, min_length=1, max_length=256)
    """None = the one of the installation."""
    context_prompt: Text | None = Field(None, min_length=1, max_length=16_384)
    """With the marks of :mod:`caravan_vector.chunking.contextual`; None = its own."""
    timeout: float = Field(30.0, gt=0, le=600)
    """Seconds of one question."""
    concurrency: int = Field(3, ge=1, le=32)
    """Questions about one document at once."""
    retries: int = Field(3, ge=0, le=10)
    """Tries more, of each question."""


class Auto(BaseModel):
    """800 tokens, of which 400 overlap."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["auto"] = "auto"

    @property
    def sizes(self) -> Sizes:
        """Of its chunks."""
        return Sizes(max_chunk_size_tokens=AUTO_SIZE, chunk_overlap_tokens=AUTO_OVERLAP)


class Static(BaseModel):
    """As said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["static"] = "static"
    static: StaticSizes

    @property
    def sizes(self) -> Sizes:
        """Of its chunks."""
        return self.static


class Contextual(BaseModel):
    """As said, each chunk with a line of context before it that a model wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["contextual"] = "contextual"
    contextual: ContextualSizes = ContextualSizes()

    @property
    def sizes(self) -> Sizes:
        """Of its chunks, without their context."""
        return self.contextual


ChunkingStrategy = Annotated[Auto | Static | Contextual, Field(discriminator="type")]
