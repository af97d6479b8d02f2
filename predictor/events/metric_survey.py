"""What the metric samples of a topic would become: requests by metric, module and region.

`predictor/events/topic_survey.py` keeps one and gives it every sample. The service's own counters
judge, so what is counted here the service would count too. Bounded: a fixed number of rows and of
series. Pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from predictor.events.quantile_sketch import QuantileSketch
from predictor.events.topic_report import MetricRow
from streams.counters import CounterDemand, series_key
from streams.events import MetricSample
from streams.metric_names import MetricNames

ROWS_MAX = 500
SERIES_MAX = 100_000
MORE = "(more metrics)"
_NAME_CHARACTERS_MAX = 128
_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Sums:
    means: str
    series: int = 0
    samples: int = 0
    requests: float = 0.0


class MetricSurvey:
    """Counts so far; `intervals` are the seconds between two samples of a series of demand."""

    def __init__(self, names: MetricNames, partitions: int, *, bucket_s: int) -> None:
        self.intervals = QuantileSketch()
        self._names = names
        self._demand = [CounterDemand(names, bucket_s=bucket_s) for _ in range(partitions)]
        self._rows: dict[_Key, _Sums] = {}
        self._latest_s: dict[bytes, float] = {}

    @property
    def requests(self) -> float:
        """Requests that the samples tell of."""
        return sum(one.requests for one in self._rows.values())

    def add(
        self, sample: MetricSample, partition: int, offset: int, *, is_whole: bool
    ) -> list[float]:
        """Take note of a sample; gives times that it tells of, one in each bucket.

        `is_whole`: all samples of its series lie in this partition.
        """
        sums = self._sums(sample)
        sums.samples += 1
        self._see_series(sample, sums)
        made = self._demand[partition].add(sample, offset, whole_series=is_whole)
        sums.requests += sum(one.event.requests for one in made)
        return [one.event.time_s for one in made]

    def forget(self, partition: int, newest_s: float | None) -> None:
        """Let go of the partition's series that are long silent, as the service does."""
        self._demand[partition].needed_offset(newest_s)

    def verdicts(self) -> dict[str, int]:
        """What became of the samples."""
        counted: Counter[str] = Counter()
        for demand in self._demand:
            counted.update({verdict.value: number for verdict, number in demand.counts.items()})
        return dict(sorted(counted.items()))

    def rows(self, covered_s: float) -> tuple[MetricRow, ...]:
        """Those that tell of the most requests first, then by samples."""
        per_s = 1 / covered_s if covered_s else 0.0
        made = [
            MetricRow(
                name, sums.means, module, region, sums.series, sums.samples,  # type: ignore[arg-type]
                round(sums.requests, 3), round(sums.requests * per_s, 3),
            )
            for (name, module, region), sums in self._rows.items()
        ]  # fmt: skip
        return tuple(sorted(made, key=lambda row: (-row.requests, -row.samples, row.name)))

    def _sums(self, sample: MetricSample) -> _Sums:
        source = self._names.find(sample.name, sample.type)
        means = "unknown" if source is None else source.meaning.means
        name, module, region = sample.name[:_NAME_CHARACTERS_MAX], sample.module, sample.region
        if means in ("unknown", "not_demand"):
            module = region = ""
        key = (name, module, region)
        if key not in self._rows and len(self._rows) >= ROWS_MAX:
            key, means = (MORE, "", ""), "unknown"
        return self._rows.setdefault(key, _Sums(means))

    def _see_series(self, sample: MetricSample, sums: _Sums) -> None:
        key = series_key(sample)
        last_s = self._latest_s.get(key)
        if last_s is None:
            if len(self._latest_s) >= SERIES_MAX:
                return
            sums.series += 1
        elif sample.time_s <= last_s:
            return
        elif sums.means in ("requests", "requests_per_s"):
            self.intervals.add(np.array([sample.time_s - last_s]))
        self._latest_s[key] = sample.time_s
