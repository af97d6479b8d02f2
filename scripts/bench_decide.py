"""CPU seconds of one decision for many targets, guardrails and budgets included, and its record.

    python -m scripts.bench_decide [--modules 10000]

Each module stands in three regions, with the scaling guide's metrics read, its owner's band and a
floor of ours on every fourth. Once nothing changes from one tick to the next, once 5 % of all
forecasts do. Prints the seconds and writes them to `build/bench/decide.json`; fails above the
limit. Times are of the process, not of the wall.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

from models.forecast import QUANTILE_LEVELS
from models.series import FloatArray, SeriesKey
from predictor.core.audit import encode_record
from predictor.core.cluster import ClusterView, HpaView, MetricTarget, TargetKey
from predictor.core.decide import decide
from predictor.core.inputs import Inputs
from predictor.core.opt_in import FIELD_MANAGER, KeptState, Mode, OptIn
from predictor.core.policy import Policy
from predictor.core.state import State, new_state

OUT = Path("build/bench/decide.json")
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")
NOW_S = 1_800_000_000.0
TICK_S = 10.0
TICKS = 5
CHANGING_SHARE = 0.05
SECONDS_MAX = 3.0
BASELINE = 3


def main() -> None:
    """Decide some ticks of each kind and say what the slower half of them took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--modules", type=int, default=10_000)
    given = options.parse_args()
    chance = np.random.default_rng(1)
    inputs, policy = _inputs(given.modules, chance), Policy(warm_up_s=0.0)
    state, now_s = _settled(inputs, policy)
    still = [inputs.peak] * TICKS
    changing = [_moved(inputs.peak, chance) for _ in range(TICKS)]
    still_s, state, now_s = _ticks(inputs, policy, state, now_s, still)
    changing_s, state, now_s = _ticks(inputs, policy, state, now_s, changing)
    began_s = time.process_time()
    decision, _ = decide(inputs, policy, state, now_s)
    decided_s = time.process_time()
    record = encode_record(inputs, policy, state, decision)
    result = {
        "targets": len(inputs.keys),
        "seconds_still": still_s,
        "seconds_changing": changing_s,
        "seconds_max": SECONDS_MAX,
        "seconds_last": decided_s - began_s,
        "seconds_record": time.process_time() - decided_s,
        "record_megabytes": len(record) / 1e6,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(
        f"{result['targets']} targets: {still_s:.2f} s CPU a decision where nothing changes, "
        f"{changing_s:.2f} s where {CHANGING_SHARE:.0%} do (at most {SECONDS_MAX:.0f}); its record "
        f"{result['seconds_record']:.2f} s, {result['record_megabytes']:.0f} MB"
    )
    if max(still_s, changing_s) > SECONDS_MAX:
        sys.exit(1)


def _ticks(
    inputs: Inputs,
    policy: Policy,
    state: State,
    now_s: float,
    peaks: list[FloatArray],
) -> tuple[float, State, float]:
    """The median seconds of a tick with each forecast, with the state and the time after them."""
    spent = []
    for peak in peaks:
        now_s += TICK_S
        seen = msgspec.structs.replace(inputs, peak=peak, path=peak)
        began_s = time.process_time()
        _, state = decide(seen, policy, state, now_s)
        spent.append(time.process_time() - began_s)
    return float(np.median(spent)), state, now_s


def _moved(peak: FloatArray, chance: np.random.Generator) -> FloatArray:
    """The forecast, but for a share of its rows that went up or down."""
    moves = chance.random((len(peak), 1)) < CHANGING_SHARE
    moved: FloatArray = peak * np.where(moves, chance.uniform(0.5, 2.0, moves.shape), 1.0)
    return moved


def _settled(inputs: Inputs, policy: Policy) -> tuple[State, float]:
    """The state of a service that has looked twice."""
    _, state = decide(inputs, policy, new_state(), NOW_S)
    _, state = decide(inputs, policy, state, NOW_S + TICK_S)
    return state, NOW_S + TICK_S


def _inputs(modules: int, chance: np.random.Generator) -> Inputs:
    keys = tuple(
        SeriesKey(f"module-{number}", region) for number in range(modules) for region in REGIONS
    )
    floors = np.where(np.arange(len(keys)) % 4 == 0, 6, BASELINE)
    demand = floors * 90.0
    peak = np.repeat(demand[:, None], len(QUANTILE_LEVELS), axis=1)
    usage = chance.uniform(40.0, 80.0, len(keys))
    hpas = tuple(
        _hpa(TargetKey(*key), int(floor), float(used))
        for key, floor, used in zip(keys, floors, usage, strict=True)
    )
    return Inputs(
        cluster=ClusterView(hpas),
        keys=keys,
        levels=QUANTILE_LEVELS,
        forecast_at_s=int(NOW_S),
        peak=peak,
        path=peak,
        forecast_reasons=tuple(
            ("Ensemble", f"weights of {n % 7} members") for n in range(len(keys))
        ),
        complete_per_s=demand,
        provisional_per_s=demand,
        served_per_s=np.zeros((0, len(REGIONS))),
        telemetry_age_s=10.0,
        incomplete="",
        series_digest="0" * 64,
        model_name="bench",
        model_digest="0" * 64,
        lag_s=40.0,
        usual_peak_per_s=demand * 2.0,
    )


def _hpa(key: TargetKey, floor: int, usage: float) -> HpaView:
    is_ours = floor > BASELINE
    return HpaView(
        key=key,
        namespace=key.region,
        name=f"mplp-{key.module}-hpa",
        uid=f"00000000-{key.module}-{key.region}",
        resource_version="123456",
        deployment=f"mplp-{key.module}",
        min_replicas=floor,
        max_replicas=20,
        spec_replicas=floor,
        ready_replicas=floor,
        baseline_replicas=BASELINE,
        floor_manager=FIELD_MANAGER if is_ours else "helm",
        metrics=(
            MetricTarget("Resource", "cpu", "Utilization", 70.0, usage),
            MetricTarget("Resource", "memory", "Utilization", 80.0, 50.0),
            MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0, usage),
        ),
        opt_in=OptIn(mode=Mode.ACTIVE, floor=BASELINE, ceiling=15),
        kept=KeptState(NOW_S + 900.0, 1) if is_ours else KeptState(),
    )


if __name__ == "__main__":
    main()
