"""What is wrong with a stack file, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from caravan_contracts.errors import InvalidRequest

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. Lines and columns count from 1; 0 = the file as a whole."""

    line: int
    column: int
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        mark = "" if self.severity == "error" else "warning: "
        return f"line {self.line}: {mark}{self.message}" if self.line else f"{mark}{self.message}"


class StackError(InvalidRequest):
    """The stack file cannot be used; `problems` are all its mistakes."""

    code = "invalid_stack"

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        lines = [f"{source}:{problem.line}: {problem.message}" for problem in self.problems]
        super().__init__("the stack file has mistakes:\n" + "\n".join(f"  {line}" for line in lines))


class Located(Protocol):
    """Anything that stands somewhere in the file."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


@dataclass(slots=True)
class Problems:
    """Collects, so that every mistake is told at once."""

    found: list[Problem] = field(default_factory=list)

    def error(self, where: Located, message: str) -> None:
        """Something that must be put right."""
        self.found.append(Problem(where.line, where.column, message))

    def warning(self, where: Located, message: str) -> None:
        """Something that is not used, or may not be meant."""
        self.found.append(Problem(where.line, where.column, message, "warning"))

    @property
    def errors(self) -> list[Problem]:
        """Without the warnings."""
        return [problem for problem in self.found if problem.severity == "error"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` (with its leading space), or "" when nothing is near."""
    near = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""
