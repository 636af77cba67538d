"""All of them."""

from __future__ import annotations

from caravan.connecting.aider import Aider
from caravan.connecting.base import Tool
from caravan.connecting.claude import Claude
from caravan.connecting.codex import Codex
from caravan.connecting.continue_dev import Continue
from caravan.connecting.opencode import OpenCode
from caravan.connecting.shell import Shell

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (Claude(), Codex(), OpenCode(), Aider(), Continue(), Shell())}
