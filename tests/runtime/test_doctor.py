"""What ``caravan doctor`` says of the interpreter."""

from __future__ import annotations

import sysconfig

import pytest

from caravan.cli import checks


@pytest.mark.parametrize(
    ("arguments", "prefix", "verdict"),
    [
        ("'--enable-optimizations' '--with-lto'", "/opt/python", "ok"),
        ("'--enable-shared'", "/usr", "ok"),  # a distribution's, which is optimised without the flag
        ("'--enable-shared'", "/opt/python", "note"),
        (None, "/opt/python", "note"),
    ],
)
def test_an_interpreter_without_optimisations_is_worth_a_note(
    monkeypatch: pytest.MonkeyPatch, arguments: str | None, prefix: str, verdict: str
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: arguments)
    monkeypatch.setattr(checks.sys, "base_prefix", prefix)
    (finding,) = checks._python()
    assert finding.verdict == verdict
    assert ("make setup PYTHON=" in finding.text) is (verdict == "note")
