"""Claude Code. Source: its documentation, "LLM gateway configuration", "Settings" and "Environment variables"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caravan.connecting import json_text
from caravan.connecting.base import KEY_VARIABLE, NO_KEY, Target

_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - the name of a variable


def variables(target: Target) -> dict[str, str]:
    """What it reads from its environment, but the key."""
    return {
        "ANTHROPIC_BASE_URL": target.url,
        "ANTHROPIC_MODEL": target.model,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": target.model,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": target.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": target.small_model,
    }


class Claude:
    """See :class:`caravan.connecting.base.Tool`."""

    name = "claude"
    title = "Claude Code"
    api = "Anthropic Messages"

    def path(self, home: Path, environ: Mapping[str, str]) -> Path:
        """See :meth:`Tool.path`."""
        folder = environ.get("CLAUDE_CONFIG_DIR")
        return (Path(folder) if folder else home / ".claude") / "settings.json"

    def fragment(self, target: Target) -> str:
        """See :meth:`Tool.fragment`."""
        return json_text.write(self._settings(target))

    def merged(self, text: str, target: Target) -> str:
        """See :meth:`Tool.merged`."""
        settings = self._settings(target)
        if target.keyed:  # a token that an earlier run put there would be taken instead of the key
            settings["env"] = {**settings["env"], _TOKEN: None}
        return json_text.merge(self, text, settings)

    def afterwards(self, target: Target) -> list[str]:
        """See :meth:`Tool.afterwards`."""
        steps = ["Start `claude`, without ANTHROPIC_API_KEY in its environment; its `/status` shows the base URL."]
        if target.keyed:
            steps.append(f"It takes its key by a command from ${KEY_VARIABLE}: export that where you start it.")
        return steps

    def _settings(self, target: Target) -> dict[str, Any]:
        if target.keyed:
            return {"apiKeyHelper": f"printenv {KEY_VARIABLE}", "env": variables(target)}
        return {"env": {**variables(target), _TOKEN: NO_KEY}}
