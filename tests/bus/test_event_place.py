"""Where a stream of events is, however its bytes come."""

from __future__ import annotations

import orjson
from caravan_bus.event_place import EventPlace
from hypothesis import given
from hypothesis import strategies as st


def event(number: int, size: int) -> bytes:
    inner = {"sequence_number": 7, "text": '\ndata: {"type":"x","sequence_number":9' + "y" * size}
    data = orjson.dumps({"type": "response.created", "sequence_number": number, "response": inner})
    return b"event: response.created\ndata: " + data + b"\n\n"


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(0, 5), st.data())
def test_it_is_behind_the_last_whole_event(sizes: list[int], first: int, data: st.DataObject) -> None:
    events = [event(first + at, size) for at, size in enumerate(sizes)]
    whole = b"".join(events)
    end = data.draw(st.integers(0, len(whole)))
    cuts = sorted(data.draw(st.lists(st.integers(0, end), max_size=8)))
    place = EventPlace(first)
    for a, b in zip([0, *cuts], [*cuts, end], strict=True):
        if b > a:
            place.passed(whole[a:b])
    behind, left = first, end
    for one in events:
        if len(one) > left:
            break
        behind, left = behind + 1, left - len(one)
    assert (place.sequence, place.rest) == (behind, left)
