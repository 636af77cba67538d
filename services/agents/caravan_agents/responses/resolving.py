"""Items that stand for something else become what a model is told: compactions, and reasoning that was sealed.

Whoever runs a response calls :func:`resolve` on history and input together, before :func:`to_messages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from caravan_agents.responses.items import Item, text_message
from caravan_agents.responses.sealing import Sealing

_LASTING: Final = frozenset({"user", "system", "developer"})
_TOLD: Final = """\
What was said and done before this point was left out for want of room. This is the summary of it:
<summary>
{summary}
</summary>
Go on from there: answer the user's last message if that was not done yet, and do not speak of this summary."""


def resolve(items: Sequence[Item], tenant: str, sealing: Sealing) -> list[Item]:
    """`items` as the model is told of them. Raises InvalidRequest for a seal that does not open, SecretMissing.

    The last compaction stands for all before it but what user, system and developer said; one before it is part of its
    summary. It is told as the user's words: part of it may come from tools, and no tool speaks for the system.
    """
    last = max((at for at, item in enumerate(items) if item["type"] == "compaction"), default=-1)
    kept = lasting(items[: max(last, 0)])
    if last >= 0:
        summary = sealing.open(tenant, "compaction", items[last]["encrypted_content"])
        kept.append(text_message("user", _TOLD.format(summary=summary)))
    return kept + [_opened(item, tenant, sealing) for item in items[last + 1 :]]


def lasting(items: Sequence[Item]) -> list[Item]:
    """What outlives a compaction, word for word."""
    return [item for item in items if item["type"] == "message" and item["role"] in _LASTING]


def _opened(item: Item, tenant: str, sealing: Sealing) -> Item:
    """Reasoning that came back sealed, and without its text."""
    if item["type"] != "reasoning" or not item.get("encrypted_content") or item.get("content") or item.get("summary"):
        return item
    text = sealing.open(tenant, "reasoning", item["encrypted_content"])
    return {**item, "content": [{"type": "reasoning_text", "text": text}]}
