"""What clients send, but for raw chunks. Null is as good as nothing: clients of OGX write it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from caravan_contracts import vectors as v
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema


class NewStore(BaseModel):
    """Body of ``POST /v1/vector_stores``. The last three fields are not OpenAI's."""

    name: str | None = Field(None, max_length=v.LONGEST_NAME)
    description: str | None = Field(None, max_length=2_000)
    metadata: dict[str, Any] | None = None
    expires_after: v.StoreExpiry | None = None
    chunking_strategy: v.JsonObject | None = None
    file_ids: list[str] | None = Field(None, max_length=v.MOST_FILES)
    embedding_model: str | None = None
    embedding_dimension: int | None = Field(None, ge=1, le=65_536)
    provider_id: str | None = None


class ChangedStore(BaseModel):
    """Body of ``POST /v1/vector_stores/{id}``: what is not named stays. `description` is not OpenAI's."""

    name: str | None = Field(None, max_length=v.LONGEST_NAME)
    description: str | None = Field(None, max_length=2_000)
    metadata: dict[str, Any] | None = None
    expires_after: v.StoreExpiry | None = None


def _listed(query: Any) -> Any:
    return [query] if isinstance(query, str) else query


Queries = Annotated[
    list[str],
    Field(min_length=1, max_length=v.MOST_QUERIES),
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Search(BaseModel):
    """Body of ``POST /v1/vector_stores/{id}/search``. The last two fields are not OpenAI's."""

    query: Queries
    filters: Any = None
    max_num_results: int | None = Field(None, ge=1, le=v.MOST_RESULTS)
    ranking_options: v.JsonObject | None = None
    rewrite_query: bool | None = None
    search_mode: Literal["vector", "keyword", "hybrid"] | None = None
    page: str | None = None


class ChangedFile(BaseModel):
    """Body of ``POST /v1/vector_stores/{id}/files/{file_id}``."""

    attributes: v.JsonObject | None


class NewBatch(BaseModel):
    """Body of ``POST /v1/vector_stores/{id}/file_batches``: `file_ids` with what holds for all, or `files`."""

    file_ids: list[str] | None = Field(None, min_length=1, max_length=v.MOST_FILES)
    attributes: v.JsonObject | None = None
    chunking_strategy: v.JsonObject | None = None
    files: list[v.NewFile] | None = Field(None, min_length=1, max_length=v.MOST_FILES)
