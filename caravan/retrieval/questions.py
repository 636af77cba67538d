"""Questions, and what answers them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from caravan.errors import StartError

MOST: Final = 10_000
_ANSWERS: Final = ("file_id", "filename", "text")


@dataclass(frozen=True, slots=True)
class Passage:
    """What a search found."""

    file_id: str
    filename: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A passage answers it when it is of the file that is named and has the text; what is empty does not matter."""

    question: str
    file_id: str = ""
    filename: str = ""
    text: str = ""

    def answered_by(self, passage: Passage) -> bool:
        """Whether it is answered; line breaks and runs of blanks in texts are one blank."""
        return (
            self.file_id in ("", passage.file_id)
            and self.filename in ("", passage.filename)
            and _plain(self.text) in _plain(passage.text)
        )

    def rank(self, passages: Sequence[Passage]) -> int | None:
        """Of the first passage that answers it, from 1."""
        return next((rank for rank, passage in enumerate(passages, 1) if self.answered_by(passage)), None)


def read(lines: Iterable[str], source: str) -> list[Question]:
    """One JSON object per line; empty lines are passed over. Raises StartError with the line's number."""
    made = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            made.append(_question(line, f"{source}, line {number}"))
        if len(made) > MOST:
            raise StartError(f"{source} has more than {MOST} questions.")
    if not made:
        raise StartError(f"{source} has no questions.")
    return made


def read_file(path: Path) -> list[Question]:
    """Raises StartError."""
    try:
        with path.open(encoding="utf-8") as file:
            return read(file, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path} cannot be read: {error}") from error


def _question(line: str, place: str) -> Question:
    try:
        data: Any = json.loads(line)
    except ValueError as error:
        raise StartError(f"{place} is no JSON: {error}") from error
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise StartError(f"{place} should be a JSON object of texts.")
    if unknown := [name for name in data if name not in ("question", *_ANSWERS)]:
        raise StartError(f"{place} has {unknown[0]!r}; there are question, {', '.join(_ANSWERS)}.")
    if not data.get("question", "").strip():
        raise StartError(f"{place} has no question.")
    if not any(data.get(name, "").strip() for name in _ANSWERS):
        raise StartError(f"{place} does not say what the answer is: give file_id, filename or text.")
    return Question(**data)


def _plain(text: str) -> str:
    return " ".join(text.split())
