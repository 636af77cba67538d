"""Whether the bytes of a file are what its name and its media type say: looked at while they pass, kept nowhere.

Only what can be told for certain is refused: a `.pdf` that is none, a `.jsonl` for a batch with a line that is no
JSON. Anything else passes.
"""

from __future__ import annotations

from typing import Final

import orjson

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.files import OF_LINES

LONGEST_LINE: Final = 8 * 1024 * 1024
"""Bytes of one line of JSON."""
_HEAD: Final = 1024
"""Bytes in which the mark of a PDF may stand (its readers look so far)."""
_OFFICE: Final = "a zip archive, as office files are"
_STARTS: Final[dict[str, tuple[bytes, ...]]] = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpeg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "office": (b"PK\x03\x04", b"PK\x05\x06"),
}
_KINDS: Final[dict[str, str]] = {
    "pdf": "a PDF",
    "png": "a PNG image",
    "jpeg": "a JPEG image",
    "gif": "a GIF image",
    "webp": "a WebP image",
    "office": _OFFICE,
}
_ENDINGS: Final = {
    "pdf": "pdf",
    "png": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "gif": "gif",
    "webp": "webp",
    **dict.fromkeys(("docx", "xlsx", "pptx", "odt", "ods", "odp", "epub"), "office"),
}
_MEDIA: Final = {
    "application/pdf": "pdf",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "office",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "office",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "office",
}


class WrongContent(InvalidRequest):
    """A file is not what it says it is."""

    code = "invalid_file"


class ContentCheck:
    """One file on its way. Every method raises WrongContent."""

    def __init__(self, filename: str, media_type: str, purpose: str) -> None:
        """`purpose` may be "" as long as nobody knows it: see :meth:`end`."""
        ending = filename.rpartition(".")[2].lower() if "." in filename else ""
        found = (_ENDINGS.get(ending), _MEDIA.get(media_type.partition(";")[0].strip().lower()))
        self._kinds = [kind for kind in dict.fromkeys(found) if kind is not None]
        self._head: bytearray | None = bytearray() if self._kinds else None
        self._lines = Lines() if not purpose or purpose in OF_LINES else None
        self._at_once = purpose in OF_LINES
        self._size = 0

    def feed(self, data: bytes) -> None:
        """The next bytes, in pieces of any size."""
        self._size += len(data)
        if self._head is not None:
            self._head += data[: _HEAD - len(self._head)]
            if len(self._head) >= _HEAD:
                self._judge()
        if self._lines is not None and self._lines.problem is None:
            self._lines.feed(data)
            if self._at_once:
                self._lines.check()

    def end(self, purpose: str) -> None:
        """That were all. `purpose` is known by now."""
        if not self._size:
            raise WrongContent("the file is empty", param="file", code="empty_file")
        self._judge()
        if purpose in OF_LINES and self._lines is not None:
            self._lines.end()
            self._lines.check()

    def _judge(self) -> None:
        if self._head is None:
            return
        head, self._head = bytes(self._head), None
        for kind in self._kinds:
            if not _is(kind, head):
                raise WrongContent(f"the file is declared to be {_KINDS[kind]}, and is none", param="file")


class Lines:
    """Lines of JSON. `problem` says what is wrong with the first that is none."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._rest = bytearray()
        self._number = 0
        self._objects = 0

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        start = 0
        while self.problem is None and (end := data.find(b"\n", start)) >= 0:
            line = bytes(self._rest) + data[start:end] if self._rest else data[start:end]
            self._rest.clear()
            self._look(line)
            start = end + 1
        if self.problem is None:
            self._rest += data[start:]
            if len(self._rest) > LONGEST_LINE:
                self.problem = f"line {self._number + 1} has more than {LONGEST_LINE} bytes"
        if self.problem is not None:
            self._rest.clear()

    def end(self) -> None:
        """The last line needs no end."""
        if self.problem is None and self._rest:
            self._look(bytes(self._rest))
            self._rest.clear()
        if self.problem is None and not self._objects:
            self.problem = "it has no line"

    def check(self) -> None:
        """Raises WrongContent."""
        if self.problem is not None:
            raise WrongContent(
                f"the file should have one JSON object in each line: {self.problem}", param="file", code="invalid_jsonl"
            )

    def _look(self, line: bytes) -> None:
        self._number += 1
        if self._number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) > LONGEST_LINE:
            self.problem = f"line {self._number} has more than {LONGEST_LINE} bytes"
            return
        if not line.strip():
            return
        try:
            made = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            self.problem = f"line {self._number} is no JSON: {error}"
            return
        if not isinstance(made, dict):
            self.problem = f"line {self._number} is no object"
        self._objects += 1


def _is(kind: str, head: bytes) -> bool:
    if kind == "pdf":
        return b"%PDF-" in head
    if kind == "webp":
        return head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_STARTS[kind])
