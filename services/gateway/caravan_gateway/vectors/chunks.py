"""Raw chunks: those of a body as the service takes them, and those it found as clients know them.

The shapes are Llama Stack's (``EmbeddedChunk``). What it keeps in `chunk_metadata` lies here in the metadata of the
chunk, under that name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

from caravan_contracts import vectors as v
from caravan_contracts.completions import MAX_KEY, MAX_VALUE
from caravan_contracts.errors import InvalidRequest, RequestTooLarge
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

MESSAGE_BYTES: Final = 600 * 1024
"""Of chunks in one message."""
_KEPT: Final = "chunk_metadata"
_LONGEST_ID: Final = 128
_LARGEST: Final = 2**53
_DOCUMENT: Final = "document_id"
_PLACED: Final = re.compile(r"chunks\[(\d+)\]\.(\w+)\Z")
_NAMES: Final = {"vector": "embedding", "text": "content"}
"""Of the service, and of clients."""

Number = Annotated[float, Field(strict=True)]
StoreId = Annotated[str, Field(validation_alias=AliasChoices("vector_store_id", "vector_db_id"))]
"""The second name is that of Llama Stack before 0.3."""


class Chunk(BaseModel):
    """One chunk of a body. Its document is that of the metadata, else of `chunk_metadata`, else itself."""

    content: Any
    chunk_id: str | None = Field(None, min_length=1, max_length=_LONGEST_ID)
    metadata: v.JsonObject | None = None
    chunk_metadata: v.JsonObject | None = None
    embedding: list[Number] | None = None


class NewChunks(BaseModel):
    """Body of ``POST /v1/vector-io/insert``. `attributes`, by document, are not Llama Stack's."""

    model_config = ConfigDict(populate_by_name=True)

    vector_store_id: StoreId
    chunks: list[Chunk] = Field(min_length=1, max_length=v.MOST_CHUNKS)
    attributes: dict[str, v.JsonObject] | None = None
    ttl_seconds: int | None = None


def text_of(content: Any, param: str) -> str:
    """Llama Stack's InterleavedContent as text. Raises InvalidRequest for what is none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(text_of(part, f"{param}.{number}") for number, part in enumerate(content))
    if isinstance(content, dict) and content.get("type") == "text" and isinstance(content.get("text"), str):
        return str(content["text"])
    raise InvalidRequest(f"{param!r} should be text: images have no place in a vector store", param=param)


def messages(body: NewChunks) -> Iterator[tuple[int, v.InsertChunks]]:
    """The chunks of a body in as many messages as they need, each with the place of its first chunk in the body.
    Raises InvalidRequest before the first."""
    chunks = _raw(body.chunks)
    attributes = _attributes(chunks, body.attributes or {})
    place = 0
    for group in list(_grouped(chunks)):
        documents = {chunk.document_id for chunk in group}
        own = {name: pairs for name, pairs in attributes.items() if name in documents}
        yield place, v.InsertChunks(store=body.vector_store_id, chunks=group, attributes=own)
        place += len(group)


def in_body(error: InvalidRequest, place: int) -> InvalidRequest:
    """What the service says of a chunk of a message, said of the body; `place` is that of the message's first."""
    if match := _PLACED.match(error.param or ""):
        error.param = f"chunks.{place + int(match[1])}.{_NAMES.get(match[2], match[2])}"
    return error


def found(rows: Sequence[v.ScoredChunk]) -> dict[str, Any]:
    """Llama Stack's ``QueryChunksResponse``, without the vectors."""
    return {"chunks": [_chunk(row) for row in rows], "scores": [row.score for row in rows]}


def _chunk(row: v.ScoredChunk) -> dict[str, Any]:
    metadata = dict(row.metadata)
    # an attribute may have the same name
    kept = metadata.pop(_KEPT) if isinstance(metadata.get(_KEPT), dict) else {}
    return {
        "content": row.text,
        "chunk_id": row.chunk_id,
        "metadata": {_DOCUMENT: row.document_id, **metadata},
        "chunk_metadata": {**kept, "chunk_id": row.chunk_id, _DOCUMENT: row.document_id},
    }


def _raw(chunks: list[Chunk]) -> list[v.RawChunk]:
    positions: dict[str, int] = {}
    made = []
    for number, chunk in enumerate(chunks):
        where = f"chunks.{number}"
        if not chunk.embedding:
            raise InvalidRequest(
                f"'{where}' has no embedding: make one with POST /v1/embeddings and the 'embedding_model' of the "
                "vector store, or attach a file, which is embedded here",
                param=f"{where}.embedding",
                code="missing_required_parameter",
            )
        text = text_of(chunk.content, f"{where}.content")
        name, document = _ids(chunk, text, where)
        position = positions[document] = positions.get(document, -1) + 1
        metadata = dict(chunk.metadata or {})
        if chunk.chunk_metadata:
            metadata[_KEPT] = chunk.chunk_metadata
        made.append(
            v.RawChunk(
                chunk_id=name,
                document_id=document,
                position=position,
                text=text,
                embedding=chunk.embedding,
                metadata=metadata,
            )
        )
    return made


def _ids(chunk: Chunk, text: str, where: str) -> tuple[str, str]:
    """``(chunk id, document id)``; a chunk without an id gets one that its text and document make."""
    metadata, more = chunk.metadata or {}, chunk.chunk_metadata or {}
    document = metadata.get(_DOCUMENT) or more.get(_DOCUMENT)
    name = chunk.chunk_id or more.get("chunk_id") or hashlib.sha256(f"{document}:{text}".encode()).hexdigest()[:32]
    document = document or name
    for field, value in (("chunk_id", name), (_DOCUMENT, document)):
        if not isinstance(value, str) or len(value) > _LONGEST_ID:
            raise InvalidRequest(
                f"{field!r} of '{where}' should be a text of 1 to {_LONGEST_ID} characters", param=f"{where}.{field}"
            )
    return name, document


def _attributes(chunks: list[v.RawChunk], given: dict[str, v.JsonObject]) -> dict[str, v.JsonObject]:
    """What filters look at: as it is given, else what the chunks of a document have in common."""
    common: dict[str, v.JsonObject] = {}
    for chunk in chunks:
        pairs = {key: value for key, value in chunk.metadata.items() if _is_attribute(key, value)}
        before = common.setdefault(chunk.document_id, pairs)
        common[chunk.document_id] = {
            key: value for key, value in before.items() if key in pairs and _same(pairs[key], value)
        }
    if unknown := given.keys() - common.keys():
        name = min(unknown)
        raise InvalidRequest(f"'attributes' tells of {name!r}, but no chunk is of that document", param="attributes")
    for document, pairs in common.items():
        if document not in given and len(pairs) > v.MOST_ATTRIBUTES:
            raise InvalidRequest(
                f"the metadata of {document!r} has {len(pairs)} pairs that filters could look at, more than "
                f"{v.MOST_ATTRIBUTES}: name those they shall know in 'attributes'",
                param="attributes",
            )
    return {**{document: pairs for document, pairs in common.items() if pairs}, **given}


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _is_attribute(key: str, value: Any) -> bool:
    if not 0 < len(key) <= MAX_KEY or key == _DOCUMENT:
        return False
    if isinstance(value, str):
        return len(value) <= MAX_VALUE
    return isinstance(value, bool | float) or (isinstance(value, int) and abs(value) <= _LARGEST)


def _grouped(chunks: list[v.RawChunk]) -> Iterator[list[v.RawChunk]]:
    group: list[v.RawChunk] = []
    size = 0
    for number, chunk in enumerate(chunks):
        length = len(chunk.model_dump_json())
        if length > MESSAGE_BYTES:
            raise RequestTooLarge(
                f"'chunks.{number}' has {length} bytes with its vector; at most {MESSAGE_BYTES} are taken of one chunk",
                param=f"chunks.{number}",
            )
        if group and size + length > MESSAGE_BYTES:
            yield group
            group, size = [], 0
        group.append(chunk)
        size += length
    yield group
