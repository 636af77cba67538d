"""Where a text cites what was found: annotations of OpenAI's type `url_citation`.

The model is asked to cite by markdown links or by the numbers of results. Positions count characters (code points) of
the text; `end_index` is that behind the last one. What stands in code is no citation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from caravan_agents.responses.items import Item
from caravan_agents.tools.search.question import Result

_CODE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_LINK: Final = re.compile(
    r"\[(?P<title>(?:[^\[\]]|\[[^\[\]]{0,200}\]){0,500})\]"
    r"\(\s*<?(?P<url>https?://[^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+\"[^\"\n]{0,500}\")?\s*\)"
)
_URL: Final = re.compile(r"https?://[^\s<>\"'\[\]{}|\\^`]+")
_NUMBERS: Final = re.compile(
    r"\[(?P<some>\d{1,4}(?:\s*,\s*\d{1,4}){0,20})\](?![(\w])|【(?P<one>\d{1,4})[^】\n]{0,40}】"
)
_TRAILING: Final = ".,;:!?*_"
_MOST: Final = 500
"""Annotations of one text."""


class Citations:
    """What one run has found, by address and by number."""

    def __init__(self) -> None:
        self._by_url: dict[str, tuple[int, str, str]] = {}
        """The number, the address as it was found, and the title."""
        self._by_number: dict[int, str] = {}
        """The address; "" for a number that two pages have, which says nothing."""

    def add(self, results: Iterable[Result]) -> list[int]:
        """Number them: a page that was found before keeps its number."""
        made = []
        for result in results:
            known = self._by_url.get(_key(result.url))
            number = known[0] if known else max(self._by_number, default=0) + 1
            self._learn(number, result.url, result.title)
            made.append(number)
        return made

    def learn(self, items: Iterable[Item]) -> None:
        """What earlier searches found, as it stands in their items."""
        for item in items:
            if item["type"] != "web_search_call" or not isinstance(item.get("results"), list):
                continue
            for row in item["results"]:
                if isinstance(row, dict) and isinstance(row.get("n"), int) and isinstance(row.get("url"), str):
                    self._learn(row["n"], row["url"], str(row.get("title") or row["url"]))

    def annotate(self, text: str) -> list[dict[str, Any]]:
        """The annotations of a finished text, in the order of their places."""
        if not self._by_url:
            return []
        # same length, so that places stay what they are
        seen = _CODE.sub(lambda code: " " * len(code[0]), text)
        found = sorted(self._find(seen), key=lambda one: (one["start_index"], one["end_index"]))
        return found[:_MOST]

    def _find(self, text: str) -> Iterator[dict[str, Any]]:
        taken: list[tuple[int, int]] = []
        for link in _LINK.finditer(text):
            taken.append(link.span())
            yield from self._cited(link["url"], *link.span())
        rest = _without(text, taken)
        urls: list[tuple[int, int]] = []
        for match in _URL.finditer(rest):
            url = _trimmed(match[0])
            urls.append((match.start(), match.start() + len(url)))
            yield from self._cited(url, *urls[-1])
        for numbers in _NUMBERS.finditer(_without(rest, urls)):
            for word in (numbers["some"] or numbers["one"]).split(","):
                yield from self._cited(self._by_number.get(int(word), ""), *numbers.span())

    def _cited(self, url: str, start: int, end: int) -> Iterator[dict[str, Any]]:
        known = self._by_url.get(_key(url)) if url else None
        if known is not None:
            place = {"start_index": start, "end_index": end}
            yield {"type": "url_citation", **place, "url": known[1], "title": known[2]}

    def _learn(self, number: int, url: str, title: str) -> None:
        self._by_url.setdefault(_key(url), (number, url, title))
        other = self._by_number.get(number)
        # searches that ran in two processes may have used one number twice
        self._by_number[number] = url if other is None or _key(other) == _key(url) else ""


def _key(url: str) -> str:
    """The same for addresses that models take for the same."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.netloc.lower()}{parts.path.rstrip('/')}{query}"


def _trimmed(url: str) -> str:
    """Without what belongs to the sentence, not to the address."""
    while True:
        cut = url.rstrip(_TRAILING)
        if cut.endswith(")") and cut.count(")") > cut.count("("):
            cut = cut[:-1]
        if cut == url:
            return url
        url = cut


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """`text` with blanks there."""
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], " " * (end - start)]
        at = end
    return "".join([*pieces, text[at:]])
