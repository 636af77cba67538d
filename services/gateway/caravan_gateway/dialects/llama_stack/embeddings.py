"""Embeddings of Llama Stack."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.errors import InvalidRequest, UpstreamFailed
from caravan_contracts.inference import Verb

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.llama_stack import answers, content, options
from caravan_gateway.dialects.llama_stack.dialect import OneAnswer, Spoken, Writer

Object = dict[str, Any]
_KNOWN: Final = frozenset(["contents", "model", "model_id", "output_dimension", "task_type", "text_truncation"])
"""The last two say what OpenAI's API has no word for."""


class Embeddings(Spoken):
    """``/inference/embeddings`` and its successors."""

    verb = Verb.EMBEDDINGS

    def asked(self, data: Object) -> Object:
        """OpenAI's request. Raises InvalidRequest."""
        given = field(data, "contents", list)
        if not given:
            raise InvalidRequest(
                "'contents' should be a list of texts", param="contents", code="missing_required_parameter"
            )
        made: Object = {
            "model": options.model(data, self.generation),
            "input": [content.text(each, f"contents.{number}") for number, each in enumerate(given)],
        }
        if dimension := field(data, "output_dimension", int):
            made["dimensions"] = dimension
        return {**made, **options.others(data, _KNOWN)}

    def writer(self) -> Writer:
        """For its answer."""
        return EmbeddingsWriter()


class EmbeddingsWriter(OneAnswer):
    """Of one answer."""

    def answer(self, answer: bytes) -> Object:
        """An EmbeddingsResponse. Raises UpstreamFailed."""
        rows = answers.read(answer).get("data")
        try:
            ordered = sorted(rows or (), key=lambda row: row["index"])
            return {"embeddings": [row["embedding"] for row in ordered]}
        except (KeyError, TypeError) as error:
            raise UpstreamFailed("the provider's answer has no embeddings") from error
