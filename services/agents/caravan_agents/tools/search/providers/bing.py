"""Bing, in the shape of its Web Search API v7 (GET /v7.0/search), which proxies and successors of it speak too."""

from __future__ import annotations

from typing import Any, Final

from caravan_agents.tools.search.question import Question, Request, Result, plain, with_query

_MOST: Final = 50


class Bing:
    """See :class:`caravan_agents.tools.search.question.Provider`."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def request(self, question: Question) -> Request:
        parameters = {
            "q": question.with_sites,
            "count": str(min(question.results, _MOST)),
            "responseFilter": "Webpages",
            "textFormat": "Raw",
        }
        if question.location and question.location.country:
            parameters["cc"] = question.location.country
        return Request(with_query(self._url, parameters), {"Ocp-Apim-Subscription-Key": self._key})

    def results(self, answer: Any) -> list[Result]:
        return [
            Result(
                plain(row.get("name")),
                row["url"],
                plain(row.get("snippet")),
                row.get("datePublished") or row.get("dateLastCrawled") or "",
            )
            for row in (answer.get("webPages") or {}).get("value") or ()
        ]
