"""Measures how many syncs per second the HPA twin makes on one core.

    python -m scripts.bench_hpa_twin

Once with the recorded trajectories' own specs at the steps where they have ten pods, each pod a
group of its own, and once with one metric of the pods in a fleet of three cohorts, as the cluster
model has it. Writes `build/bench/hpa-twin.json`. It must never be part of a test.
"""

from __future__ import annotations

import gzip
import json
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from predictor.core.hpa_twin.controller import new_hpa_state, sync
from predictor.core.hpa_twin.observation import Observation, PodGroup
from predictor.core.hpa_twin.spec import HpaSpec, read_hpa_spec

RECORDED = Path("tests/core/hpa_trajectories.jsonl.gz")
RESULT = Path("build/bench/hpa-twin.json")
PODS = 10
ROUNDS = 5
COHORT_SYNCS = 20_000
_SPEC = {
    "metrics": [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "rps"},
                "target": {"type": "AverageValue", "averageValue": "100"},
            },
        }
    ],
    "behavior": {},
}
Lane = tuple[HpaSpec, list[Observation]]


def main() -> None:
    """Print both rates (the median of five rounds) and write them down."""
    rates = {
        "ten_pods_recorded_specs_per_s": _rate(list(_recorded())),
        "three_cohorts_one_metric_per_s": _rate([_cohorts()]),
    }
    for name, rate in rates.items():
        print(f"{name}: {rate:,.0f} ({1e6 / rate:.1f} microseconds a sync)")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(rates, indent=2) + "\n")


def _rate(lanes: list[Lane]) -> float:
    return statistics.median(_syncs_per_s(lanes) for _ in range(ROUNDS))


def _syncs_per_s(lanes: Iterable[Lane]) -> float:
    syncs = 0
    began_s = time.process_time()
    for spec, observations in lanes:
        state = new_hpa_state()
        for place, observation in enumerate(observations):
            state = sync(spec, observation, state, 15.0 * place).state
        syncs += len(observations)
    return syncs / (time.process_time() - began_s)


def _recorded() -> Iterable[Lane]:
    """Each trajectory's steps with ten pods or more, of which the first ten are looked at."""
    with gzip.open(RECORDED, "rt") as lines:
        for line in lines:
            trajectory = json.loads(line)
            steps = [step for step in trajectory["steps"] if len(step["pods"]) >= PODS]
            request = trajectory["cpu_request_milli"]
            yield read_hpa_spec(trajectory), [_seen(step, request) for step in steps]


def _seen(step: dict[str, Any], request: int) -> Observation:
    pods = step["pods"]
    groups = [
        PodGroup(
            1,
            pod["start_s"],
            pod["ready"],
            pod["ready_changed_s"],
            bool(pod.get("deleting")),
            pod["values"],
        )
        for pod in pods[:PODS]
    ]

    return Observation(PODS, 1, 50, tuple(groups), step["objects"], frozenset(), {"cpu": request})


def _cohorts() -> Lane:
    observations = [
        Observation(
            PODS,
            3,
            50,
            (
                PodGroup(7, -9e3, True, -9e3, False, {"rps": 90_000 + place % 40_000}),
                PodGroup(2, -60.0, True, -30.0, False, {"rps": 95_000}),
                PodGroup(1, 0.0, False, 0.0, False, {}),
            ),
            {},
            frozenset(),
            {"cpu": 1000},
        )
        for place in range(COHORT_SYNCS)
    ]
    return read_hpa_spec(_SPEC), observations


if __name__ == "__main__":
    main()
