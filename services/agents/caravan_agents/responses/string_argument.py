"""The text of a function's only argument, while its JSON is still coming."""

from __future__ import annotations

import json
import re
from typing import Final

import orjson
from caravan_contracts.chunks import readable

from caravan_agents.responses.tools import CUSTOM_ARGUMENT

_BEFORE: Final = re.compile(r'\s*\{\s*"' + CUSTOM_ARGUMENT + r'"\s*:\s*"')
_HIGH: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_NO_LOW: Final = r"(?=[^\\]|\\[^u]|\\u[^dD]|\\u[dD][^c-fC-F])"
_WHOLE: Final = re.compile(
    rf'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?![dD][89abAB])[0-9a-fA-F]{{4}}|{_HIGH}(?:{_LOW}|{_NO_LOW}))*'
)
"""Characters that are whole: an escape may be cut, and half of a pair of surrogates waits for the other."""


class StringArgument:
    """Takes ``{"input": "…"}`` in pieces and gives the text inside, each piece as soon as it is certain."""

    __slots__ = ("_at", "_inside", "_json", "_over", "_texts")

    def __init__(self) -> None:
        self._json = ""
        self._at = 0
        self._inside = False
        self._over = False
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """All that was given."""
        return "".join(self._texts)

    @property
    def whole(self) -> bool:
        """Whether its end was seen."""
        return self._over

    def feed(self, piece: str) -> str:
        """What is new of the text."""
        self._json += piece
        if not self._inside:
            found = _BEFORE.match(self._json)
            if found is None:
                return ""
            self._inside, self._at = True, found.end()
        if self._over:
            return ""
        found = _WHOLE.match(self._json, self._at)
        stop = found.end() if found else self._at
        raw = self._json[self._at : stop]
        if self._json[stop : stop + 1] == '"':
            self._over = True
        self._at = stop
        return self._give(_decode(raw))

    def end(self) -> str:
        """What is left when no more comes: all of it, when it never was the object that it should be."""
        if self._inside:
            return ""
        try:
            whole = orjson.loads(self._json)
        except orjson.JSONDecodeError:
            return self._give(self._json)
        if isinstance(whole, dict) and isinstance(whole.get(CUSTOM_ARGUMENT), str):
            return self._give(whole[CUSTOM_ARGUMENT])
        return self._give(whole if isinstance(whole, str) else self._json)

    def _give(self, text: str) -> str:
        if text:
            self._texts.append(text)
        return text


def _decode(raw: str) -> str:
    """The text of a JSON string's inside."""
    return readable(json.loads(f'"{raw}"')) if "\\" in raw else raw
