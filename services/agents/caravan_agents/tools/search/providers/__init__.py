"""The search engines, one file each, by the name that the settings choose them with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from caravan_agents.tools.search.providers.bing import Bing
from caravan_agents.tools.search.providers.brave import Brave
from caravan_agents.tools.search.providers.custom import Custom
from caravan_agents.tools.search.providers.exa import Exa
from caravan_agents.tools.search.providers.searxng import SearXNG
from caravan_agents.tools.search.providers.tavily import Tavily
from caravan_agents.tools.search.question import Provider


@dataclass(frozen=True, slots=True)
class Engine:
    """One choice of the settings."""

    make: type[Provider]
    needs_key: bool
    url: str = ""
    """Where it usually is; "" = the settings say it."""


ENGINES: Final[Mapping[str, Engine]] = MappingProxyType(
    {
        "brave": Engine(Brave, True, "https://api.search.brave.com/res/v1/web/search"),
        "tavily": Engine(Tavily, True, "https://api.tavily.com/search"),
        "exa": Engine(Exa, True, "https://api.exa.ai/search"),
        "bing": Engine(Bing, True, "https://api.bing.microsoft.com/v7.0/search"),
        "searxng": Engine(SearXNG, False),
        "custom": Engine(Custom, False),
    }
)
