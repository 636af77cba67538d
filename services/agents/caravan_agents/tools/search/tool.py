"""The calls of `web_search` in one run: OpenAI's items and events around a search.

Source: OpenAI's API reference, "Web search tool call"; `openai.types.responses.ResponseFunctionWebSearch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from caravan_agents.responses.items import Item
from caravan_agents.responses.tools import Offered
from caravan_agents.responses.turn import ToolCall
from caravan_agents.tools.base import Emit, HostedTool, Outcome
from caravan_agents.tools.search.citations import Citations
from caravan_agents.tools.search.client import SearchClient, SearchFailed
from caravan_agents.tools.search.options import SearchOptions
from caravan_agents.tools.search.question import Result

NAME: Final = "web_search"
SOURCES: Final = "web_search_call.action.sources"
RESULTS: Final = "web_search_call.results"
"""Of `include`."""
_FUNCTION: Final = {
    "name": NAME,
    "description": (
        "Search the web for what you do not know or what may have changed. Each result has a number n, a title, a url "
        "and a text. When you use a result, cite it right behind what you took from it, as a markdown link "
        "[title](url), or by its number, [n]. Never cite an address that no search has found."
    ),
    "parameters": {
        "type": "object",
        "properties": {"query": {"type": "string", "description": "What to search for, in a few words."}},
        "required": ["query"],
        "additionalProperties": False,
    },
}


class WebSearch:
    """See :class:`caravan_agents.tools.base.HostedTool`."""

    def __init__(
        self, client: SearchClient, options: SearchOptions, citations: Citations, include: frozenset[str]
    ) -> None:
        self._client, self._options, self._citations, self._include = client, options, citations, include
        self._offered = Offered(dict(_FUNCTION), options.type, NAME)

    @property
    def offered(self) -> Offered:
        return self._offered

    @property
    def idempotent(self) -> bool:
        return True

    def approval(self, call: ToolCall) -> Item | None:
        return None

    def announce(self, emit: Emit, call: ToolCall, approval: str = "") -> int:
        index = emit.add({"type": "web_search_call", "status": "in_progress", "action": _action(_query(call) or "")})
        emit.event(index, "response.web_search_call.in_progress")
        emit.event(index, "response.web_search_call.searching")
        return index

    async def run(self, call: ToolCall) -> Outcome:
        query = _query(call)
        if query is None:
            return self._failed("", 'it has one argument, {"query": "..."}, a text that is not empty')
        try:
            found = await self._client.search(self._options.question(query))
        except SearchFailed as error:
            return self._failed(query, str(error))
        rows = [_row(n, result) for n, result in zip(self._citations.add(found), found, strict=True)]
        action = _action(query)
        if SOURCES in self._include:
            action["sources"] = [{"type": "url", "url": result.url} for result in found]
        fields: dict[str, Any] = {"status": "completed", "action": action}
        if RESULTS in self._include:
            fields["results"] = rows
        # an item without results would not be told to the model at all
        told = rows or [{"note": "Nothing was found."}]
        return Outcome(orjson.dumps(told).decode(), fields=fields, private={"results": told})

    def finish(self, emit: Emit, index: int, call: ToolCall, outcome: Outcome) -> None:
        status = "completed" if outcome.ok else "failed"
        # an outcome that is not of `run`, of a call that was not made, has no fields
        item: Item = {"type": "web_search_call", "status": status, "action": _action(_query(call) or "")}
        item |= outcome.fields
        self._citations.learn([{**item, **outcome.private}])
        if outcome.ok:
            emit.event(index, "response.web_search_call.completed")
        emit.done(index, item)

    def _failed(self, query: str, why: str) -> Outcome:
        text = f"The search failed: {why}"
        fields = {"status": "failed", "action": _action(query)}
        return Outcome(text, ok=False, fields=fields, private={"results": [{"error": text}]})


class SearchKit:
    """The search of one run. See :class:`caravan_agents.tools.base.Kit`."""

    def __init__(self, client: SearchClient, options: SearchOptions, include: frozenset[str]) -> None:
        self._citations = Citations()
        self._tool = WebSearch(client, options, self._citations, include)

    async def open(self, emit: Emit, history: list[Item]) -> list[HostedTool]:
        self.learn(history)
        return [self._tool]

    def learn(self, items: list[Item]) -> None:
        """Searches of this run that were made before, for whoever writes its text before the kit is opened."""
        self._citations.learn(items)

    def allowed(self, items: list[Item]) -> list[tuple[ToolCall, str]]:
        """Calls that the client has allowed: none ever has to ask."""
        return []

    async def close(self) -> None:
        """The connections belong to the process."""

    def annotate(self, text: str) -> Sequence[dict[str, Any]]:
        """For :class:`caravan_agents.responses.turn.Hooks`: the citations of a finished text."""
        return self._citations.annotate(text)


def _query(call: ToolCall) -> str | None:
    """What is searched for; None when the model did not say it."""
    try:
        arguments = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return None
    query = arguments.get("query") if isinstance(arguments, dict) else None
    return query.strip() or None if isinstance(query, str) else None


def _action(query: str) -> dict[str, Any]:
    return {"type": "search", "query": query, "queries": [query] if query else []}


def _row(number: int, result: Result) -> dict[str, Any]:
    row = {"n": number, "title": result.title, "url": result.url, "text": result.text}
    return {**row, "published": result.published} if result.published else row
