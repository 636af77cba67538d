from __future__ import annotations

import pytest
from caravan_agents.settings import Settings


def test_settings_have_defaults_and_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARAVAN_AGENTS_COMPLETIONS_DAYS", "0.5")
    assert Settings().completions_days == 0.5
    monkeypatch.setenv("CARAVAN_AGENTS_COMPLETIONS_DAYS", "0")
    with pytest.raises(ValueError, match="greater than 0"):
        Settings()
