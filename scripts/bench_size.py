"""Measures what learning and sizing cost per decision, and how long a record of it is.

    python -m scripts.bench_size [--targets 30000]

Every target has a CPU metric, a request metric and memory, pods that stand and a load that moves,
so that all of them are learned from. Prints the median CPU time of a decision's share in it and the
bytes of state per target. It must never be part of a test.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from models.series import FloatArray
from predictor.core.capacity import Evidence, learn_rates, rates_per_pod
from predictor.core.cluster import HpaView, MetricTarget, TargetKey
from predictor.core.encoding import encode_json
from predictor.core.metric_columns import metric_columns
from predictor.core.pods_seen import look_at_pods
from predictor.core.policy import Policy
from predictor.core.policy_rows import policy_rows
from predictor.core.state import aligned, new_state

TICKS = 40
TICKS_JUDGED = 20
PODS = 4


def main() -> None:
    """Print seconds per decision by step, and bytes of state per target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=30_000)
    count: int = parser.parse_args().targets
    policy = Policy()
    keys = [TargetKey(f"module-{place}", "us-east-1") for place in range(count)]
    rows, state = policy_rows(policy, keys), aligned(new_state(), keys)
    spent: list[dict[str, float]] = []
    for number in range(TICKS):
        load, now_s = 70.0 - 50.0 * np.cos(number / 4.0), 20.0 * number
        watch = Watch(views(keys, load, number))
        metrics = metric_columns(watch.hpas, policy)
        watch.lap("read metrics")
        state = look_at_pods(state, metrics, np.full(count, load * PODS), now_s)
        watch.lap("look at pods")
        state = learn_rates(state, metrics, now_s=now_s, number=number)
        watch.lap("learn")
        rates = rates_per_pod(metrics, rows, state, np.full(count, np.nan))
        watch.lap("rates per pod")
        said = Evidence.of(rates, state, policy)
        for row, hpa in enumerate(watch.hpas):
            said.sentence(row, hpa)
        watch.lap("say so")
        spent.append(watch.laps)
    report(spent[-TICKS_JUDGED:], len(encode_json(state)) / count)


class Watch:
    """CPU seconds of each step since the last one; `hpas` are what one decision reads."""

    def __init__(self, hpas: list[HpaView]) -> None:
        self.hpas = hpas
        self.laps: dict[str, float] = {}
        self._start_s = time.process_time()

    def lap(self, name: str) -> None:
        """Note the time since the last lap."""
        now_s = time.process_time()
        self.laps[name], self._start_s = now_s - self._start_s, now_s


def views(keys: list[TargetKey], load: float, number: int) -> list[HpaView]:
    """The HPAs at this load of a pod, each with a little noise of its own."""
    noise: FloatArray = np.random.default_rng(number).normal(1.0, 0.03, len(keys))
    return [
        a_view(key, round((8.0 + 0.5 * load) * one)) for key, one in zip(keys, noise, strict=True)
    ]


def a_view(key: TargetKey, usage: float) -> HpaView:
    """An HPA of the scaling guide's three metrics."""
    return HpaView(
        key=key,
        namespace=key.region,
        name=key.module,
        uid=key.module,
        resource_version="1",
        deployment=key.module,
        min_replicas=PODS,
        max_replicas=20,
        spec_replicas=PODS,
        ready_replicas=PODS,
        baseline_replicas=3,
        floor_manager=None,
        template="7",
        metrics=(
            MetricTarget("Resource", "cpu", "Utilization", 70.0, usage),
            MetricTarget("Resource", "memory", "Utilization", 80.0, 40.0),
            MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0, 50.0),
        ),
    )


def report(spent: list[dict[str, float]], state_bytes: float) -> None:
    """Print the medians of the last ticks."""
    medians = {name: statistics.median(one[name] for one in spent) for name in spent[0]}
    for name, spent_s in medians.items():
        print(f"{name}: {spent_s:.3f} s")
    print(f"together: {sum(medians.values()):.3f} s CPU a decision")
    print(f"state: {state_bytes:.0f} bytes a target in a record")


if __name__ == "__main__":
    main()
