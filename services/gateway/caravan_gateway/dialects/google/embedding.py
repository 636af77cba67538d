"""``embedContent`` and ``batchEmbedContents``."""

from __future__ import annotations

from typing import Any

import orjson
from caravan_contracts.errors import InvalidRequest, UpstreamFailed

from caravan_gateway.dialects.base import Translation, field
from caravan_gateway.dialects.chunks import answer_of
from caravan_gateway.dialects.google.contents import text_of
from caravan_gateway.dialects.google.fields import record, records


def one(data: dict[str, Any], model: str) -> Translation:
    """``embedContent``. Raises InvalidRequest."""
    return _translation([record(data, "the body")], [""], model, OneWriter())


def many(data: dict[str, Any], model: str) -> Translation:
    """``batchEmbedContents``: of one model, which its path names. Raises InvalidRequest."""
    requests = records(record(data, "the body").get("requests"), "requests")
    if not requests:
        raise InvalidRequest("'requests' is missing", param="requests", code="missing_required_parameter")
    return _translation(requests, [f"requests[{at}]." for at in range(len(requests))], model, ManyWriter())


def _translation(requests: list[dict[str, Any]], places: list[str], model: str, writer: ManyWriter) -> Translation:
    texts = []
    sizes = set()
    for request, place in zip(requests, places, strict=True):
        if request.get("content") is None:
            raise InvalidRequest(f"'{place}content' is missing", param=f"{place}content")
        texts.append(text_of(request["content"], f"{place}content"))
        config = record(request.get("embedContentConfig") or {}, f"{place}embedContentConfig")
        sizes.add(field({**config, **request}, "outputDimensionality", int, place.removesuffix(".")))
    if len(sizes) > 1:
        raise InvalidRequest("'outputDimensionality' should be the same in all requests", param="requests")
    body: dict[str, Any] = {"model": model, "input": texts, "encoding_format": "float"}
    if (size := sizes.pop()) is not None:
        body["dimensions"] = size
    return Translation(orjson.dumps(body), False, writer)


class ManyWriter:
    """For one answer of ``batchEmbedContents``."""

    def feed(self, data: bytes) -> bytes:
        """Vectors do not stream."""
        return data

    def end(self) -> bytes:
        """Vectors do not stream."""
        return b""

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Writer.whole`."""
        return orjson.dumps({"embeddings": _vectors(answer)})


class OneWriter(ManyWriter):
    """For one answer of ``embedContent``."""

    def whole(self, answer: bytes) -> bytes:
        """See :meth:`Writer.whole`."""
        return orjson.dumps({"embedding": _vectors(answer)[0]})


def _vectors(answer: bytes) -> list[dict[str, Any]]:
    rows = answer_of(answer, "data")["data"]
    try:
        return [{"values": row["embedding"]} for row in sorted(rows, key=lambda row: int(row["index"]))]
    except (KeyError, TypeError, ValueError) as error:
        raise UpstreamFailed("the provider answered something that is no list of vectors") from error
