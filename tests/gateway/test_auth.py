"""Who may ask: keys from a file, anonymous on loopback only."""

from __future__ import annotations

from pathlib import Path

import pytest
from caravan_contracts.errors import AuthenticationFailed, InvalidRequest, PermissionDenied
from caravan_gateway.auth import Authenticator, need
from caravan_gateway.settings import Settings
from pydantic import ValidationError


@pytest.fixture
def keys(tmp_path: Path) -> Authenticator:
    file = tmp_path / "keys"
    file.write_text("# who\nsk-plain\nsk-team blue alice  # a user\nsk-root default ops admin,user\n")
    return Authenticator.from_file(file)


def test_a_key_is_its_principal(keys: Authenticator) -> None:
    assert keys.who(b"Bearer sk-team").tenant == "blue"
    assert keys.who(b"bearer sk-team").subject == "alice"
    assert keys.who(b"", b"sk-team").subject == "alice"
    assert keys.who(b"Bearer sk-plain").tenant == "default"
    need(keys.who(b"Bearer sk-root"), "admin")


@pytest.mark.parametrize("header", [b"", b"Bearer", b"Bearer ", b"Bearer sk-teamx", b"Basic sk-team", b"sk-team"])
def test_anything_else_is_refused(keys: Authenticator, header: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        keys.who(header)


def test_a_user_is_no_administrator(keys: Authenticator) -> None:
    with pytest.raises(PermissionDenied):
        need(keys.who(b"Bearer sk-team"), "admin")


def test_a_file_that_is_wrong_says_where(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("sk-a ok\nsk-b NOT/a/tenant\n")
    with pytest.raises(InvalidRequest, match=":2:"):
        Authenticator.from_file(file)
    file.write_text("sk-a acme ada user,unguarded\n")
    with pytest.raises(InvalidRequest, match=":1: the role unguarded is for services"):
        Authenticator.from_file(file)
    file.write_text("# nothing\n")
    with pytest.raises(InvalidRequest, match="no key"):
        Authenticator.from_file(file)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        Authenticator.from_file(tmp_path / "missing")


def test_without_keys_only_loopback_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Authenticator(None).who(b"").may("admin")
    monkeypatch.setenv("CARAVAN_GATEWAY_HOST", "0.0.0.0")
    with pytest.raises(ValidationError, match="would let anybody in"):
        Settings()
    monkeypatch.setenv("CARAVAN_GATEWAY_ALLOW_ANONYMOUS", "true")
    assert Settings().host == "0.0.0.0"
    monkeypatch.delenv("CARAVAN_GATEWAY_ALLOW_ANONYMOUS")
    for host in ("127.0.0.1", "::1", "localhost", "127.8.0.1"):
        monkeypatch.setenv("CARAVAN_GATEWAY_HOST", host)
        assert Settings().host == host
