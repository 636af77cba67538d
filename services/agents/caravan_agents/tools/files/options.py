"""What a request wishes of its `file_search`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.vectors import MOST_RESULTS, SearchStore

from caravan_agents.responses.checks import a_list, a_text, wrong

MOST_STORES: Final = 16
"""Of one tool: every search asks all of them."""
_RESULTS: Final = 10
_LONGEST_ID: Final = 256


@dataclass(frozen=True, slots=True)
class FileSearchOptions:
    """Of one tool of one request."""

    stores: tuple[str, ...]
    results: int = _RESULTS
    """At most so many of one search, of all stores together."""
    filters: Any = None
    ranking: dict[str, Any] | None = None
    """Both as they came: the vector service reads them."""

    def question(self, store: str, queries: list[str]) -> SearchStore:
        """What is asked of one store."""
        return SearchStore(
            store=store,
            queries=queries,
            filters=self.filters,
            max_num_results=self.results,
            ranking_options=self.ranking,
        )


def read_options(tool: dict[str, Any], where: str) -> FileSearchOptions:
    """Read a tool that has the SDK's type already. Raises InvalidRequest naming the field below `where`."""
    param = f"{where}.vector_store_ids"
    ids = a_list(tool["vector_store_ids"], param)
    stores = dict.fromkeys(a_text(one, f"{param}[{at}]", _LONGEST_ID) for at, one in enumerate(ids))
    if not stores or not all(stores) or len(stores) > MOST_STORES:
        raise wrong(param, f"the ids of 1 to {MOST_STORES} vector stores")
    results = _RESULTS if tool.get("max_num_results") is None else tool["max_num_results"]
    if not 1 <= results <= MOST_RESULTS:
        raise wrong(f"{where}.max_num_results", f"between 1 and {MOST_RESULTS}")
    return FileSearchOptions(tuple(stores), results, tool.get("filters"), tool.get("ranking_options"))
