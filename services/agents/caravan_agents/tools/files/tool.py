"""The calls of `file_search` in one run: OpenAI's items and events around a search.

Source: OpenAI's API reference, "File search tool call"; `openai.types.responses.ResponseFileSearchToolCall`.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.context import RequestContext

from caravan_agents.responses.items import Item
from caravan_agents.responses.marks import CitedFiles
from caravan_agents.responses.tools import Offered
from caravan_agents.responses.turn import ToolCall
from caravan_agents.tools.base import Emit, HostedTool, Outcome
from caravan_agents.tools.files.asking import StoreSearch
from caravan_agents.tools.files.options import FileSearchOptions

NAME: Final = "file_search"
RESULTS: Final = "file_search_call.results"
"""Of `include`."""
_MOST_QUERIES: Final = 5
_LONGEST_QUERY: Final = 4096
"""Characters."""
_FUNCTION: Final = {
    "name": NAME,
    "description": (
        "Search the user's files. Each passage that is found has the name of its file, its text, and a mark (cite). "
        "When you use a passage, write its mark right behind what you took from it, without a blank before it and "
        "exactly as it is given, like 【012345】. Never write a mark that no search has given."
    ),
    "parameters": {
        "type": "object",
        "properties": {
            "queries": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "maxItems": _MOST_QUERIES,
                "description": "What to search for: one question or a few, each as a short text of its own.",
            }
        },
        "required": ["queries"],
        "additionalProperties": False,
    },
}


class FileSearch:
    """See :class:`caravan_agents.tools.base.HostedTool`."""

    def __init__(
        self,
        search: StoreSearch,
        options: FileSearchOptions,
        context: RequestContext,
        cited: CitedFiles,
        include: frozenset[str],
    ) -> None:
        self._search, self._options, self._context = search, options, context
        self._cited, self._include = cited, include
        self._offered = Offered(dict(_FUNCTION), NAME, NAME)

    @property
    def offered(self) -> Offered:
        return self._offered

    @property
    def idempotent(self) -> bool:
        return True

    def approval(self, call: ToolCall) -> Item | None:
        return None

    def announce(self, emit: Emit, call: ToolCall, approval: str = "") -> int:
        item = {"type": "file_search_call", "status": "in_progress", "queries": _queries(call), "results": None}
        index = emit.add(item)
        emit.event(index, "response.file_search_call.in_progress")
        emit.event(index, "response.file_search_call.searching")
        return index

    async def run(self, call: ToolCall) -> Outcome:
        queries = _queries(call)
        if not queries:
            return _outcome([], [f'it has one argument, {{"queries": ["..."]}}: 1 to {_MOST_QUERIES} texts'])
        found = await self._search.search(self._options, queries, self._context)
        return _outcome(found.rows, found.errors)

    def finish(self, emit: Emit, index: int, call: ToolCall, outcome: Outcome) -> None:
        item: Item = {
            "type": "file_search_call",
            "status": "completed" if outcome.ok else "failed",
            "queries": _queries(call),
            "results": _shown(outcome) if RESULTS in self._include else None,
        }
        if not outcome.ok:
            item["error"] = outcome.text
        self._cited.learn([{**item, **outcome.private}])
        if outcome.ok:
            emit.event(index, "response.file_search_call.completed")
        emit.done(index, item)


class FileSearchKit:
    """The file search of one run."""

    def __init__(
        self, search: StoreSearch, options: FileSearchOptions, context: RequestContext, include: frozenset[str]
    ) -> None:
        self.cited = CitedFiles()
        self._tool = FileSearch(search, options, context, self.cited, include)

    def open(self, history: list[Item]) -> list[HostedTool]:
        """The tool; what was found in `history` can be cited."""
        self.cited.learn(history)
        return [self._tool]


def _outcome(rows: list[dict[str, Any]], errors: list[str]) -> Outcome:
    told: list[dict[str, Any]] = [*rows, *({"error": f"The search failed: {error}"} for error in errors)]
    text = "; ".join(errors) if errors else f"{len(rows)} passages were found"
    # an item without results would not be told to the model at all
    private = {"results": told or [{"note": "Nothing was found."}]}
    return Outcome(text, ok=not errors, private=private)


def _shown(outcome: Outcome) -> list[dict[str, Any]]:
    """Its passages, without what only the model is told."""
    return [row for row in outcome.private.get("results", ()) if row.get("file_id")]


def _queries(call: ToolCall) -> list[str]:
    """What is searched for; none when the model did not say it."""
    try:
        arguments = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return []
    if not isinstance(arguments, dict):
        return []
    given = arguments.get("queries") or arguments.get("query")
    texts = given if isinstance(given, list) else [given]
    words = [text.strip()[:_LONGEST_QUERY] for text in texts if isinstance(text, str)]
    return list(dict.fromkeys(filter(None, words)))[:_MOST_QUERIES]
