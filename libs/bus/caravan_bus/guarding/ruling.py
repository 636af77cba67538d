"""What verdicts mean to a rule. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from caravan_contracts.errors import ContentFiltered
from caravan_contracts.safety import Action, Finding, Verdict

from caravan_bus.guarding.policy import Rule


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a text may not pass."""

    rule: Rule
    shield: str
    categories: dict[str, float] = field(default_factory=dict)
    silent: bool = False
    """There was no verdict, and the rule is closed."""

    def told(self) -> dict[str, Any] | None:
        """What the caller may know of it."""
        if not self.rule.visible:
            return None
        made: dict[str, Any] = {"guardrail": self.rule.guardrail, "shield": self.shield, "categories": self.categories}
        return {**made, "reason": "no_verdict"} if self.silent else made

    def error(self) -> ContentFiltered:
        """For a request that is refused."""
        return ContentFiltered(self.rule.message, details=self.told())


@dataclass(frozen=True, slots=True)
class Mask:
    """What stands in a text instead of a part of it, in characters."""

    start: int
    end: int
    text: str


@dataclass(slots=True)
class Ruling:
    """What is to be done with some texts."""

    masks: list[list[Mask]]
    """Of each text: in order, not overlapping."""
    settled: int
    """Characters of the last text that nothing can change any more."""
    blocked: Blocked | None = None
    heard: bool = True
    """Whether every shield gave its verdict."""

    @classmethod
    def nothing(cls, texts: Sequence[str]) -> Ruling:
        """They pass as they are."""
        return cls([[] for _ in texts], len(texts[-1]) if texts else 0)

    def join(self, other: Ruling) -> None:
        """What another rule says of the same texts."""
        self.blocked = self.blocked or other.blocked
        self.heard = self.heard and other.heard
        self.settled = min(self.settled, other.settled)
        self.masks = [merged([*mine, *theirs]) for mine, theirs in zip(self.masks, other.masks, strict=True)]


def ruled(rule: Rule, verdicts: Sequence[Verdict], texts: Sequence[str], final: bool, known: int = 0) -> Ruling:
    """What `rule` makes of the answer to its check. The first `known` characters of the first text were judged before:
    findings in them are old."""
    made = Ruling.nothing(texts)
    for name, verdict in zip(rule.check.shields, verdicts, strict=False):
        if verdict.error or not _fits(verdict, texts):
            made.join(silent(rule, texts, name))
            continue
        found = verdict.findings
        if not final and verdict.settled is not None:
            settled = max(0, verdict.settled)
            # what comes may still make something else of a finding that is not settled
            found = [each for each in found if each.text < len(texts) - 1 or each.end <= settled]
            made.settled = min([made.settled, settled, *(each.start for each in verdict.findings if each not in found)])
        if verdict.flagged:
            _flag(made, rule, verdict, [each for each in found if each.text or each.end > known])
    for name in rule.check.shields[len(verdicts) :]:
        made.join(silent(rule, texts, name))
    return made


def silent(rule: Rule, texts: Sequence[str], shield: str = "") -> Ruling:
    """What holds when there is no verdict."""
    made = Ruling.nothing(texts)
    made.heard = False
    if not rule.open:
        made.blocked = Blocked(rule, shield or rule.check.shields[0], silent=True)
    return made


def _flag(made: Ruling, rule: Rule, verdict: Verdict, new: list[Finding]) -> None:
    if rule.check.action is Action.MASK and verdict.findings:
        for index, masks in enumerate(made.masks):
            made.masks[index] = merged([*masks, *_masks(new, index)])
    elif new or not verdict.findings:
        made.blocked = made.blocked or Blocked(rule, verdict.shield, verdict.categories)


def _masks(found: Iterable[Finding], index: int) -> Iterable[Mask]:
    for finding in found:
        if finding.text == index and finding.end > finding.start:
            yield Mask(finding.start, finding.end, finding.replacement or f"[{finding.label.upper()}]")


def _fits(verdict: Verdict, texts: Sequence[str]) -> bool:
    """Whether its places are places in the texts."""
    return all(
        0 <= found.text < len(texts) and 0 <= found.start <= found.end <= len(texts[found.text])
        for found in verdict.findings
    )


def merged(masks: Iterable[Mask]) -> list[Mask]:
    """In order; those that overlap become one, with the text of the first."""
    made: list[Mask] = []
    for mask in sorted(masks, key=lambda mask: (mask.start, -mask.end)):
        if made and mask.start < made[-1].end:
            last = made[-1]
            made[-1] = Mask(last.start, max(last.end, mask.end), last.text)
        else:
            made.append(mask)
    return made


def masked(text: str, masks: Iterable[Mask]) -> str:
    """`text` with every mask in its place."""
    made: list[str] = []
    at = 0
    for mask in masks:
        made += [text[at : mask.start], mask.text]
        at = mask.end
    return "".join([*made, text[at:]])
