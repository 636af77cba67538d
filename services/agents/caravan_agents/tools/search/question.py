"""What a search engine is asked, and what it found, whichever it is."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlencode, urlsplit

_TAGS: Final = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_SPACE: Final = re.compile(r"\s+")
_MAX_TITLE: Final = 300
_MAX_URL: Final = 2048


@dataclass(frozen=True, slots=True)
class Location:
    """Roughly where the user is; empty = not said."""

    country: str = ""
    """Two letters, in capitals."""
    region: str = ""
    city: str = ""
    timezone: str = ""
    """As in the IANA's list."""


@dataclass(frozen=True, slots=True)
class Question:
    """One search."""

    text: str
    results: int = 6
    """At most so many."""
    characters: int = 1600
    """Of the text of one result, at most."""
    allowed: tuple[str, ...] = ()
    """Domains, with those below them; empty = all."""
    blocked: tuple[str, ...] = ()
    location: Location | None = None

    def fits(self, url: str) -> bool:
        """Whether a result at `url` is among what was asked for."""
        host = (urlsplit(url).hostname or "").removesuffix(".")
        if any(_below(host, domain) for domain in self.blocked):
            return False
        return not self.allowed or any(_below(host, domain) for domain in self.allowed)

    @property
    def with_sites(self) -> str:
        """The text with its domains as ``site:`` operators, for engines that have no other way to say them."""
        allowed = " OR ".join(f"site:{domain}" for domain in self.allowed)
        blocked = " ".join(f"-site:{domain}" for domain in self.blocked)
        joined = f"({allowed})" if len(self.allowed) > 1 else allowed
        return " ".join(part for part in (self.text, joined, blocked) if part)


@dataclass(frozen=True, slots=True)
class Result:
    """One page that was found."""

    title: str
    url: str
    text: str
    published: str = ""
    """A date, as the engine writes it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = None
    """JSON, of a POST; None is a GET."""


class Provider(Protocol):
    """A search engine's API: no I/O, two translations."""

    def __init__(self, url: str, key: str) -> None:
        """`url` is where it is, if not at its usual place."""
        ...

    def request(self, question: Question) -> Request:
        """Ask."""
        ...

    def results(self, answer: Any) -> list[Result]:
        """Read the JSON of an answer. Raises KeyError, TypeError, AttributeError or ValueError for another shape."""
        ...


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """`url` with `parameters` behind its own."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def plain(text: Any) -> str:
    """A snippet of an engine that marks words in HTML, as plain text; "" for None."""
    return html.unescape(_TAGS.sub("", str(text))) if text is not None else ""


def kept(found: list[Result], question: Question) -> list[Result]:
    """What of it is wished for, each page once, within its bounds."""
    made: dict[str, Result] = {}
    for result in found:
        if not result.url.startswith(("https://", "http://")) or len(result.url) > _MAX_URL:
            continue
        if result.url in made or not question.fits(result.url):
            continue
        title = _SPACE.sub(" ", result.title).strip()[:_MAX_TITLE]
        text = result.text.strip()[: question.characters]
        made[result.url] = Result(title or result.url, result.url, text, result.published[:40])
    return list(made.values())[: question.results]


def _below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
