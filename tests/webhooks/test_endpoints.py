"""Endpoints out of a stack file."""

from __future__ import annotations

from pathlib import Path

import pytest
from caravan_agents.webhooks import endpoints
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.webhooks import EVENT_TYPES

from tests.webhooks.receiver import SECRET, endpoint_at

STACK = """
providers: []
webhooks:
  - url: https://hooks.acme.example/caravan
    secret: ${env.ACME_SECRET}
    events: [response.completed, response.failed]
    tenant: acme
  - url: ${env.OTHER_URL:=http://10.0.0.7:8080/hook}
    secret_file: {file}
    allow_private: ${env.PRIVATE:=true}
  - url: ${env.UNSET:+https://never.example}
    secret: ${env.UNSET}
"""


def written(folder: Path, text: str) -> str:
    path = folder / "caravan.yaml"
    path.write_text(text)
    return str(path)


def test_endpoints_come_out_of_the_stack_file_with_their_secrets(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    text = STACK.replace("{file}", str(secret))
    found = endpoints.load(written(tmp_path, text), {"ACME_SECRET": "a secret in words, long enough"})
    assert len(found) == 2
    (acme,) = found.wanting("acme", "response.failed")
    assert (acme.key, acme.host) == (b"a secret in words, long enough", "hooks.acme.example:443")
    assert not acme.allow_private
    assert found.wanting("acme", "response.cancelled") == []
    (other,) = found.wanting("default", "response.cancelled")
    assert other.events == set(EVENT_TYPES)
    assert found.private == ["10.0.0.7:8080"]
    assert found.get(other.id) is other


def test_a_secret_is_not_in_what_is_shown(tmp_path: Path) -> None:
    made = endpoint_at("https://hooks.example/token-in-the-path")
    assert "token" not in repr(made) and "key" not in repr(made)


def test_a_ready_made_stack_has_none() -> None:
    assert len(endpoints.load("starter", {})) == len(endpoints.load("", {})) == 0


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{url: ftp://x/, secret: '${env.S}'}", "http"),
        ("{url: 'https://a:b@x/', secret: '${env.S}'}", "without a name or a password"),
        ("{url: 'https://x/'}", "either a secret"),
        ("{url: 'https://x/', secret: '${env.NOT_THERE}'}", "NOT_THERE is not set"),
        ("{url: 'https://x/', secret: '${env.DATABASE_URL}'}", "belongs to the mesh itself"),
        ("{url: 'https://x/', secret: '${env.SHORT}'}", "less than 16 bytes"),
        ("{url: 'https://x/', secret: '${env.S}', events: [response.created]}", "events"),
        ("{url: 'https://x/', secret: '${env.S}', evnts: []}", "evnts"),
        ("{url: 'https://x/', secret_file: /not/there}", "/not/there cannot be read"),
        ("{url: 'https://x/', secret: '${env.S}'}, {url: 'https://x/', secret: '${env.S}'}", "twice"),
        ("words", "mapping"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_without_the_secret(tmp_path: Path, row: str, problem: str) -> None:
    environ = {"S": SECRET, "SHORT": "tiny-key", "DATABASE_URL": "postgresql://"}
    with pytest.raises(InvalidRequest, match=r"webhook [12]: ") as caught:
        endpoints.load(written(tmp_path, f"webhooks: [{row}]"), environ)
    assert problem in caught.value.message
    assert SECRET not in caught.value.message and "tiny-key" not in caught.value.message
