"""Shields that look for expressions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from caravan_contracts.safety import Finding

from caravan_safety.matching.scanner import Scan, Scanner
from caravan_safety.shields.base import Opinion, Passage

_AT_ONCE: Final = 2_048
"""Characters of a text that is scanned within the event loop; a longer one in a thread."""


async def scan(scanner: Scanner, passage: Passage) -> list[Scan]:
    """Each text. Raises TimeoutError."""
    found = []
    for number, text in enumerate(passage.texts):
        final = passage.final or number < len(passage.texts) - 1
        if len(text) <= _AT_ONCE:
            found.append(scanner.scan(text, final, passage.until))
        else:
            found.append(await asyncio.to_thread(scanner.scan, text, final, passage.until))
    return found


def opinion(
    scans: list[Scan],
    final: bool,
    category: Callable[[str], str] = lambda label: label,
    replacements: Mapping[str, str] | None = None,
) -> Opinion:
    """Every match is a finding, certain and of the category that its label belongs to."""
    masks = replacements or {}
    findings = [
        Finding(text=number, start=each.start, end=each.end, label=each.label, replacement=masks.get(each.label, ""))
        for number, each_text in enumerate(scans)
        for each in each_text.matches
    ]
    labels = sorted({label for each in scans for label in each.labels})
    return Opinion(
        flagged=bool(findings),
        categories={category(label): 1.0 for label in labels},
        findings=findings,
        settled=None if final or not scans else scans[-1].settled,
        message=f"found: {', '.join(labels)}" if labels else "",
    )
