"""What clients keep for us: nobody else reads it, nobody changes it."""

from __future__ import annotations

import base64

import pytest
from caravan_agents.errors import SecretMissing
from caravan_agents.responses.resolving import resolve
from caravan_agents.responses.sealing import Sealing
from caravan_agents.settings import Settings
from caravan_contracts.errors import InvalidRequest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

OLD, NEW = "o" * 40, "n" * 40
SEALING = Sealing.of(NEW)


@given(st.text(max_size=300), st.text(max_size=30))
def test_what_was_sealed_opens_as_it_was(text: str, tenant: str) -> None:
    tenant = tenant.encode("utf-8", "ignore").decode()
    text = text.encode("utf-8", "ignore").decode()
    assert SEALING.open(tenant, "compaction", SEALING.seal(tenant, "compaction", text)) == text


def test_the_text_is_not_to_be_seen_and_the_same_text_is_sealed_alike() -> None:
    one, again, other = (SEALING.seal("acme", "reasoning", f"the plan of {who}") for who in ("Ada", "Ada", "Bob"))
    assert one == again, "a run that is made again writes the same bytes"
    assert one[:60] != other[:60] and b"plan" not in base64.urlsafe_b64decode(one)
    assert SEALING.seal("other", "reasoning", "the plan of Ada")[:60] != one[:60]


def test_another_tenant_or_purpose_does_not_open_it() -> None:
    sealed = SEALING.seal("acme", "reasoning", "x")
    for tenant, purpose in (("other", "reasoning"), ("acme", "compaction")):
        with pytest.raises(InvalidRequest) as caught:
            SEALING.open(tenant, purpose, sealed)  # type: ignore[arg-type]
        assert caught.value.code == "invalid_encrypted_content" and caught.value.param == "input"


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place: int, change: int) -> None:
    data = bytearray(base64.urlsafe_b64decode(SEALING.seal("acme", "reasoning", "words")))
    data[place % len(data)] ^= change
    with pytest.raises(InvalidRequest):
        SEALING.open("acme", "reasoning", base64.urlsafe_b64encode(bytes(data)).decode())


@pytest.mark.parametrize("nonsense", ["", "x", "gAAAAABo", "ä" * 80, "A" * 400, "====", "a b"])
def test_what_was_never_sealed_is_refused(nonsense: str) -> None:
    with pytest.raises(InvalidRequest):
        SEALING.open("acme", "compaction", nonsense)


def test_secrets_are_changed_without_losing_what_was_sealed() -> None:
    before = Sealing.of(OLD).seal("acme", "compaction", "then")
    both = Sealing.of(f"{NEW}\n{OLD}\n")
    assert both.open("acme", "compaction", before) == "then"
    assert SEALING.open("acme", "compaction", both.seal("acme", "compaction", "now")) == "now"
    with pytest.raises(InvalidRequest):
        SEALING.open("acme", "compaction", before)


def test_reasoning_is_sealed_for_its_tenant() -> None:
    assert SEALING.open("acme", "reasoning", SEALING.of_reasoning("acme")("because")) == "because"
    with pytest.raises(SecretMissing):
        Sealing().of_reasoning("acme")


def test_without_a_secret_the_operator_is_told() -> None:
    for ask in (lambda: Sealing().seal("acme", "reasoning", "x"), lambda: Sealing().open("acme", "reasoning", "x")):
        with pytest.raises(SecretMissing, match="CARAVAN_AGENTS_SECRET"):
            ask()
    with pytest.raises(ValidationError, match="32 characters"):
        Settings(secret="short")


def item(type: str, **fields: object) -> dict[str, object]:
    return {"id": f"{type}_1", "type": type, **fields}


def message(role: str, text: str) -> dict[str, object]:
    return item("message", role=role, content=[{"type": "input_text", "text": text}])


def test_a_compaction_stands_for_all_before_it_but_what_the_user_said() -> None:
    sealed = [SEALING.seal("acme", "compaction", text) for text in ("the first part", "both parts")]
    items = [
        message("developer", "rule"),
        message("user", "one"),
        message("assistant", "an answer"),
        item("compaction", encrypted_content=sealed[0]),
        message("user", "two"),
        item("function_call", call_id="c", name="f", arguments="{}"),
        item("function_call_output", call_id="c", output="x"),
        item("compaction", encrypted_content=sealed[1]),
        message("assistant", "go on"),
    ]
    told = resolve(items, "acme", SEALING)
    texts = [(one["role"], one["content"][0]["text"]) for one in told]
    assert [role for role, _ in texts] == ["developer", "user", "user", "user", "assistant"]
    assert texts[1][1] == "one" and texts[2][1] == "two"
    assert "both parts" in texts[3][1] and "the first part" not in texts[3][1]
    with pytest.raises(InvalidRequest):
        resolve(items, "other", SEALING)


def test_sealed_reasoning_is_opened_only_when_its_text_is_not_there() -> None:
    sealed = SEALING.seal("acme", "reasoning", "because")
    empty = item("reasoning", summary=[], encrypted_content=sealed)
    shown = item("reasoning", summary=[{"type": "summary_text", "text": "shown"}], encrypted_content="not looked at")
    told = resolve([empty, shown], "acme", SEALING)
    assert told[0]["content"] == [{"type": "reasoning_text", "text": "because"}] and told[1] == shown
    assert resolve([message("user", "x")], "acme", Sealing()) == [message("user", "x")], "needs no secret"
