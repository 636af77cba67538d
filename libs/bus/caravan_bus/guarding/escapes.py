"""Arguments of tool calls are JSON that comes in pieces: what they say is not always what is written.

Source: RFC 8259, section 7.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

_PAIR: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_TOKEN: Final = re.compile(rf"{_PAIR}|\\u[0-9a-fA-F]{{4}}|\\[^u]|[^\\]+", re.DOTALL)
_CUT: Final = re.compile(r"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?))?\Z")
"""An escape, or a pair of them, of which more may come."""
_SURROGATES: Final = range(0xD800, 0xE000)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def said(text: str, final: bool) -> tuple[str, list[int]]:
    """What JSON source says, and where each character of that is written: one place more than characters, the last one
    is the end. An escape that may go on is left out unless the text is final."""
    made: list[str] = []
    places: list[int] = []
    at = 0
    while at < len(text):
        if not final and _CUT.match(text, at):
            break
        found = _TOKEN.match(text, at)
        token = found.group() if found is not None else text[at]
        if token[0] == "\\" and len(token) > 1:
            made.append(_character(token))
            places.append(at)
        else:
            made.append(token)
            places += range(at, at + len(token))
        at += len(token)
    return "".join(made), [*places, at]


def _character(escape: str) -> str:
    if escape[1] != "u":
        return _LETTERS.get(escape[1], escape[1])
    code = int(escape[2:6], 16)
    if len(escape) > 6:
        return chr(0x10000 + ((code - 0xD800) << 10) + int(escape[8:12], 16) - 0xDC00)
    return "\ufffd" if code in _SURROGATES else chr(code)


def written(text: str) -> str:
    """`text` as it stands within a JSON string."""
    return orjson.dumps(text).decode()[1:-1]
