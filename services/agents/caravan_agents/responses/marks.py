"""Marks by which a model cites files: how they look, and how they are taken out of a text that comes in pieces.

The mark of a file follows from its id alone, so it is the same in every search, every turn and every process; and what
was cited says how it was written, which a run that goes on elsewhere needs (:mod:`caravan_agents.runs.rebuild`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from caravan_agents.responses.items import Item

OPEN: Final = "【"
"""What every mark begins with."""
_TAIL: Final = r"†[^【】\n]{0,40}"
"""What models that learned other marks write behind the number: ``†source``."""
_MARK: Final = re.compile(rf"(?P<mark>【[0-9]{{6}})(?:{_TAIL})?】")
_BEGUN: Final = re.compile(rf"【(?:[0-9]{{0,6}}|[0-9]{{6}}{_TAIL})\Z")


@dataclass(frozen=True, slots=True)
class CitedFile:
    """One that a search has found."""

    id: str
    name: str


def mark_of(file_id: str) -> str:
    """``【012345】``: digits are what models copy without mistakes."""
    digest = hashlib.sha256(file_id.encode("utf-8", "replace")).digest()
    return f"{OPEN}{int.from_bytes(digest[:8], 'big') % 10**6:06}】"


def may_go_on(text: str) -> bool:
    """Whether the end of `text` may be the beginning of a mark."""
    return _BEGUN.search(text) is not None


def passages(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of a search as the model is told of them, each with the mark to cite it by; what is no passage (an
    error) stays as it is."""
    return [_passage(row) if row.get("file_id") else row for row in results]


def _passage(row: dict[str, Any]) -> dict[str, Any]:
    made = {"cite": mark_of(row["file_id"]), "filename": row.get("filename"), "text": row.get("text")}
    return {**made, "attributes": row["attributes"]} if row.get("attributes") else made


class CitedFiles:
    """What the searches of one run have found."""

    def __init__(self) -> None:
        self._by_mark: dict[str, CitedFile | None] = {}
        """None for a mark that two files have, which says nothing."""

    def learn(self, items: Iterable[Item]) -> None:
        """What searches found, as it stands in their items."""
        for item in items:
            if item["type"] == "file_search_call":
                for row in item.get("results") or ():
                    if row.get("file_id"):
                        self._add(CitedFile(row["file_id"], row.get("filename") or row["file_id"]))

    def find(self, mark: str) -> CitedFile | None:
        """The file of a mark."""
        return self._by_mark.get(mark)

    def _add(self, file: CitedFile) -> None:
        mark = mark_of(file.id)
        known = self._by_mark.setdefault(mark, file)
        if known is not None and known.id != file.id:
            self._by_mark[mark] = None


class Marks:
    """Reads one text. A mark of a file that was not found is text as any other."""

    __slots__ = ("_files", "held")

    def __init__(self, files: CitedFiles) -> None:
        self._files = files
        self.held = ""
        """What may be the beginning of a mark: at most 48 characters."""

    def feed(self, text: str) -> Iterator[str | CitedFile]:
        """The text without its marks, as far as that is certain, and the files in their places."""
        text = self.held + text
        at = 0
        for found in _MARK.finditer(text):
            file = self._files.find(found["mark"] + "】")
            if file is not None:
                yield from filter(None, (text[at : found.start()],))
                yield file
                at = found.end()
        begun = _BEGUN.search(text, at)
        self.held = begun[0] if begun else ""
        if rest := text[at : len(text) - len(self.held)]:
            yield rest

    def end(self) -> str:
        """What was held back: there is no more."""
        rest, self.held = self.held, ""
        return rest
