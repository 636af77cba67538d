"""Settings in a TOML file, changed line by line: comments and order of everything else stay as they are."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from caravan.connecting.base import CannotMerge, Tool

_HEADER = re.compile(r"^\s*\[")


def merge(tool: Tool, text: str, top: Mapping[str, str], name: str, table: Mapping[str, str]) -> str:
    """`text` with the keys of `top` at its top, and `table` as the table `name`. Raises CannotMerge."""
    lines = text.splitlines()
    first = next((at for at, line in enumerate(lines) if _HEADER.match(line)), len(lines))
    above, below = _with_keys(lines[:first], top), _without_table(lines[first:], name)
    whole = [*above, "", *below] if below else above
    while whole and not whole[-1].strip():
        whole.pop()
    made = "\n".join([*whole, "", f"[{name}]", *_keys(table)]) + "\n"
    if _read(tool, made) != _meant(_read(tool, text), top, name, table):
        raise CannotMerge(tool, f"The settings of {tool.title} are written in a way that cannot be changed safely")
    return made


def _keys(values: Mapping[str, str]) -> list[str]:
    return [f"{key} = {_string(value)}" for key, value in values.items()]


def _string(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a basic string of TOML is one of JSON


def _with_keys(lines: list[str], top: Mapping[str, str]) -> list[str]:
    """The lines above the first table."""
    left = [line for line in lines if line.partition("=")[0].strip() not in top]
    while left and not left[-1].strip():
        left.pop()
    return [*_keys(top), *left]


def _without_table(lines: list[str], name: str) -> list[str]:
    made: list[str] = []
    inside = False
    for line in lines:
        if _HEADER.match(line):
            inside = line.partition("#")[0].strip() == f"[{name}]"
        if not inside:
            made.append(line)
    return made


def _meant(before: dict[str, Any], top: Mapping[str, str], name: str, table: Mapping[str, str]) -> dict[str, Any]:
    """What a file that says `before` should say then."""
    made = {**before, **top}
    *outer, last = name.split(".")
    inside = made
    for part in outer:
        given = inside.get(part)
        inside[part] = dict(given) if isinstance(given, dict) else {}
        inside = inside[part]
    inside[last] = dict(table)
    return made


def _read(tool: Tool, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotMerge(tool, f"The settings of {tool.title} are no TOML that can be read ({error})") from error
