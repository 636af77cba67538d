"""The search of one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caravan_agents.responses.tools import goes_out, same_type
from caravan_agents.tools.search.client import SearchClient
from caravan_agents.tools.search.options import read_options
from caravan_agents.tools.search.providers import ENGINES
from caravan_agents.tools.search.settings import SearchSettings
from caravan_agents.tools.search.tool import NAME, SearchKit


class Searching:
    """What runs get their `web_search` from."""

    def __init__(self, settings: SearchSettings) -> None:
        """The settings are checked already."""
        self._client: SearchClient | None = None
        if settings.search_provider:
            provider = ENGINES[settings.search_provider].make(settings.search_url, settings.search_key)
            self._client = SearchClient(provider, settings.search_seconds)

    @property
    def configured(self) -> bool:
        """Whether there is a search engine."""
        return self._client is not None

    def kit(self, tools: Sequence[dict[str, Any]], include: frozenset[str]) -> SearchKit | None:
        """For a run with these tools, which :func:`caravan_agents.tools.served.check` let pass; None when it has no
        search. `include` is the request's."""
        for at, tool in enumerate(tools):
            if same_type(tool["type"], NAME) and goes_out(tool) and self._client is not None:
                return SearchKit(self._client, read_options(tool, f"tools[{at}]"), include)
        return None

    async def close(self) -> None:
        """Leave the engine."""
        if self._client is not None:
            await self._client.close()
