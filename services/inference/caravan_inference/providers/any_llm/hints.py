"""What an upstream does not take and need not.

SDKs refuse arguments they do not know before anything is sent. Where one is a mere wish (`seed`, `user`) it is left
out from then on; a request for something else fails with its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

WISHES: Final = frozenset(
    {
        "seed",
        "user",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning_effort",
        "service_tier",
        "stream_options",
        "encoding_format",
    }
)
_UNEXPECTED: Final = re.compile(r"unexpected keyword argument '(\w+)'")


class Hints:
    """What one upstream was found not to take."""

    def __init__(self) -> None:
        self._left_out: set[str] = set()

    def fitting(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """`options` without it."""
        return {name: value for name, value in options.items() if name not in self._left_out}

    def learned(self, error: Exception) -> bool:
        """Whether `error` says that a wish is not taken, so that the call may be made again without it."""
        name = refused_argument(error)
        if name not in WISHES or name in self._left_out:
            return False
        self._left_out.add(name)
        return True


def refused_argument(error: Exception) -> str:
    """The argument that any-llm or an SDK refused before sending; "" when that is not what happened."""
    name = getattr(error, "parameter_name", None)
    if isinstance(name, str):
        return name
    original = getattr(error, "original_exception", None)
    found = _UNEXPECTED.search(str(original)) if isinstance(original, TypeError) else None
    return found[1] if found else ""
