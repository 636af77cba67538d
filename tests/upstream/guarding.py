"""A Llama-Guard-shaped model: it reads the prompt of Meta's model cards, and judges the last message by its words."""

from __future__ import annotations

import re
from typing import Any, Final

_CATEGORIES: Final = re.compile(r"<BEGIN UNSAFE CONTENT CATEGORIES>\n(.*)\n<END UNSAFE CONTENT CATEGORIES>", re.DOTALL)
_CONVERSATION: Final = re.compile(r"<BEGIN CONVERSATION>\n\n(.*)\n\n<END CONVERSATION>", re.DOTALL)
_WORDS: Final = {"bomb": "S9", "stab": "S1", "steal": "S2"}


def judge(body: dict[str, Any]) -> str:
    """``safe``, or ``unsafe`` and its categories. Neither, when that is no prompt of a Llama Guard."""
    prompt = _text(body["messages"][-1]["content"])
    categories, conversation = _CATEGORIES.search(prompt), _CONVERSATION.search(prompt)
    if categories is None or conversation is None or "ONLY THE LAST" not in prompt:
        return "what am I to judge?"
    known = {line.partition(":")[0] for line in categories.group(1).splitlines()}
    last = re.split(r"(?:^|\n\n)(?:User|Agent): ", conversation.group(1))[-1].lower()
    found = [code for word, code in _WORDS.items() if word in last and code in known]
    return f"unsafe\n{','.join(found)}" if found else "safe"


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
