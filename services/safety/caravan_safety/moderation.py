"""A shield's opinion in the shape of OpenAI's moderations.

All of OpenAI's categories are always there. What a shield found is among them under the name that fits, and under its
own as well: ``pii`` and ``pii/email``, ``violent-crimes`` and ``violence``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from caravan_contracts.safety import Moderated, Verdict

CATEGORIES: Final = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
"""OpenAI's."""
_FAMILIES: Final = {
    "inline::pii": "pii",
    "inline::presidio": "pii",
    "inline::secrets": "secrets",
    "inline::injection-rules": "prompt-injection",
    "inline::prompt-guard": "prompt-injection",
    "inline::code-scanner": "unsafe-code",
}
_MEANS: Final[Mapping[str, tuple[str, ...]]] = {
    "violent-crimes": ("violence", "illicit/violent"),
    "non-violent-crimes": ("illicit",),
    "sex-crimes": ("sexual", "illicit"),
    "child-exploitation": ("sexual", "sexual/minors"),
    "indiscriminate-weapons": ("illicit/violent",),
    "sexual-content": ("sexual",),
    "violence-and-hate": ("violence", "hate"),
    "criminal-planning": ("illicit",),
    "guns-and-illegal-weapons": ("illicit/violent",),
    "regulated-or-controlled-substances": ("illicit",),
}


def moderated(said: Sequence[tuple[str, Verdict]], images: bool) -> Moderated:
    """Of one input, by shields of these provider types."""
    scores = dict.fromkeys(CATEGORIES, 0.0)
    flags = dict.fromkeys(CATEGORIES, False)
    for kind, verdict in said:
        for name, score in verdict.categories.items():
            for meant in _names(kind, name):
                scores[meant] = max(score, scores.get(meant, 0.0))
                flags[meant] = flags.get(meant, False) or (verdict.flagged and _counts(verdict, name, score))
    flagged = [verdict for _, verdict in said if verdict.flagged]
    types = ["text", "image"] if images else ["text"]
    return Moderated(
        flagged=bool(flagged),
        categories=flags,
        category_scores=scores,
        category_applied_input_types={name: types if flags[name] else [] for name in flags},
        user_message="; ".join(verdict.message for verdict in flagged if verdict.message) or None,
        metadata={"shields": [verdict.shield for verdict in flagged]} if flagged else {},
    )


def _names(kind: str, name: str) -> tuple[str, ...]:
    family = _FAMILIES.get(kind)
    if family is not None:
        return (family, f"{family}/{name}")
    return (name, *_MEANS.get(name, ()))


def _counts(verdict: Verdict, name: str, score: float) -> bool:
    """A classifier gives every category a score: those that its message names made it flag, or else its highest."""
    said = {part.strip().lower().replace(" ", "-") for part in verdict.message.removeprefix("found:").split(",")}
    return name.lower() in said or score >= max(verdict.categories.values())
