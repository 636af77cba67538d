"""What runs are made with."""

from __future__ import annotations

from dataclasses import dataclass, field

from caravan_bus.inference import InferenceClient

from caravan_agents.prompts.store import Store as Prompts
from caravan_agents.responses.attachments import Attachments
from caravan_agents.responses.compacting import Compactor
from caravan_agents.responses.store import ResponseStore
from caravan_agents.runs.journal import Journal
from caravan_agents.runs.keeper import Keeper
from caravan_agents.runs.notices import Notices
from caravan_agents.runs.tail import Tail
from caravan_agents.tools.base import MakeKit


@dataclass(frozen=True, slots=True)
class Parts:
    """One per process."""

    instance: str
    client: InferenceClient
    store: ResponseStore
    prompts: Prompts
    journal: Journal
    tail: Tail
    keeper: Keeper
    kit: MakeKit
    compactor: Compactor
    attachments: Attachments
    notices: Notices
    max_turns: int = field(default=64)
    """Of the model in one response; behind them it has to answer in words."""
    seconds: float = field(default=3600.0)
    """Of one response in the background."""
