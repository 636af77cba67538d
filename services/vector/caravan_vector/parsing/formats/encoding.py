"""In which encoding a text is."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from charset_normalizer import from_bytes

from caravan_vector.parsing.errors import InvalidFile

PIECE = 64 * 1024
"""Bytes read at a time."""
COMMONEST = "cp1252"
SAMPLE = 128 * 1024
"""Bytes from which an encoding is guessed that is not UTF-8."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(file: BinaryIO) -> Iterator[str]:
    """The text of a file from its beginning, line ends made one kind. Raises InvalidFile when it is no text."""
    encoding = _encoding(file)
    # what was guessed from a sample may fail behind it; what was said by a mark, or proven, may not
    errors = "strict" if encoding.startswith("utf") else "replace"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    file.seek(0)
    carry = ""
    try:
        while data := file.read(PIECE):
            text = carry + decoder.decode(data)
            carry = "\r" if text.endswith("\r") else ""
            text = _plain_ends(text[:-1] if carry else text)
            if text:
                yield text
        rest = _plain_ends(carry + decoder.decode(b"", True))
    except UnicodeDecodeError as error:
        raise InvalidFile(f"the text is no {error.encoding}, which its first bytes say it is") from error
    if rest:
        yield rest


def _plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _encoding(file: BinaryIO) -> str:
    """By mark, then UTF-8 if all of it is, then a guess; the commonest goes before those that are no better."""
    file.seek(0)
    head = file.read(4)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if _is_utf8(file):
        return "utf-8"
    file.seek(0)
    found = from_bytes(file.read(SAMPLE))
    best = found.best()
    western = next((match for match in found if match.encoding == COMMONEST), None)
    if best is None or (western is not None and western.coherence >= best.coherence):
        return COMMONEST
    return best.encoding


def _is_utf8(file: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while data := file.read(PIECE):
            decoder.decode(data)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True
