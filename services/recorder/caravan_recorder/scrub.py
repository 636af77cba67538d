"""Secrets are taken out before anything is written: by the name of their field, and by how they look.

The same is done to a request that is looked up, so that one whose prompt holds a key finds its recording.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from caravan_recorder.errors import BadCassette

MARK: Final = "[scrubbed]"
_SHORTEST: Final = 8
"""Characters of a secret from which on it is also looked for, as it is, in the answer."""
_NAMES: Final = (
    r"(?:proxy[_-]?)?authorization|(?:x[_-])?api[_-]?key|(?:set[_-])?cookie|credentials?|pass(?:word|wd|phrase)"
    r"|(?:client[_-]|shared[_-])?secret(?:[_-](?:access[_-])?key)?|private[_-]key"
    r"|(?:access|auth|bearer|id|refresh|session)[_-]?token"
)
_FIELD: Final = re.compile(_NAMES, re.IGNORECASE)
_LOOKS: Final = (
    # a field of JSON inside a string: the arguments of a tool call
    rf'(?i:(?P<keep>\\*"(?:{_NAMES})\\*"\s*:\s*\\*"))[^"\\]+',
    r"(?i:(?P<keep>\bbearer\s+))(?=[A-Za-z._~+/=-]*\d)[A-Za-z0-9._~+/=-]{16,}",
    r"\bsk-[A-Za-z0-9_-]{16,}",
    r"\b(?:gsk|hf|xai|nvapi|pplx|r8|npm|tgp_v1|glpat|github_pat|gh[opusr])[_-][A-Za-z0-9_-]{16,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bAIza[A-Za-z0-9_-]{35,}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",  # JSON web tokens
    r"\bS[AOU][A-Z2-7]{56}\b",  # seeds of NATS
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----",
    r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^/\s:@\"\\]+:[^/\s@\"\\]+(?=@)",  # user:password of a URL
)


class Scrubber:
    """Takes secrets out of text and of JSON. `patterns` are more regular expressions, each matching a whole secret."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """Raises BadCassette for an expression that is none, or that matches nothing at all."""
        self.patterns = tuple(patterns)
        self._looks = [re.compile(look) for look in _LOOKS]
        for pattern in self.patterns:
            try:
                made = re.compile(pattern)
            except re.error as error:
                raise BadCassette(f"the pattern of a secret {pattern!r} is no regular expression: {error}") from error
            if made.search(""):
                raise BadCassette(f"the pattern of a secret {pattern!r} matches what is empty")
            self._looks.append(made)

    def text(self, text: str, found: set[str] | None = None) -> str:
        """`text` without what looks like a secret; the secrets go into `found`."""

        def mark(match: re.Match[str]) -> str:
            keep = match.groupdict().get("keep") or ""
            secret = match.group(0)[len(keep) :]
            if secret == MARK:
                return match.group(0)
            if found is not None:
                found.add(secret)
            return keep + MARK

        if text.startswith("data:") and ";base64," in text[:128]:
            return text  # an image: long, and no place for a key
        for look in self._looks:
            text = look.sub(mark, text)
        return text

    def value(self, value: Any, found: set[str] | None = None) -> Any:
        """JSON without secrets, as a copy."""
        if isinstance(value, str):
            return self.text(value, found)
        if isinstance(value, list):
            return [self.value(part, found) for part in value]
        if isinstance(value, dict):
            return {self.text(key, found): self._field(key, part, found) for key, part in value.items()}
        return value

    def _field(self, name: str, value: Any, found: set[str] | None) -> Any:
        if isinstance(value, str) and value and _FIELD.fullmatch(name):
            if found is not None and value != MARK:
                found.add(value)
            return MARK
        return self.value(value, found)


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` without these very strings, but for those too short to be told from other words."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MARK)
    return text
