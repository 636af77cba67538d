"""Settings in a YAML file, changed line by line: comments and order of everything else stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from caravan.connecting.base import CannotMerge, Tool

_BEGIN, _END = "# caravan connect: begin", "# caravan connect: end"


def set_keys(tool: Tool, text: str, values: Mapping[str, str | None]) -> str:
    """`text` with these keys at its outermost level, None without. Raises CannotMerge."""
    lines = [line for line in text.splitlines() if line.partition(":")[0] not in values]
    wanted = {key: value for key, value in values.items() if value is not None}
    made = "\n".join([*lines, *(f"{key}: {json.dumps(value)}" for key, value in wanted.items())]) + "\n"
    others = {key: value for key, value in _read(tool, text).items() if key not in values}
    if _read(tool, made) != {**others, **wanted}:
        raise _odd(tool)
    return made


def set_entry(tool: Tool, text: str, name: str, entry: Mapping[str, Any]) -> str:
    """`text` whose list `name` begins with `entry`; one that was put there before is replaced. Raises CannotMerge."""
    lines = _without_block(text.splitlines())
    at = next((at for at, line in enumerate(lines) if re.match(rf"{name}:\s*(\[\])?\s*(#.*)?$", line)), None)
    if at is None:
        at = len(lines)
        lines.append("")
    indent = re.match(r"( *)- ", next((one for one in lines[at + 1 :] if one.lstrip().startswith("- ")), "  - "))
    space = indent[1] if indent else ""
    body = [f"{key}: {json.dumps(value)}" for key, value in entry.items()]
    block = [_BEGIN, f"- {body[0]}", *(f"  {one}" for one in body[1:]), _END]
    lines[at : at + 1] = [f"{name}:", *(space + one for one in block)]
    made = "\n".join(lines) + "\n"
    there = _read(tool, "\n".join(_without_block(text.splitlines())))
    if _read(tool, made) != {**there, name: [dict(entry), *(there.get(name) or [])]}:
        raise _odd(tool)
    return made


def _without_block(lines: list[str]) -> list[str]:
    stripped = [line.strip() for line in lines]
    if _BEGIN not in stripped or _END not in stripped:
        return lines
    return lines[: stripped.index(_BEGIN)] + lines[stripped.index(_END) + 1 :]


def _read(tool: Tool, made: str) -> dict[str, Any]:
    import yaml

    try:
        read = yaml.safe_load(made)
    except yaml.YAMLError as error:
        raise CannotMerge(tool, f"The settings of {tool.title} are no YAML that can be read ({error})") from error
    if read is not None and not isinstance(read, dict):
        raise _odd(tool)
    return read or {}


def _odd(tool: Tool) -> CannotMerge:
    return CannotMerge(tool, f"The settings of {tool.title} are written in a way that cannot be changed safely")
