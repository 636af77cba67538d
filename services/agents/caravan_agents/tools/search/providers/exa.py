"""Exa. Source: its API reference, "Search" (POST /search)."""

from __future__ import annotations

from typing import Any

from caravan_agents.tools.search.question import Question, Request, Result


class Exa:
    """See :class:`caravan_agents.tools.search.question.Provider`."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def request(self, question: Question) -> Request:
        body: dict[str, Any] = {
            "query": question.text,
            "numResults": question.results,
            "contents": {"text": {"maxCharacters": question.characters}},
        }
        if question.allowed:
            body["includeDomains"] = list(question.allowed)
        if question.blocked:
            body["excludeDomains"] = list(question.blocked)
        if question.location and question.location.country:
            body["userLocation"] = question.location.country
        return Request(self._url, {"x-api-key": self._key}, body)

    def results(self, answer: Any) -> list[Result]:
        return [
            Result(
                row.get("title") or "",
                row["url"],
                row.get("text") or "\n".join(row.get("highlights") or ()),
                row.get("publishedDate") or "",
            )
            for row in answer["results"]
        ]
