"""Counters and histograms of what every request changes: plain numbers, put in order when Prometheus asks for them.

prometheus_client's own take a lock and a dozen calls for each number, so that any thread may change them. These belong
to the thread of the event loop; any thread may read them (:class:`caravan_bus.ops.OpsServer` does).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry

Child = TypeVar("Child")


class Count:
    """One number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def inc(self, amount: float = 1) -> None:
        """Add `amount`, which is not negative."""
        self.value += amount


class Distribution:
    """How many values fell between the bounds."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Up to each bound, and the bound before it not included; the last is what is above all of them."""
        self.sum = 0.0

    def observe(self, amount: float) -> None:
        """Note one value."""
        self.counts[bisect_left(self._bounds, amount)] += 1
        self.sum += amount


class _Tally(Collector, Generic[Child]):
    """One child for each combination of values of its labels."""

    def __init__(self, name: str, documentation: str, labelnames: Sequence[str], registry: CollectorRegistry) -> None:
        self.name = name
        self.documentation = documentation
        self.labelnames = tuple(labelnames)
        self._children: dict[tuple[str, ...], Child] = {}
        registry.register(self)

    def labels(self, *values: str) -> Child:
        """The child of these values, in the order of the names. Raises ValueError when they are too few or many."""
        found = self._children.get(values)
        if found is None:
            if len(values) != len(self.labelnames):
                raise ValueError(f"{self.name} has the labels {', '.join(self.labelnames)}")
            found = self._children.setdefault(values, self._make())
        return found

    def _make(self) -> Child:
        raise NotImplementedError

    def _all(self) -> Iterator[tuple[tuple[str, ...], Child]]:
        yield from self._children.copy().items()  # the loop may add one meanwhile


class Counter(_Tally[Count]):
    """As prometheus_client's."""

    def __init__(
        self, name: str, documentation: str, labelnames: Sequence[str], registry: CollectorRegistry = REGISTRY
    ) -> None:
        super().__init__(name, documentation, labelnames, registry)

    def describe(self) -> Iterable[Metric]:
        """Its family without samples."""
        return [CounterMetricFamily(self.name, self.documentation, labels=self.labelnames)]

    def collect(self) -> Iterable[Metric]:
        """Its family as it stands."""
        family = CounterMetricFamily(self.name, self.documentation, labels=self.labelnames)
        for values, child in self._all():
            family.add_metric(values, child.value)
        return [family]

    def _make(self) -> Count:
        return Count()


class Histogram(_Tally[Distribution]):
    """As prometheus_client's; `buckets` are the upper bounds, ascending, without infinity."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str],
        buckets: Sequence[float],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._bounds = tuple(float(bound) for bound in buckets)
        super().__init__(name, documentation, labelnames, registry)

    def describe(self) -> Iterable[Metric]:
        """Its family without samples."""
        return [HistogramMetricFamily(self.name, self.documentation, labels=self.labelnames)]

    def collect(self) -> Iterable[Metric]:
        """Its family as it stands."""
        family = HistogramMetricFamily(self.name, self.documentation, labels=self.labelnames)
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        for values, child in self._all():
            total = child.sum
            family.add_metric(values, list(zip(names, accumulate(child.counts.copy()), strict=True)), total)
        return [family]

    def _make(self) -> Distribution:
        return Distribution(self._bounds)
