"""What is counted in plain numbers reads as what prometheus_client counts itself."""

from __future__ import annotations

import prometheus_client
import pytest
from caravan_bus import tally
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

BOUNDS = (0.001, 0.5, 1, 2.5, 10)
labels = st.tuples(st.sampled_from(["a", 'b"\n', "ü"]), st.sampled_from(["x", ""]))


def page(registry: CollectorRegistry) -> list[str]:
    """Without when each child was made, which is not counted, and in no order."""
    return sorted(line for line in generate_latest(registry).decode().splitlines() if "_created" not in line)


@given(st.lists(st.tuples(labels, st.integers(0, 1000))))
def test_counters(added: list[tuple[tuple[str, str], int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counted = tally.Counter("caravan_a_total", "All of them", ("one", "two"), registry=ours)
    known = prometheus_client.Counter("caravan_a_total", "All of them", ("one", "two"), registry=theirs)
    for values, amount in added:
        counted.labels(*values).inc(amount)
        known.labels(*values).inc(amount)
    assert page(ours) == page(theirs)


@given(st.lists(st.tuples(labels, st.sampled_from(BOUNDS) | st.floats(0, 20))))
def test_histograms(seen: list[tuple[tuple[str, str], float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counted = tally.Histogram("caravan_b_seconds", "How long", ("one", "two"), BOUNDS, registry=ours)
    known = prometheus_client.Histogram(
        "caravan_b_seconds", "How long", ("one", "two"), buckets=BOUNDS, registry=theirs
    )
    for values, amount in seen:
        counted.labels(*values).observe(amount)
        known.labels(*values).observe(amount)
    assert page(ours) == page(theirs)


def test_a_name_is_taken_once_and_has_its_labels() -> None:
    registry = CollectorRegistry()
    made = tally.Counter("caravan_c_total", "C", ("one",), registry=registry)
    assert made.labels("x") is made.labels("x")
    with pytest.raises(ValueError, match="has the labels one"):
        made.labels("x", "y")
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        tally.Counter("caravan_c_total", "C", ("one",), registry=registry)
