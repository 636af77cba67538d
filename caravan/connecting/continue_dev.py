"""Continue. Source: its documentation, "config.yaml reference" and "OpenAI" (compatible providers)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from caravan.connecting import yaml_text
from caravan.connecting.base import KEY_VARIABLE, NO_KEY, Target

_NEW = "name: Caravan\nversion: 0.0.1\nschema: v1\nmodels:\n"


class Continue:
    """See :class:`caravan.connecting.base.Tool`."""

    name = "continue"
    title = "Continue"
    api = "OpenAI chat completions"

    def path(self, home: Path, environ: Mapping[str, str]) -> Path:
        """See :meth:`Tool.path`."""
        folder = environ.get("CONTINUE_GLOBAL_DIR")
        return (Path(folder) if folder else home / ".continue") / "config.yaml"

    def fragment(self, target: Target) -> str:
        """See :meth:`Tool.fragment`."""
        return self.merged("", target)

    def merged(self, text: str, target: Target) -> str:
        """See :meth:`Tool.merged`."""
        entry = {
            "name": f"Caravan: {target.model}",
            "provider": "openai",
            "model": target.model,
            "apiBase": target.openai_url,
            "apiKey": f"${{{{ secrets.{KEY_VARIABLE} }}}}" if target.keyed else NO_KEY,
            "roles": ["chat", "edit", "apply"],
        }
        return yaml_text.set_entry(self, text if text.strip() else _NEW, "models", entry)

    def afterwards(self, target: Target) -> list[str]:
        """See :meth:`Tool.afterwards`."""
        steps = ["Reload the editor's window; the model is listed in Continue's menu."]
        if target.keyed:
            steps.append(f"Its key is the secret {KEY_VARIABLE}: put `{KEY_VARIABLE}=...` into ~/.continue/.env.")
        return steps
