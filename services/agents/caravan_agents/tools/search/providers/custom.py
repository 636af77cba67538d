"""A server of the operator's own. Its contract is in docs/search.md."""

from __future__ import annotations

from typing import Any

from caravan_agents.tools.search.question import Question, Request, Result


class Custom:
    """See :class:`caravan_agents.tools.search.question.Provider`."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def request(self, question: Question) -> Request:
        body: dict[str, Any] = {
            "query": question.text,
            "max_results": question.results,
            "max_characters": question.characters,
        }
        if question.allowed:
            body["allowed_domains"] = list(question.allowed)
        if question.blocked:
            body["blocked_domains"] = list(question.blocked)
        place = question.location
        if place is not None:
            named = {
                "country": place.country,
                "region": place.region,
                "city": place.city,
                "timezone": place.timezone,
            }
            body["user_location"] = {name: value for name, value in named.items() if value}
        return Request(self._url, {"Authorization": f"Bearer {self._key}"} if self._key else {}, body)

    def results(self, answer: Any) -> list[Result]:
        return [
            Result(row.get("title") or "", row["url"], row.get("text") or "", row.get("published") or "")
            for row in answer["results"]
        ]
