"""YAML as a tree in which everything knows its line. Only what JSON can say: no dates, no tags, no NaN."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from caravan_registry.stack.problems import Problems

MAX_BYTES: Final = 1024 * 1024
MAX_NODES: Final = 50_000
"""Aliases count each time they are used, so a few lines of YAML cannot fill the memory."""
MAX_DEPTH: Final = 50
_DATE: Final = "tag:yaml.org,2002:timestamp"
_PLAIN: Final = frozenset(
    {
        *(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")),
        _DATE,
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and where it stands: a scalar, a dict of entries or a list of entries."""

    value: Any
    line: int = 0
    column: int = 0
    keys: dict[str, Entry] = field(default_factory=dict)
    """Of a mapping: each key as an entry, for its place."""

    def plain(self) -> Any:
        """Without the places."""
        if isinstance(self.value, dict):
            return {key: entry.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in self.value]
        return self.value

    def key(self, name: str) -> Entry:
        """Where the key `name` stands; this entry when it has none."""
        return self.keys.get(name, self)


class _TooMuch(Exception):
    pass


class _Reader:
    def __init__(self, loader: yaml.SafeLoader, problems: Problems) -> None:
        self._loader = loader
        self._problems = problems
        self._count = 0

    def read(self, node: yaml.Node, depth: int = 0) -> Entry:
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise _TooMuch
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if node.tag not in _PLAIN:
            self._problems.error(Entry(None, line, column), f"{node.tag} is no type that can be used here")
            return Entry(None, line, column)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, line, column, depth)
        if isinstance(node, yaml.SequenceNode):
            return Entry([self.read(item, depth + 1) for item in node.value], line, column)
        return Entry(self._scalar(node, line, column), line, column)

    def _mapping(self, node: yaml.MappingNode, line: int, column: int, depth: int) -> Entry:
        written = {id(key) for key, _ in node.value}
        self._loader.flatten_mapping(node)  # `<<`: what it brings comes first, what is written wins
        values: dict[str, Entry] = {}
        keys: dict[str, Entry] = {}
        own: set[str] = set()
        for key_node, value_node in node.value:
            key = self.read(key_node, depth + 1)
            if isinstance(key.value, dict | list):
                self._problems.error(key, "a key must be a word")
                continue
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key.value)
            if id(key_node) in written:
                if name in own:
                    self._problems.error(key, f"{name!r} stands here twice")
                own.add(name)
            keys[name] = key
            values[name] = self.read(value_node, depth + 1)
        return Entry(values, line, column, keys)

    def _scalar(self, node: yaml.Node, line: int, column: int) -> Any:
        if node.tag == _DATE:
            return node.value  # `api_version: 2024-06-01` is a word here
        try:
            value = self._loader.construct_object(node)
        except ValueError as error:
            self._problems.error(Entry(None, line, column), f"{node.value!r} cannot be read: {error}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._problems.error(Entry(None, line, column), f"{node.value} is no number that can be used here")
            return None
        return value


def parse(text: str, problems: Problems) -> Entry | None:
    """The tree of `text`; None when it is no YAML (then `problems` says where)."""
    if len(text) > MAX_BYTES:
        problems.error(Entry(None), f"the file is larger than {MAX_BYTES // 1024} KiB")
        return None
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            return Entry({}, 1, 1) if node is None else _Reader(loader, problems).read(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Entry(None, mark.line + 1, mark.column + 1) if mark else Entry(None)
        problems.error(place, f"this is no YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        problems.error(Entry(None), f"this is no YAML: {error}")
    except (_TooMuch, RecursionError):
        problems.error(Entry(None), "the file is nested too deeply, or its aliases make it too large")
    return None
