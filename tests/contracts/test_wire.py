"""What is said on the bus survives the way there and back, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from caravan_contracts import asyncapi, frames, permissions, subjects
from caravan_contracts import headers as h
from caravan_contracts.channel import Pattern
from caravan_contracts.channels import CHANNELS
from caravan_contracts.context import LONGEST_TIMEOUT, Principal, RequestContext
from caravan_contracts.errors import CaravanError, InvalidRequest, ModelNotFound, Overloaded, UpstreamRefused
from caravan_contracts.inference import CallSpec, Summary, Usage
from caravan_contracts.presence import Load, Presence, WorkerState
from caravan_contracts.users import RECORDER
from hypothesis import given
from hypothesis import strategies as st

SEQ = st.integers(0, 2**32 - 1)
TEXT = st.text(max_size=30)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)


@given(st.sampled_from(list(frames.Kind)), SEQ, st.binary(max_size=200))
def test_a_frame_survives(kind: frames.Kind, seq: int, payload: bytes) -> None:
    frame = frames.encode(kind, seq, payload)
    assert frames.decode(frame) == (kind, seq, payload)
    assert frame[0] == kind
    assert int.from_bytes(frame[1:5], "big") == seq


@given(SEQ, st.binary(max_size=100), st.binary(max_size=100))
def test_an_end_frame_survives(seq: int, summary: bytes, tail: bytes) -> None:
    kind, number, payload = frames.decode(frames.encode_end(seq, summary, tail))
    assert (kind, number) == (frames.Kind.END, seq)
    assert frames.decode_end(payload) == (summary, tail)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_frame_or_a_value_error(data: bytes) -> None:
    for read in (frames.decode, frames.decode_end, Presence.decode):
        try:
            read(data)
        except ValueError:
            continue


@given(TEXT, TEXT, st.lists(TEXT, max_size=3).map(tuple))
def test_a_principal_survives_as_one_ascii_line(tenant: str, subject: str, roles: tuple[str, ...]) -> None:
    principal = Principal(tenant, subject, roles)
    line = principal.encode()
    assert line.isascii()
    assert line.isprintable()
    assert Principal.decode(line) == principal


@given(TEXT, TEXT, TEXT, st.booleans(), st.booleans())
def test_a_call_survives_as_one_ascii_line(provider: str, model: str, shown: str, stream: bool, usage: bool) -> None:
    spec = CallSpec(provider, model, shown, stream, usage)
    assert spec.encode().isascii()
    assert spec.encode().isprintable()
    assert CallSpec.decode(spec.encode()) == spec


@given(TEXT)
def test_unreadable_headers_are_bad_requests(text: str) -> None:
    for read in (CallSpec.decode, Principal.decode):
        try:
            read(text)
        except InvalidRequest:
            continue


def test_a_deadline_travels_as_time_left() -> None:
    context = RequestContext("req_1", Principal("t", "s"), traceparent="00-a-b-01")
    read = RequestContext.from_headers(context.to_headers())
    assert abs(read.remaining - context.remaining) < 1
    assert (read.request_id, read.principal, read.traceparent) == ("req_1", context.principal, "00-a-b-01")
    with pytest.raises(InvalidRequest):
        RequestContext.from_headers({h.DEADLINE_MS: "soon"})


@pytest.mark.parametrize("left", ["nan", "inf", "-inf", "1e400"])
def test_a_deadline_is_a_number(left: str) -> None:
    with pytest.raises(InvalidRequest, match=h.DEADLINE_MS):
        RequestContext.from_headers({h.DEADLINE_MS: left})


@pytest.mark.parametrize("left", ["1e300", "9" * 300, "1e15"])
def test_a_deadline_is_never_beyond_a_day(left: str) -> None:
    context = RequestContext.from_headers({h.DEADLINE_MS: left})
    assert context.remaining <= LONGEST_TIMEOUT
    assert context.to_headers()[h.DEADLINE_MS].isdigit()


@pytest.mark.parametrize("left", ["-5", "-1e300", "0"])
def test_a_deadline_may_be_over_already(left: str) -> None:
    assert RequestContext.from_headers({h.DEADLINE_MS: left}).remaining <= 0


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\x00b", "\x1b[31m", "x" * 2000])
def test_what_is_passed_on_is_one_short_line(text: str) -> None:
    for name in (h.REQUEST_ID, h.IDEMPOTENCY_KEY):
        with pytest.raises(InvalidRequest, match=name):
            RequestContext.from_headers({name: text})
    read = RequestContext.from_headers({h.TRACEPARENT: text, h.TRACESTATE: text})
    assert (read.traceparent, read.tracestate) == ("", "")  # a trace is never worth a request


@pytest.mark.parametrize("code", ["worker_lost", "client_gone", "deadline_exceeded", "stream_interrupted"])
def test_a_providers_code_does_not_make_an_error_of_ours(code: str) -> None:
    read = CaravanError.from_wire(UpstreamRefused("no", code=code).to_wire())
    assert (type(read), read.code, read.status) == (UpstreamRefused, code, 400)


@pytest.mark.parametrize("text", ["x" * 5_000_000, "half \ud800 a character"])
def test_any_error_fits_into_a_message(text: str) -> None:
    wire = UpstreamRefused(text, param=text, code=text).to_wire()
    assert len(wire) < 256 * 1024
    assert isinstance(CaravanError.from_wire(wire), UpstreamRefused)


@given(
    TEXT, st.none() | TEXT, st.none() | st.floats(0, 100), st.sampled_from([ModelNotFound, Overloaded, InvalidRequest])
)
def test_an_error_survives(message: str, param: str | None, after: float | None, kind: type[CaravanError]) -> None:
    error = kind(message, param=param, retry_after=after)
    read = CaravanError.from_wire(error.to_wire())
    assert type(read) is kind
    assert (read.message, read.param, read.retry_after) == (message, param, after)
    assert (read.status, read.type, read.code, read.retryable) == (
        error.status,
        error.type,
        error.code,
        error.retryable,
    )
    assert error.to_body()["error"].keys() == {"message", "type", "param", "code"}


@given(st.binary(max_size=60))
def test_any_bytes_are_some_error(data: bytes) -> None:
    assert CaravanError.from_wire(data).status >= 400


@given(TEXT, TEXT, st.none() | st.builds(Usage, *(st.integers(0, 10**6),) * 4))
def test_a_summary_survives(model: str, reason: str, usage: Usage | None) -> None:
    summary = Summary("id", model, reason, usage, 1.5)
    assert Summary.from_dict(summary.to_dict()) == summary


@given(NAMES, st.dictionaries(NAMES, st.builds(Load, st.integers(0, 99), st.integers(0, 99)), max_size=4), SEQ)
def test_a_presence_survives(worker: str, loads: dict[str, Load], seq: int) -> None:
    presence = Presence(worker, "inference", WorkerState.READY, seq, loads)
    assert Presence.decode(presence.encode()) == presence


@pytest.mark.parametrize("text", ["", "a.b", "a*", ">", "A", "a b", "ä", "x" * 64, "-a", "a\n"])
def test_what_a_user_writes_never_enters_a_subject(text: str) -> None:
    with pytest.raises(ValueError, match="subject token"):
        subjects.entry("inference", "chat", "default", text)


def test_every_channel_keeps_the_rules_of_subjects() -> None:
    for channel in CHANNELS:
        parts = channel.address.split(".")
        assert parts[:2] == ["caravan", "v1"]
        assert len(parts) <= 8
        assert channel.publishers, channel.name
        assert channel.subscribers, channel.name


def test_the_document_names_every_channel_and_who_may_use_it() -> None:
    document = asyncapi.document()
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert {channel.address for channel in CHANNELS} <= addresses
    asked = [c for c in CHANNELS if c.pattern in (Pattern.REQUEST, Pattern.STREAM, Pattern.PLAIN, Pattern.WORK)]
    assert sum("reply" in operation for operation in document["operations"].values()) == len(asked)
    assert document["x-allow-lists"].keys() == set(permissions.SERVICES)


def test_a_foreign_user_speaks_under_its_own_name_and_hears_its_own_inbox() -> None:
    given_ = permissions.for_foreign("blue", "analytics")
    assert given_.subscribe == ("_INBOX.analytics.>",)
    assert all(subject.endswith(".blue.analytics") for subject in given_.publish)
    loose = [subject for subject in given_.publish if "*" in subject or ">" in subject]
    assert loose == ["caravan.v1.ctl.*.*.blue.analytics"], "the control of its own streams, on any worker"
    for name in permissions.SERVICES:
        with pytest.raises(ValueError, match="name of a service"):
            permissions.for_foreign("blue", name)


def test_the_control_of_a_foreign_stream_names_its_user() -> None:
    subject = subjects.foreign_control("inf-1", "app-7f-2a", "blue", "analytics")
    assert subject == "caravan.v1.ctl.inf-1.app-7f-2a.blue.analytics"
    assert subjects.foreign_control_parts(subject) == ("inf-1", "app-7f-2a", "analytics")
    assert subjects.foreign_control_parts(subjects.control("inf-1", "gw-1")) == ("", "", "")


def test_no_service_may_read_anothers_inbox() -> None:
    for name in set(permissions.SERVICES) - {RECORDER}:
        heard = [s for s in permissions.for_service(name).subscribe if s.startswith("_INBOX")]
        assert heard == [f"_INBOX.{name}.>"]


def test_the_recorder_hears_requests_and_their_answers_and_can_write_to_nobody_but_who_asks_it() -> None:
    given_ = permissions.for_service(RECORDER)
    assert {"caravan.v1.inference.at.*.chat", "_INBOX.gateway.>", "_INBOX.inference.>"} <= set(given_.subscribe)
    assert set(given_.publish) == {"$SRV.PING", "_INBOX.operator.>", "_INBOX.recorder.>"}
    assert not any(".ctl." in subject or subject == "_INBOX.>" for subject in given_.subscribe)
