"""A metric with labels whose children are kept, and a counter that lives elsewhere."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Generic, TypeVar, cast

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily

_Metric = TypeVar("_Metric", bound=Counter | Gauge | Histogram)


class Family(dict[tuple[str, ...], _Metric], Generic[_Metric]):
    """One metric with labels. `family[values]` is its child, made on first use: `labels()` of the library
    takes four times as long as this look-up. `closed` lists each label's values, to have all children now.
    """

    def __init__(self, metric: _Metric, *closed: Sequence[str]) -> None:
        super().__init__()
        self.metric = metric
        if closed:
            for values in product(*closed):
                self[values]

    def __missing__(self, values: tuple[str, ...]) -> _Metric:
        child = cast("_Metric", self.metric.labels(*values))
        self[values] = child
        return child

    def labels(self, *values: str) -> _Metric:
        return self[values]

    def forget(self, *values: str) -> None:
        """The series ends here."""
        if self.pop(values, None) is not None:
            self.metric.remove(*values)


class QuickHistogram(Histogram):
    """The same counts: the bucket is found by halving instead of one after another, which is most of what
    booking a request cost."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        if exemplar is not None:
            super().observe(amount, exemplar)
            return
        self._sum.inc(amount)
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)


class Watched:
    """A counter that is kept elsewhere: `read` is called when somebody asks."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self.read: Callable[[], int] = lambda: 0

    def collect(self) -> Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._text, value=self.read())
