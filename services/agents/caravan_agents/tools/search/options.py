"""What a request wishes of its `web_search`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

from caravan_agents.responses.checks import a_list, a_text, an_object, wrong
from caravan_agents.tools.search.question import Location, Question

_SIZES: Final = {"low": (3, 800), "medium": (6, 1600), "high": (10, 3000)}
"""Results, and characters of each: some 600, 2,500 and 8,000 tokens."""
_MAX_QUERY: Final = 400
"""Characters that every engine takes."""
_MAX_DOMAINS: Final = 100
_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}\Z")


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Of one tool of one request."""

    type: str
    """web_search, web_search_preview …, as the request writes it."""
    size: str = "medium"
    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    location: Location | None = None

    def question(self, text: str) -> Question:
        """What is asked for `text`."""
        results, characters = _SIZES[self.size]
        words = " ".join(text.split())[:_MAX_QUERY]
        return Question(words, results, characters, self.allowed, self.blocked, self.location)


def read_options(tool: dict[str, Any], where: str) -> SearchOptions:
    """Read a tool that has the SDK's type already. Raises InvalidRequest naming the field below `where`."""
    kinds = tool.get("search_content_types")
    if kinds is not None and "text" not in kinds:
        raise InvalidRequest(
            f"'{where}.search_content_types': only text is searched here",
            param=f"{where}.search_content_types",
            code="unsupported_value",
        )
    filters = tool.get("filters") or {}
    return SearchOptions(
        tool["type"],
        tool.get("search_context_size") or "medium",
        _domains(filters.get("allowed_domains"), f"{where}.filters.allowed_domains"),
        _domains(filters.get("blocked_domains"), f"{where}.filters.blocked_domains"),
        _location(tool.get("user_location"), f"{where}.user_location"),
    )


def _domains(value: Any, param: str) -> tuple[str, ...]:
    if value is None:
        return ()
    names = a_list(value, param)
    if len(names) > _MAX_DOMAINS:
        raise wrong(param, f"at most {_MAX_DOMAINS} domains")
    made = []
    for at, name in enumerate(names):
        domain = a_text(name, f"{param}[{at}]").lower().strip().removesuffix(".").removesuffix("/")
        if not _DOMAIN.match(domain):
            raise wrong(f"{param}[{at}]", "a domain such as 'example.com', without scheme and path")
        made.append(domain)
    return tuple(dict.fromkeys(made))


def _location(value: Any, param: str) -> Location | None:
    if value is None:
        return None
    given = an_object(value, param)
    parts = {name: a_text(given.get(name) or "", f"{param}.{name}", 100) for name in ("country", "region", "city")}
    if parts["country"] and not _COUNTRY.match(parts["country"]):
        raise wrong(f"{param}.country", "a two-letter code such as 'US'")
    timezone = a_text(given.get("timezone") or "", f"{param}.timezone", 100)
    for name, text in (*parts.items(), ("timezone", timezone)):
        if not text.isprintable():
            raise wrong(f"{param}.{name}", "plain text")
    made = Location(parts["country"].upper(), parts["region"], parts["city"], timezone)
    return made if made != Location() else None
