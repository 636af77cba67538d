"""``inline::code-scanner``: unsafe patterns in Python that a text holds in fenced blocks, as Bandit knows them.

Bandit runs in a process of its own, which reads the code and never runs it: what it makes of a hostile text harms
nobody else, and it ends when the time is over.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from typing import Any, Final, Literal

import orjson
from caravan_contracts.errors import UpstreamFailed
from caravan_contracts.safety import Finding, ShieldSpec
from pydantic import Field

from caravan_safety.gathering import gathered
from caravan_safety.shields import packages
from caravan_safety.shields.base import Opinion, Params, Passage, Shield, read_params
from caravan_safety.shields.parts import Parts

_LINE_ENDS: Final = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
"""Behind the ends of lines as Python reads them: other breaks are characters of a text."""
_FENCE: Final = re.compile(r"```([^\n`]*)\n(.*?)```", re.DOTALL)
_PYTHON: Final = frozenset({"python", "py", "python3", "ipython", "pycon"})
_SCORES: Final = {"LOW": 0.3, "MEDIUM": 0.6, "HIGH": 0.9}
_COMMAND: Final = (sys.executable, "-P", "-m", "bandit", "--quiet", "--ignore-nosec", "--format", "json", "-")
_PROCESSES: Final = 4
"""Of one shield at once: each takes a quarter of a second and 40 MB."""
_BLOCKS: Final = 32
"""Of one check; what has more is flagged as `too_many`."""


class Settings(Params):
    """Of one shield."""

    severity: Literal["low", "medium", "high"] = "medium"
    """From which on something is flagged."""
    unmarked: bool = True
    """Whether fenced blocks that name no language are read as Python; what is none is `unparsable`, of severity low."""
    max_characters: int = Field(default=100_000, ge=1_000, le=1_000_000)
    """Of one block; a longer one is not looked at, and flagged as `too_long`."""


class CodeScanner:
    """Finds lines. Of an unfinished text a block is settled when it is closed."""

    types = ("inline::code-scanner",)
    sees = False
    finds_places = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._least = _SCORES[settings.severity.upper()]
        self._turn = asyncio.Semaphore(_PROCESSES)

    @classmethod
    def make(cls, spec: ShieldSpec, parts: Parts) -> Shield:
        settings = read_params(Settings, spec.params)
        packages.need("bandit", "the package bandit (make setup)", cls.types[0])
        return cls(settings)

    async def look(self, passage: Passage) -> Opinion:
        blocks = [(number, *block) for number, text in enumerate(passage.texts) for block in self._blocks(text)]
        scans = await gathered(self._scan(code) for _, _, code in blocks[:_BLOCKS])
        scans += [[("too_many", 1.0, 1, _lines(code))] for _, _, code in blocks[_BLOCKS:]]
        findings: list[Finding] = []
        categories: dict[str, float] = {}
        for (number, start, code), found in zip(blocks, scans, strict=True):
            for label, score, first, last in found:
                categories[label] = max(score, categories.get(label, 0.0))
                if score >= self._least:
                    findings.append(_finding(number, start, code, first, last, label))
        flagged = sorted({each.label for each in findings})
        settled = None if passage.final or not passage.texts else _settled(passage.texts[-1])
        return Opinion(
            bool(findings), categories, _apart(findings), settled, f"found: {', '.join(flagged)}" if flagged else ""
        )

    def _blocks(self, text: str) -> Iterator[tuple[int, str]]:
        for found in _FENCE.finditer(text):
            language = found.group(1).strip().lower().partition(" ")[0]
            read = language in _PYTHON or (not language and self._settings.unmarked)
            if read and not found.group(2).isspace():
                yield found.start(2), found.group(2)

    async def _scan(self, code: str) -> list[tuple[str, float, int, int]]:
        """Label, score, first and last line (from 1) of what was found."""
        if len(code) > self._settings.max_characters:
            return [("too_long", 1.0, 1, _lines(code))]
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                out, _ = await process.communicate(code.encode("utf-8", "replace"))
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        return _read(out, code)


def _read(out: bytes, code: str) -> list[tuple[str, float, int, int]]:
    try:
        report: dict[str, Any] = orjson.loads(out)
        unread = [("unparsable", _SCORES["LOW"], 1, _lines(code))] if report["errors"] else []
        return unread + [
            (
                str(row["test_name"]),
                _SCORES[str(row["issue_severity"])],
                min(row.get("line_range") or [row["line_number"]]),
                max(row.get("line_range") or [row["line_number"]]),
            )
            for row in report["results"]
            if row["issue_severity"] in _SCORES
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise UpstreamFailed("bandit's report cannot be read") from error


def _lines(code: str) -> int:
    return len(_LINE_ENDS.split(code))


def _finding(number: int, start: int, code: str, first: int, last: int, label: str) -> Finding:
    lines = _LINE_ENDS.split(code)
    begin = sum(map(len, lines[: first - 1]))
    end = sum(map(len, lines[:last]))
    return Finding(text=number, start=start + begin, end=start + max(end, begin + 1), label=label)


def _apart(findings: list[Finding]) -> list[Finding]:
    """In order, those that lie within what was found already left out."""
    kept: list[Finding] = []
    for each in sorted(findings, key=lambda found: (found.text, found.start, -found.end)):
        last = kept[-1] if kept and kept[-1].text == each.text else None
        if last is None or each.start >= last.end:
            kept.append(each)
        elif each.end > last.end:
            last.end = each.end
    return kept


def _settled(text: str) -> int:
    """Up to the block that is open, or may be about to open."""
    end = max((found.end() for found in _FENCE.finditer(text)), default=0)
    opened = text.find("```", end)
    return opened if opened >= 0 else end + len(text[end:].rstrip("`"))
