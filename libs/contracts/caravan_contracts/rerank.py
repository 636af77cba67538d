"""Reranking: documents in the order in which they fit a query.

One shape on the bus and on ``POST /v1/rerank``, that of Cohere, Jina and vLLM. The shape of Llama Stack and OGX
(``/v1alpha/inference/rerank``) is a codec at the edge.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

MAX_DOCUMENTS: Final = 2000
"""Documents in one request: with the query, they are one call of embeddings."""

Part = str | dict[str, Any]
"""Text, or an object that the model understands (``{"text": …}``, a part of a chat message)."""
Parts = Annotated[list[Part], Field(min_length=1, max_length=MAX_DOCUMENTS)]


class RerankRequest(BaseModel):
    """Body of the verb `rerank`. What is not known here passes through to the provider."""

    model_config = ConfigDict(extra="allow")

    model: str
    query: Part
    documents: Parts
    top_n: int | None = Field(None, ge=1)
    """How many to return; all of them when there is none."""
    return_documents: bool | None = None


class Ranked(BaseModel):
    """One document's place."""

    index: int
    """Its place in the request."""
    relevance_score: float
    """Greater is better; what the number means is the model's own affair."""
    document: dict[str, Any] | None = None


class RerankUsage(BaseModel):
    """Tokens read, as far as the provider says."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class RerankAnswer(BaseModel):
    """Best first."""

    id: str
    model: str
    results: list[Ranked]
    usage: RerankUsage = RerankUsage()

    def to_json(self) -> bytes:
        """Without the fields that nobody filled in."""
        return self.model_dump_json(exclude_none=True).encode()


class AlphaRerankRequest(BaseModel):
    """Body of ``POST /v1alpha/inference/rerank``."""

    model_config = ConfigDict(extra="ignore")

    model: str
    query: Part
    items: Parts
    max_num_results: int | None = Field(None, ge=1)

    def to_request(self) -> RerankRequest:
        """The same in the bus's shape: parts that are text become strings."""
        return RerankRequest(
            model=self.model,
            query=_plain(self.query),
            documents=[_plain(item) for item in self.items],
            top_n=self.max_num_results,
        )


class AlphaRanked(BaseModel):
    """One item's place."""

    index: int
    relevance_score: float


class AlphaRerankAnswer(BaseModel):
    """Answer of ``POST /v1alpha/inference/rerank``."""

    model_config = ConfigDict(extra="ignore")

    data: list[AlphaRanked]

    @staticmethod
    def of(answer: RerankAnswer) -> AlphaRerankAnswer:
        """The same answer in that shape."""
        rows = [AlphaRanked(index=row.index, relevance_score=row.relevance_score) for row in answer.results]
        return AlphaRerankAnswer(data=rows)


def text_of(part: Part) -> str | None:
    """The text of a query or document; None when it is something else."""
    if isinstance(part, str):
        return part
    text = part.get("text")
    return text if isinstance(text, str) and part.get("type", "text") == "text" else None


def _plain(part: Part) -> Part:
    text = text_of(part)
    return part if text is None else text
