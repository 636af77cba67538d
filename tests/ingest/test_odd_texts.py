"""Texts that PostgreSQL cannot keep, wherever a client may write them: an error that says so, never a failure."""

from __future__ import annotations

import pytest
from caravan_contracts import vectors as v
from caravan_contracts.errors import CaravanError, InvalidRequest, NotFound

from tests.ingest.house import DIMENSION, House
from tests.ingest.test_service import WHALES

pytestmark = pytest.mark.asyncio(loop_scope="package")

ODD = ["a\0b", "a\ud800b"]


def chunk(**more: object) -> v.RawChunk:
    given = {"chunk_id": "c", "document_id": "d", "text": WHALES, "embedding": [1.0] * DIMENSION, **more}
    return v.RawChunk.model_construct(**{"position": 0, "metadata": {}, **given})  # a surrogate is no JSON


@pytest.mark.parametrize("odd", ODD)
async def test_no_file_has_such_an_id(house: House, odd: str) -> None:
    store = await house.store()
    with pytest.raises(NotFound):
        await house.files.detach(v.DetachFile.model_construct(store=store, file=odd), house.context)
    asked = v.UpdateStoreFile.model_construct(store=store, file=odd, attributes={"a": 1})
    with pytest.raises(NotFound):
        await house.files.update(asked, house.context)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("where", ["chunk_id", "document_id"])
async def test_no_raw_chunk_has_such_a_name(house: House, where: str, odd: str) -> None:
    store = await house.store()
    asked = v.InsertChunks.model_construct(store=store, chunks=[chunk(), chunk(**{where: odd})], attributes={})
    with pytest.raises(InvalidRequest) as caught:
        await house.raw.insert(asked, house.context)
    assert caught.value.param == f"chunks[1].{where}"
    assert await house.chunks(store) == 0


@pytest.mark.parametrize("metadata", [{"a": {"b": ["x\0"]}}, {"a\0": 1}])
async def test_no_raw_chunk_has_such_metadata(house: House, metadata: dict[str, object]) -> None:
    store = await house.store()
    asked = v.InsertChunks.model_construct(store=store, chunks=[chunk(metadata=metadata)], attributes={})
    with pytest.raises(InvalidRequest) as caught:
        await house.raw.insert(asked, house.context)
    assert caught.value.param == "chunks[0].metadata"


async def test_what_looks_like_a_zero_byte_may_be_kept(house: House) -> None:
    store = await house.store()
    odd = {"path": "C:\\u0000", "end": "\\"}
    await house.raw.insert(v.InsertChunks(store=store, chunks=[chunk(metadata=odd)], attributes={}), house.context)
    page = await house.raw.query(v.QueryChunks(store=store, vector=[1.0] * DIMENSION), house.context)
    assert page.data[0].metadata == {**odd, "document_id": "d"}


@pytest.mark.parametrize("odd", ODD)
async def test_documents_of_such_names_are_not_there(house: House, odd: str) -> None:
    store = await house.store()
    await house.raw.insert(v.InsertChunks(store=store, chunks=[chunk()]), house.context)
    asked = v.DeleteChunks.model_construct(store=store, documents=[odd, "d"])
    await house.raw.delete(asked, house.context)
    assert await house.chunks(store) == 0


@pytest.mark.parametrize("field", ["context_prompt", "model_id"])
async def test_no_strategy_has_such_texts(house: House, field: str) -> None:
    strategy = {"type": "contextual", "contextual": {field: "{{WHOLE_DOCUMENT}} {{CHUNK_CONTENT}} a\0b"}}
    with pytest.raises(CaravanError) as caught:
        await house.store(chunking_strategy=strategy)
    assert caught.value.status == 400
    assert caught.value.param == f"chunking_strategy.contextual.{field}"
