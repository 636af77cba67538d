"""Codex CLI. Source: its documentation, "Configuration reference" (model_providers)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from caravan.connecting import toml_text
from caravan.connecting.base import KEY_VARIABLE, Target


class Codex:
    """See :class:`caravan.connecting.base.Tool`."""

    name = "codex"
    title = "Codex CLI"
    api = "OpenAI Responses"

    def path(self, home: Path, environ: Mapping[str, str]) -> Path:
        """See :meth:`Tool.path`."""
        folder = environ.get("CODEX_HOME")
        return (Path(folder) if folder else home / ".codex") / "config.toml"

    def fragment(self, target: Target) -> str:
        """See :meth:`Tool.fragment`."""
        return self.merged("", target)

    def merged(self, text: str, target: Target) -> str:
        """See :meth:`Tool.merged`."""
        top = {"model": target.model, "model_provider": "caravan"}
        table = {"name": "Caravan", "base_url": target.openai_url, "wire_api": "responses"}
        if target.keyed:
            table["env_key"] = KEY_VARIABLE
        return toml_text.merge(self, text, top, "model_providers.caravan", table)

    def afterwards(self, target: Target) -> list[str]:
        """See :meth:`Tool.afterwards`."""
        steps = ["Start `codex`, or try `codex exec 'say hello'`. Another model for once: `codex -m MODEL`."]
        if target.keyed:
            steps.append(f"It takes its key from ${KEY_VARIABLE}: export that where you start it.")
        return steps
