"""Vector stores: what the gateway and the agents service ask of the vector service.

The shapes of stores, their files and batches are OpenAI's (``openai.types.VectorStore``, ``VectorStoreFile``,
``VectorStoreFileBatch``, ``VectorStoreSearchResponse``), with what is ours beside it. Chunking strategies, filters and
attributes travel as they were written: the service reads them, so that a mistake has one message wherever it came from.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from caravan_contracts.completions import Order
from caravan_contracts.registry import Message

SERVICE: Final = "vector"
MOST_FILES: Final = 2_000
"""Files that one call attaches, as at OpenAI."""
MOST_LISTED: Final = 100
MOST_QUERIES: Final = 10
"""Texts of one search."""
MOST_RESULTS: Final = 50
MOST_FOUND: Final = 100
"""Results of all pages of a search."""
PAGE_BYTES: Final = 600 * 1024
"""Bytes of text in one reply; there is always room for one chunk."""
LONGEST_NAME: Final = 512
MOST_ATTRIBUTES: Final = 16
MOST_CHUNKS: Final = 1_000
"""Of one insert over HTTP; it reaches the service in as many messages as it needs."""

FileStatus = Literal["in_progress", "completed", "failed", "cancelled"]
FailureCode = Literal["server_error", "unsupported_file", "invalid_file"]
JsonObject = dict[str, Any]


class StoreExpiry(Message):
    """When a store is to be forgotten, counted from its last use."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["last_active_at"]
    days: int = Field(ge=1, le=365)


class FileCounts(BaseModel):
    """Files by status."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


class VectorStore(BaseModel):
    """OpenAI's VectorStore object, and which model and index it was made for. Times in Unix seconds."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str = ""
    description: str | None = None
    usage_bytes: int = 0
    """Of the texts and vectors in it."""
    file_counts: FileCounts = FileCounts()
    status: Literal["expired", "in_progress", "completed"]
    expires_after: StoreExpiry | None = None
    expires_at: int | None = None
    last_active_at: int | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    embedding_model: str
    embedding_dimension: int
    provider_id: str


class LastError(BaseModel):
    """Why a file could not be read."""

    code: FailureCode
    message: str


class StoreFile(BaseModel):
    """OpenAI's VectorStoreFile object."""

    id: str
    """Of the file."""
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    status: FileStatus
    usage_bytes: int = 0
    last_error: LastError | None = None
    attributes: JsonObject = Field(default_factory=dict)
    chunking_strategy: JsonObject


class FileBatch(BaseModel):
    """OpenAI's VectorStoreFileBatch object."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: FileStatus
    file_counts: FileCounts


class Deleted(BaseModel):
    """What was forgotten, or taken out."""

    id: str


class NewFile(Message):
    """One file to attach; without a strategy it takes that of the store."""

    file_id: str
    attributes: JsonObject | None = None
    chunking_strategy: JsonObject | None = None


class CreateStore(Message):
    """A new store. What is left open - model, dimension, index - the service chooses."""

    name: str = Field("", max_length=LONGEST_NAME)
    description: str | None = Field(None, max_length=2_000)
    metadata: dict[str, str] = Field(default_factory=dict)
    expires_after: StoreExpiry | None = None
    chunking_strategy: JsonObject | None = None
    file_ids: list[str] = Field(default_factory=list, max_length=MOST_FILES)
    embedding_model: str = ""
    embedding_dimension: int = 0
    provider_id: str = ""


class GetStore(Message):
    """One store."""

    id: str


class ListStores(Message):
    """A page of the tenant's stores, by when they were made."""

    name: str = Field("", max_length=LONGEST_NAME)
    """Only those of this name; empty: all."""
    after: str = ""
    before: str = ""
    order: Order = "desc"
    limit: int = Field(20, ge=1, le=MOST_LISTED)


class StorePage(BaseModel):
    """Some stores. There may be fewer than were asked for although there are more: a reply has its bound."""

    data: list[VectorStore]
    has_more: bool = False


class UpdateStore(Message):
    """Change what was said of a store: `set` has the fields that were named, null among them."""

    id: str
    set: JsonObject


class DeleteStore(Message):
    """Forget it with all its chunks; its files stay files."""

    id: str


class AttachFile(Message):
    """Read a file into a store."""

    store: str
    file: NewFile


class CreateBatch(Message):
    """Read files into a store, and count them together."""

    store: str
    files: list[NewFile] = Field(min_length=1, max_length=MOST_FILES)
    attributes: JsonObject | None = None
    """Of all files that have none of their own; so with the strategy."""
    chunking_strategy: JsonObject | None = None


class GetStoreFile(Message):
    """One file of a store."""

    store: str
    file: str


class ListStoreFiles(Message):
    """A page of the files of a store, or of one batch of it."""

    store: str
    batch: str = ""
    filter: FileStatus | Literal[""] = ""
    after: str = ""
    before: str = ""
    order: Order = "desc"
    limit: int = Field(20, ge=1, le=MOST_LISTED)


class StoreFilePage(BaseModel):
    """Some files. There may be fewer than were asked for although there are more: a reply has its bound."""

    data: list[StoreFile]
    has_more: bool = False


class UpdateStoreFile(Message):
    """Replace the attributes of a file."""

    store: str
    file: str
    attributes: JsonObject | None


class DetachFile(Message):
    """Take a file out of a store."""

    store: str
    file: str


class ReadStoreFile(Message):
    """The chunks of a file, from the position behind `after` on."""

    store: str
    file: str
    after: int = -1


class ChunkTexts(BaseModel):
    """The texts of some chunks, in order; `next` is what to ask for then, None when these were the last."""

    data: list[str]
    next: int | None = None


class GetBatch(Message):
    """One batch."""

    store: str
    batch: str


class CancelBatch(Message):
    """Read no further file of it."""

    store: str
    batch: str


class SearchStore(Message):
    """Passages of a store that answer the queries. Each text is looked for, and the best of all are told."""

    store: str
    queries: list[str] = Field(min_length=1, max_length=MOST_QUERIES)
    filters: Any = None
    """OpenAI's filter object; None = all files."""
    max_num_results: int = Field(10, ge=1, le=MOST_RESULTS)
    ranking_options: JsonObject | None = None
    rewrite_query: bool = False
    search_mode: Literal["vector", "keyword", "hybrid", ""] = ""
    """ "" = what the service does when nothing is said."""
    page: str = ""
    """`next_page` of the answer before."""


class FoundText(BaseModel):
    """What was found in a file."""

    type: Literal["text"] = "text"
    text: str


class Found(BaseModel):
    """OpenAI's VectorStoreSearchResponse, and the place of the passage in its document."""

    file_id: str
    filename: str
    score: float
    attributes: JsonObject
    content: list[FoundText]
    chunk_id: str = ""
    place: JsonObject = Field(default_factory=dict)
    """Page, sheet, heading."""


class SearchPage(BaseModel):
    """OpenAI's page of search results."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    """What was looked for, rewritten if that was wished."""
    data: list[Found]
    has_more: bool = False
    next_page: str | None = None


class RawChunk(Message):
    """A passage with its own vector."""

    chunk_id: str = Field(min_length=1, max_length=128)
    document_id: str = Field(min_length=1, max_length=128)
    position: int = Field(0, ge=0, le=2**31 - 1)
    text: str
    embedding: list[float]
    metadata: JsonObject = Field(default_factory=dict)


class InsertChunks(Message):
    """Put chunks into a store, all or none; those of the same `chunk_id` are replaced. `attributes` by document: what
    filters look at."""

    store: str
    chunks: list[RawChunk] = Field(min_length=1)
    attributes: dict[str, JsonObject] = Field(default_factory=dict)


class Inserted(BaseModel):
    """How many chunks the service took."""

    count: int


class QueryChunks(Message):
    """Chunks near a text or a vector."""

    store: str
    text: str = ""
    vector: list[float] | None = None
    mode: Literal["vector", "keyword", "hybrid"] = "vector"
    filters: Any = None
    max_chunks: int = Field(10, ge=1, le=MOST_FOUND)
    skip: int = Field(0, ge=0, lt=MOST_FOUND)
    """So many of them are known already: an answer has its bound."""
    score_threshold: float = 0.0
    ranking_options: JsonObject | None = None


class ScoredChunk(BaseModel):
    """One chunk of an answer."""

    chunk_id: str
    document_id: str
    text: str
    score: float
    metadata: JsonObject


class ChunkPage(BaseModel):
    """The best chunks, best first."""

    data: list[ScoredChunk]
    has_more: bool = False
    """There were too many bytes for one answer."""


class DeleteChunks(Message):
    """Take documents out that were put in with :class:`InsertChunks`."""

    store: str
    documents: list[str] = Field(min_length=1, max_length=1_000)
