"""Variables for whatever else reads them: `eval "$(caravan connect env)"`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from caravan.connecting import claude
from caravan.connecting.base import CannotMerge, Target


class Shell:
    """See :class:`caravan.connecting.base.Tool`."""

    name = "env"
    title = "a shell"
    api = "what is started there"

    def path(self, home: Path, environ: Mapping[str, str]) -> None:
        """See :meth:`Tool.path`."""
        return

    def fragment(self, target: Target) -> str:
        """See :meth:`Tool.fragment`."""
        plain = {
            "OPENAI_BASE_URL": target.openai_url,
            "OPENAI_API_BASE": target.openai_url,
            "OPENAI_MODEL": target.model,
            **claude.variables(target),
        }
        lines = [f"export {name}={shlex.quote(value)}" for name, value in plain.items()]
        keys = [f"export {name}={target.shell_key}" for name in ("OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN")]
        return "\n".join([*lines, *keys, "unset ANTHROPIC_API_KEY"]) + "\n"

    def merged(self, text: str, target: Target) -> str:
        """See :meth:`Tool.merged`."""
        raise CannotMerge(self, "The variables of a shell are in no file of their own")

    def afterwards(self, target: Target) -> list[str]:
        """See :meth:`Tool.afterwards`."""
        return ['For this shell: eval "$(caravan connect env)"']
