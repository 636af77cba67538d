"""opencode. Source: its documentation, "Providers" (custom provider) and "Config"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caravan.connecting import json_text
from caravan.connecting.base import KEY_VARIABLE, NO_KEY, Target


class OpenCode:
    """See :class:`caravan.connecting.base.Tool`."""

    name = "opencode"
    title = "opencode"
    api = "OpenAI chat completions"

    def path(self, home: Path, environ: Mapping[str, str]) -> Path:
        """See :meth:`Tool.path`."""
        if given := environ.get("OPENCODE_CONFIG"):
            return Path(given)
        folder = environ.get("XDG_CONFIG_HOME")
        return (Path(folder) if folder else home / ".config") / "opencode" / "opencode.json"

    def fragment(self, target: Target) -> str:
        """See :meth:`Tool.fragment`."""
        return json_text.write(self._settings(target))

    def merged(self, text: str, target: Target) -> str:
        """See :meth:`Tool.merged`."""
        without = json_text.merge(self, text, {"provider": {"caravan": None}})
        return json_text.merge(self, without, self._settings(target))

    def afterwards(self, target: Target) -> list[str]:
        """See :meth:`Tool.afterwards`."""
        steps = ["Start `opencode`; its `/models` lists the models under Caravan."]
        if target.keyed:
            steps.append(f"It takes its key from ${KEY_VARIABLE}: export that where you start it.")
        return steps

    def _settings(self, target: Target) -> dict[str, Any]:
        key = f"{{env:{KEY_VARIABLE}}}" if target.keyed else NO_KEY
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Caravan",
            "options": {"baseURL": target.openai_url, "apiKey": key},
            "models": {model: {"name": model} for model in target.models},
        }
        return {
            "$schema": "https://opencode.ai/config.json",
            "provider": {"caravan": provider},
            "model": f"caravan/{target.model}",
            "small_model": f"caravan/{target.small_model}",
        }
