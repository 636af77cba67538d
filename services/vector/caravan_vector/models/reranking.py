"""Passages in the order in which a model says that they answer a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from caravan_bus.inference import InferenceClient
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import UpstreamFailed
from caravan_contracts.inference import Verb
from caravan_contracts.rerank import RerankAnswer
from pydantic import ValidationError

from caravan_vector.indexes import Hit
from caravan_vector.models.asking import ask
from caravan_vector.searching.ranking import Ranking


class Reranker:
    """One per process."""

    def __init__(self, client: InferenceClient) -> None:
        self._client = client

    async def order(
        self, ranking: Ranking, query: str, hits: Sequence[Hit], context: RequestContext, seconds: float
    ) -> list[Hit]:
        """Best first, with the model's scores; those under the threshold are left out. Raises UpstreamFailed and what
        :func:`ask` raises."""
        if not hits:
            return []
        body = {"model": ranking.reranker, "query": query, "documents": [hit.text for hit in hits]}
        answer = await ask(self._client, Verb.RERANK, body, context.principal, context.request_id, seconds)
        try:
            results = RerankAnswer.model_validate(answer).results
            ordered = [replace(hits[row.index], score=row.relevance_score) for row in results if row.index >= 0]
        except (ValidationError, IndexError) as error:
            raise UpstreamFailed(f"the answer of the reranker {ranking.reranker} cannot be read") from error
        return [hit for hit in ordered if hit.score >= ranking.threshold]
