"""SearXNG, whose settings allow the format `json`. Source: its documentation, "Search API" (GET /search)."""

from __future__ import annotations

from typing import Any

from caravan_agents.tools.search.question import Question, Request, Result, plain, with_query


class SearXNG:
    """See :class:`caravan_agents.tools.search.question.Provider`.

    It has no parameters for a number of results and a place. A key is a bearer's token, for one behind a proxy.
    """

    def __init__(self, url: str, key: str) -> None:
        base = url.rstrip("/")
        self._url = base if base.endswith("/search") or "?" in base else f"{base}/search"
        self._key = key

    def request(self, question: Question) -> Request:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return Request(with_query(self._url, {"q": question.with_sites, "format": "json"}), headers)

    def results(self, answer: Any) -> list[Result]:
        return [
            Result(plain(row.get("title")), row["url"], plain(row.get("content")), row.get("publishedDate") or "")
            for row in answer["results"]
        ]
