"""Filters of tools: `allowed_tools`, and both sides of `require_approval`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def hint(annotations: Any, name: str) -> bool:
    """Whether a server says so of its tool (``readOnlyHint``, ``idempotentHint``). What is not said is not so."""
    return isinstance(annotations, Mapping) and annotations.get(name) is True


@dataclass(frozen=True, slots=True)
class Filter:
    """Tools that fit all that is said."""

    names: frozenset[str] | None = None
    read_only: bool | None = None

    def fits(self, tool: Mapping[str, Any]) -> bool:
        """Whether it fits a tool ``{name, annotations …}``."""
        if self.names is not None and tool["name"] not in self.names:
            return False
        return self.read_only is None or hint(tool.get("annotations"), "readOnlyHint") == self.read_only

    @property
    def says_something(self) -> bool:
        return self.names is not None or self.read_only is not None


def read_filter(value: Any) -> Filter | None:
    """A list of names, or ``{tool_names, read_only}``. None when there is none. The shape was checked before."""
    if value is None:
        return None
    if isinstance(value, list):
        return Filter(frozenset(value))
    names = value.get("tool_names")
    return Filter(None if names is None else frozenset(names), value.get("read_only"))


@dataclass(frozen=True, slots=True)
class Approval:
    """Which calls the client has to allow first: all, unless something else is said."""

    always: Filter | None = None
    never: Filter | None = None
    rest: bool = True
    """Of tools that neither filter names."""

    def needed(self, tool: Mapping[str, Any]) -> bool:
        """Whether a call of this tool needs one. A tool that both filters name does."""
        if self.always is not None and self.always.fits(tool):
            return True
        if self.never is not None and self.never.fits(tool):
            return False
        return self.rest


def read_approval(value: Any) -> Approval:
    """`require_approval`: 'always', 'never', or filters. With a filter `always` alone, other tools need none."""
    if value is None or value == "always":
        return Approval()
    if value == "never":
        return Approval(rest=False)
    always, never = (_said(read_filter(value.get(name))) for name in ("always", "never"))
    return Approval(always, never, rest=always is None or value.get("never") is not None)


def _said(filter: Filter | None) -> Filter | None:
    return filter if filter is not None and filter.says_something else None
