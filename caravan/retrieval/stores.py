"""Searches of a vector store over HTTP."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caravan.retrieval.evaluation import FOUND, Outcome, evaluate
from caravan.retrieval.questions import Passage, Question
from caravan.retrieval.ways import Options

if TYPE_CHECKING:
    from caravan.cli.gateway import Gateway


class SearchedStore:
    """One store of a server."""

    def __init__(self, gateway: Gateway, store: str) -> None:
        self._gateway = gateway
        self._path = f"/v1/vector_stores/{urllib.parse.quote(store, safe='')}"

    def check(self) -> None:
        """Raises GatewayError when there is no such store."""
        self._gateway.call("GET", self._path)

    async def evaluate(self, way: str, options: Options, questions: Sequence[Question]) -> Outcome:
        """One way over all questions. Raises GatewayError for the first search that fails."""

        async def search(text: str) -> list[Passage]:
            return await asyncio.to_thread(self._search, text, options)

        return await evaluate(way, search, questions)

    def _search(self, text: str, options: Options) -> list[Passage]:
        body = {"query": text, "max_num_results": FOUND, "rewrite_query": False, **options}
        found = self._gateway.call("POST", f"{self._path}/search", body)
        return [
            Passage(hit["file_id"], hit["filename"], "\n".join(part["text"] for part in hit["content"]))
            for hit in found["data"]
        ]
