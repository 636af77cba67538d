"""aider. Source: its documentation, "OpenAI compatible APIs" and "YAML config file"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from caravan.connecting import yaml_text
from caravan.connecting.base import KEY_VARIABLE, NO_KEY, Target


class Aider:
    """See :class:`caravan.connecting.base.Tool`."""

    name = "aider"
    title = "aider"
    api = "OpenAI chat completions"

    def path(self, home: Path, environ: Mapping[str, str]) -> Path:
        """See :meth:`Tool.path`."""
        return home / ".aider.conf.yml"

    def fragment(self, target: Target) -> str:
        """See :meth:`Tool.fragment`."""
        return self.merged("", target)

    def merged(self, text: str, target: Target) -> str:
        """See :meth:`Tool.merged`."""
        settings: dict[str, str | None] = {
            "openai-api-base": target.openai_url,
            "model": f"openai/{target.model}",
            "weak-model": f"openai/{target.small_model}",
            "openai-api-key": None if target.keyed else NO_KEY,
        }
        return yaml_text.set_keys(self, text, settings)

    def afterwards(self, target: Target) -> list[str]:
        """See :meth:`Tool.afterwards`."""
        steps = ["Start `aider`; it warns that it does not know the model, which does no harm."]
        if target.keyed:
            steps.append(f'It takes its key from the environment: export OPENAI_API_KEY="${KEY_VARIABLE}".')
        return steps
