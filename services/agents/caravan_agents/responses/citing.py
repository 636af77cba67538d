"""A message whose text cites files: the marks are taken out while it comes, and become annotations in their places."""

from __future__ import annotations

from typing import Any

import orjson

from caravan_agents.responses.logprobs import Logprob
from caravan_agents.responses.marks import OPEN, CitedFile, CitedFiles, Marks
from caravan_agents.responses.open_items import Annotate, OpenMessage, Place


class CitingMessage(OpenMessage):
    """Annotations of OpenAI's type `file_citation`. `index` counts characters (code points) of the text that is told:
    the citation belongs before the character of that number."""

    __slots__ = ("_length", "_marks", "_untold")

    def __init__(self, place: Place, annotate: Annotate | None, files: CitedFiles) -> None:
        super().__init__(place, annotate)
        self._marks = Marks(files)
        self._length = 0
        """Characters of the part's text so far."""
        self._untold: list[Logprob] = []
        """Of tokens that are held back, or were taken out."""

    def delta(self, encoded: bytes, text: str, logprobs: list[Logprob] | None = None) -> None:
        if self._kind != "output_text":
            self._begin("output_text")
        if OPEN not in text and not self._marks.held and not self._untold:
            self._length += len(text)
            super().delta(encoded, text, logprobs)
            return
        self._untold += logprobs or ()
        for piece in self._marks.feed(text):
            if isinstance(piece, CitedFile):
                self.annotation(self._citation(piece))
            else:
                self._tell(piece)

    def _tell(self, text: str) -> None:
        logprobs, self._untold = self._untold, []
        self._length += len(text)
        super().delta(orjson.dumps(text), text, logprobs)

    def _citation(self, file: CitedFile) -> dict[str, Any]:
        return {"type": "file_citation", "file_id": file.id, "filename": file.name, "index": self._length}

    def _begin(self, kind: str) -> None:
        super()._begin(kind)
        self._length = 0

    def _end(self) -> None:
        if self._kind == "output_text":
            if rest := self._marks.end():
                self._tell(rest)
            self._logprobs += self._untold
            self._untold = []
        super()._end()
