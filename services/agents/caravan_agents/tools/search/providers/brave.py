"""Brave Search. Source: its API reference, "Web search" (GET /res/v1/web/search)."""

from __future__ import annotations

from typing import Any, Final

from caravan_agents.tools.search.question import Question, Request, Result, plain, with_query

_MOST: Final = 20


class Brave:
    """See :class:`caravan_agents.tools.search.question.Provider`."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def request(self, question: Question) -> Request:
        parameters = {
            "q": question.with_sites,
            "count": str(min(question.results, _MOST)),
            "text_decorations": "false",
            "result_filter": "web",
        }
        headers = {"X-Subscription-Token": self._key, "Accept": "application/json"}
        place = question.location
        if place is not None:
            # of countries as parameter it knows some forty, and refuses the others
            named = {
                "X-Loc-Country": place.country,
                "X-Loc-State-Name": place.region,
                "X-Loc-City": place.city,
                "X-Loc-Timezone": place.timezone,
            }
            headers |= {name: value for name, value in named.items() if value and value.isascii()}
        return Request(with_query(self._url, parameters), headers)

    def results(self, answer: Any) -> list[Result]:
        return [
            Result(
                plain(row.get("title")),
                row["url"],
                "\n".join(plain(text) for text in (row.get("description"), *(row.get("extra_snippets") or ()))),
                str(row.get("page_age") or ""),
            )
            for row in (answer.get("web") or {}).get("results") or ()
        ]
