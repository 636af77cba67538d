"""A call, read while it is being written: ``{"name": "f", "arguments": {...}}``."""

from __future__ import annotations

import re

import orjson

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*', re.DOTALL)
_OPENERS = tuple(before + '{"name":' for before in ("", "<tool_call>", "```json", "```"))
_SPACE = re.compile(r"\s+")


class CallReader:
    """Fed with the text of a schema-bound answer."""

    def __init__(self) -> None:
        self.name = ""
        """The function, as soon as it is known."""
        self.complete = False
        self._head = ""
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> str:
        """The next piece of the arguments' JSON; "" when there is none."""
        if not self.name:
            self._head += text
            match = _HEAD.match(self._head)
            if match is None:
                return ""
            self.name = orjson.loads(match.group(1))
            text = self._head[match.end() :]
        return self._arguments(text)

    def _arguments(self, text: str) -> str:
        """`text` up to the end of the value that began with the first character that is no space."""
        if self.complete:
            return ""
        if self._depth == 0:
            text = text.lstrip()
        for i, char in enumerate(text):
            if self._in_string:
                self._string(char)
            elif char == '"':
                self._in_string = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth == 0:
                    self.complete = True
                    return text[: i + 1]
        return text

    def _string(self, char: str) -> None:
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = False


def begins_call(text: str) -> bool | None:
    """Whether free text is the beginning of a call; None while it may still become one."""
    tight = _SPACE.sub("", text)
    if any(tight.startswith(opener) for opener in _OPENERS):
        return True
    return None if any(opener.startswith(tight) for opener in _OPENERS) else False
