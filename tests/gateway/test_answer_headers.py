"""What goes into headers and logs from names that clients make up."""

from __future__ import annotations

import pytest
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError
from caravan_gateway import answering, client_ids, kept
from hypothesis import given
from hypothesis import strategies as st


def test_a_target_as_it_is() -> None:
    made = answering.from_target("up/meta-llama/Llama-3.1-8B@q4:latest", 2)
    assert made == [(b"x-caravan-target", b"up/meta-llama/Llama-3.1-8B@q4:latest"), (b"x-caravan-attempts", b"2")]
    assert answering.from_target("", 1) == []


@given(st.text(min_size=1))
def test_no_name_ends_a_header(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return  # no JSON brings such a name
    value = answering.from_target(name, 1)[0][1].decode("ascii")
    assert value.isprintable() and value


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, ""),
        ({b"x-client-request-id": b"mine-1"}, "mine-1"),
        ({b"x-request-id": b"mine-2"}, "mine-2"),
        ({b"x-request-id": b"mine-2", b"x-client-request-id": b"mine-1"}, "mine-1"),
        ({b"x-client-request-id": b"x" * 512}, "x" * 512),
        ({b"x-client-request-id": b"x" * 513}, ""),
        ({b"x-client-request-id": b"a\tb"}, ""),
        ({b"x-client-request-id": "ü".encode()}, ""),
    ],
)
def test_what_a_client_calls_its_request(headers: dict[bytes, bytes], said: str) -> None:
    assert client_ids.client_id(headers) == said
    assert client_ids.attributes(headers).get("caravan.client.request.id", "") == said


def test_which_try_of_its_sdk_it_is() -> None:
    assert client_ids.attributes({b"x-stainless-retry-count": b"2"}) == {"caravan.client.retry_count": 2}
    assert client_ids.attributes({b"x-stainless-retry-count": b"many"}) == {}


def test_it_travels_beside_our_own() -> None:
    sent = RequestContext("req_1", client_request_id="mine").to_headers()
    assert (sent["Caravan-Request-Id"], sent["Caravan-Client-Request-Id"]) == ("req_1", "mine")
    assert RequestContext.from_headers(sent).client_request_id == "mine"
    assert RequestContext.from_headers({"Caravan-Client-Request-Id": "a\nb"}).client_request_id == ""


@given(st.text().filter(lambda text: text.isascii()), st.integers(0, 9), st.binary())
def test_a_kept_answer_says_where_it_is_from(target: str, attempts: int, answer: bytes) -> None:
    origin = kept.Origin(target, attempts)
    assert kept.split(origin.line() + answer) == (origin, answer)


@pytest.mark.parametrize("junk", [b"", b"[]", b"[1,2]\nx", b'["a",1]', b"\xff\nx", b'{"a":1}\nx'])
def test_what_cannot_be_read_is_no_answer(junk: bytes) -> None:
    with pytest.raises(CaravanError):
        kept.split(junk)
