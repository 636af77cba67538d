"""Tavily. Source: its API reference, "Search" (POST /search)."""

from __future__ import annotations

from typing import Any, Final

from caravan_agents.tools.search.question import Question, Request, Result

_ADVANCED: Final = 1000
"""Characters of a result from which on its deeper, dearer search is worth it: the other one gives shorter texts."""
_COUNTRIES: Final = {
    "AR": "argentina",
    "AT": "austria",
    "AU": "australia",
    "BE": "belgium",
    "BR": "brazil",
    "CA": "canada",
    "CH": "switzerland",
    "CL": "chile",
    "CN": "china",
    "CO": "colombia",
    "CZ": "czech republic",
    "DE": "germany",
    "DK": "denmark",
    "EG": "egypt",
    "ES": "spain",
    "FI": "finland",
    "FR": "france",
    "GB": "united kingdom",
    "GR": "greece",
    "HU": "hungary",
    "ID": "indonesia",
    "IE": "ireland",
    "IL": "israel",
    "IN": "india",
    "IT": "italy",
    "JP": "japan",
    "KE": "kenya",
    "KR": "south korea",
    "MX": "mexico",
    "MY": "malaysia",
    "NG": "nigeria",
    "NL": "netherlands",
    "NO": "norway",
    "NZ": "new zealand",
    "PE": "peru",
    "PH": "philippines",
    "PL": "poland",
    "PT": "portugal",
    "RO": "romania",
    "SA": "saudi arabia",
    "SE": "sweden",
    "SG": "singapore",
    "TH": "thailand",
    "TR": "turkey",
    "TW": "taiwan",
    "UA": "ukraine",
    "US": "united states",
    "VN": "vietnam",
    "ZA": "south africa",
}
"""It takes names; a country that is not here is not said."""


class Tavily:
    """See :class:`caravan_agents.tools.search.question.Provider`."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def request(self, question: Question) -> Request:
        body: dict[str, Any] = {
            "query": question.text,
            "max_results": question.results,
            "search_depth": "advanced" if question.characters > _ADVANCED else "basic",
            "include_answer": False,
            "include_raw_content": False,
            "include_images": False,
        }
        if question.allowed:
            body["include_domains"] = list(question.allowed)
        if question.blocked:
            body["exclude_domains"] = list(question.blocked)
        country = _COUNTRIES.get(question.location.country) if question.location else None
        if country:
            body["country"] = country
        return Request(self._url, {"Authorization": f"Bearer {self._key}"}, body)

    def results(self, answer: Any) -> list[Result]:
        return [
            Result(row.get("title") or "", row["url"], row.get("content") or "", row.get("published_date") or "")
            for row in answer["results"]
        ]
