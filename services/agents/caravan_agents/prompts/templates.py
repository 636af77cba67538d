"""Templates: text in which ``{{name}}`` stands for a value. A name is letters, digits and ``_``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.prompts import MAX_VARIABLES

_VARIABLE: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def variables_of(template: str) -> list[str]:
    """The names in `template`, each once, in the order in which they come."""
    return list(dict.fromkeys(_VARIABLE.findall(template)))


def declared(template: str, variables: Iterable[str] | None) -> list[str]:
    """The variables of `template`. Raises InvalidRequest when `variables` are given and are others, or when there are
    too many."""
    found = variables_of(template)
    if len(found) > MAX_VARIABLES:
        raise InvalidRequest(f"a prompt may have {MAX_VARIABLES} variables, not {len(found)}", param="prompt")
    if variables is not None:
        _compare(found, list(variables), "the prompt uses {} that 'variables' does not name", "does not use")
    return found


def render(template: str, variables: Mapping[str, str]) -> str:
    """`template` with each name replaced by its value; what stands in a value is not replaced again. Raises
    InvalidRequest naming what is missing or not in the template."""
    found = variables_of(template)
    _compare(found, list(variables), "the prompt needs {}, and 'variables' does not have it", "has no")
    return _VARIABLE.sub(lambda match: variables[match[1]], template)


def _compare(found: list[str], given: list[str], missing: str, unknown: str) -> None:
    if lacking := [name for name in found if name not in given]:
        raise InvalidRequest(missing.format(_named(lacking)), param="variables", code="missing_variables")
    if more := [name for name in given if name not in found]:
        raise InvalidRequest(
            f"'variables' names {_named(more)}, which the prompt {unknown}", param="variables", code="unknown_variables"
        )


def _named(names: list[str]) -> str:
    shown = ", ".join(repr(name[:100]) for name in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
