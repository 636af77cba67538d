"""What a tool is, and what its settings point to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from caravan.errors import StartError

KEY_VARIABLE = "CARAVAN_API_KEY"
NO_KEY = "none"
"""Stands where a tool wants a key and the server does not."""


class CannotMerge(StartError):
    """A file that cannot be changed without harm; the message says what to do by hand."""

    def __init__(self, tool: Tool, why: str) -> None:
        super().__init__(
            f"{why}. Nothing was changed; put the settings in by hand: `caravan connect {tool.name}` prints them."
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and what is asked for there."""

    url: str
    """Without a path: ``http://127.0.0.1:8321``."""
    model: str
    small_model: str
    """For what has to be quick and cheap, such as titles."""
    models: tuple[str, ...]
    """All chat models of the server."""
    keyed: bool
    """Whether a key is needed; it stays in $CARAVAN_API_KEY, and is in no file."""

    @property
    def openai_url(self) -> str:
        """What OpenAI's clients call the base URL."""
        return f"{self.url}/v1"

    @property
    def shell_key(self) -> str:
        """The key, as a shell reads it."""
        return f'"${KEY_VARIABLE}"' if self.keyed else NO_KEY


class Tool(Protocol):
    """One of them."""

    name: str
    """As it is called on the command line."""
    title: str
    api: str
    """What it speaks with the server."""

    def path(self, home: Path, environ: Mapping[str, str]) -> Path | None:
        """Its file of settings; None for one that has none."""
        ...

    def fragment(self, target: Target) -> str:
        """The settings alone, as they would stand in its file."""
        ...

    def merged(self, text: str, target: Target) -> str:
        """The file that says `text`, with the settings in it. Raises CannotMerge."""
        ...

    def afterwards(self, target: Target) -> list[str]:
        """What is left to do, a line for each thing."""
        ...
