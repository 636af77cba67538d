from __future__ import annotations

from tests.conversations.conftest import http, mesh, upstream

__all__ = ["http", "mesh", "upstream"]
