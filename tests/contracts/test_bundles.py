"""Bundles: frames of several streams in one message."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from caravan_contracts import frames as f
from caravan_contracts import subjects as s
from hypothesis import given
from hypothesis import strategies as st

ENTRIES = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.binary(min_size=5, max_size=300)), max_size=20)


@given(ENTRIES)
def test_a_bundle_gives_back_its_frames_in_order(entries: list[tuple[int, bytes]]) -> None:
    assert list(f.decode_bundle(f.encode_bundle(entries))) == entries


@pytest.mark.parametrize("read", [f.decode_bundle, f.frames_of])
@given(entries=ENTRIES.filter(bool), data=st.data())
def test_a_bundle_that_was_cut_is_an_error(
    read: Callable[[bytes], Iterator[object]], entries: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    whole = f.encode_bundle(entries)
    lengths = {0}
    for _, frame in entries:
        lengths.add(max(lengths) + f.ENTRY_SIZE + len(frame))
    cut = data.draw(st.integers(1, len(whole) - 1).filter(lambda n: n not in lengths))
    with pytest.raises(ValueError, match="whole"):
        list(read(whole[:cut]))


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.binary(max_size=300)), max_size=20))
def test_a_bundle_gives_the_parts_of_its_frames_but_of_those_that_are_none(entries: list[tuple[int, bytes]]) -> None:
    whole = [(number, *f.decode(frame)) for number, frame in entries if len(frame) >= f.HEADER_SIZE]
    assert list(f.frames_of(f.encode_bundle(entries))) == whole


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("262144; bundle", (262144, True)),
        ("262144", (262144, False)),
        ("1", (1024, False)),
        ("", (f.DEFAULT_WINDOW, False)),
        ("x;bundle", (f.DEFAULT_WINDOW, True)),
        ("99999999999", (16 * f.DEFAULT_WINDOW, False)),
    ],
)
def test_a_window_is_read_within_bounds(value: str, expected: tuple[int, bool]) -> None:
    assert f.decode_window(value) == expected


def test_the_bundle_inbox_is_below_the_same_prefix_and_no_stream_number() -> None:
    prefix = s.inbox_prefix("gateway", "gw-1")
    assert s.bundle_of(f"{prefix}.{s.stream_number(47)}") == (s.bundle_inbox(prefix), 47)
    assert s.bundle_of(s.bundle_inbox(prefix)) == ("", 0)
