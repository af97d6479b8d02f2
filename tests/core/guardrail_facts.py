"""Whole facts for the guardrails' tests; a test names only what matters to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from predictor.core.guardrails import NO_CEILING, Facts
from predictor.core.policy import Policy
from predictor.core.policy_rows import policy_rows
from tests.core.core_values import CORE, NOW_S


def facts(floor_now: int = 8, rows: int = 1, **changes: Any) -> Facts:
    """A warm service, fresh whole telemetry, baseline 3, maxReplicas 20, nothing moved lately."""
    values: dict[str, Any] = {
        "now_s": NOW_S,
        "floor_now": np.full(rows, floor_now),
        "baseline": np.full(rows, 3),
        "ceiling": np.full(rows, NO_CEILING),
        "replicas_max": np.full(rows, 20),
        "replicas": np.full(rows, floor_now),
        "asked_by_metrics": np.zeros(rows, np.int64),
        "needed_now": np.zeros(rows),
        "corroborated": np.full(rows, 1e6),
        "paused": np.full(rows, False),
        "blocked": {},
        "metrics_failing": {},
        "metrics_failing_s": np.full(rows, np.nan),
        "metrics_failing_hold_s": 21_600.0,
        "raised_at_s": np.full(rows, np.nan),
        "released_at_s": np.full(rows, np.nan),
        "demand_known": np.full(rows, True),
        "incomplete": "",
        "telemetry_age_s": 10.0,
        "telemetry_seen": True,
        "telemetry_stale_after_s": 60.0,
        "telemetry_handback_after_s": 600.0,
        "lag_s": changes.get("telemetry_age_s", 10.0),
        "slowest": "",
        "lag_max_s": 180.0,
        "started_at_s": NOW_S - 3600,
        "warm_up_s": 300.0,
        "policy": policy_rows(Policy(), [CORE] * rows),
    }
    return Facts(**{**values, **changes})


ages = st.sampled_from([5.0, 90.0, 700.0])
moments = st.one_of(st.just(np.nan), st.floats(NOW_S - 600, NOW_S))


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    baseline = draw(st.integers(0, 10))
    replicas_max = draw(st.integers(max(baseline, 1), 60))
    age_s = draw(ages)
    return facts(
        draw(st.integers(1, replicas_max)),
        baseline=np.array([baseline]),
        replicas_max=np.array([replicas_max]),
        raised_at_s=np.array([draw(moments)]),
        released_at_s=np.array([draw(moments)]),
        demand_known=np.array([draw(st.booleans())]),
        incomplete=draw(st.sampled_from(["", "partition 1 of 2 has not reported"])),
        ceiling=np.array([draw(st.one_of(st.just(NO_CEILING), st.integers(1, 60)))]),
        needed_now=np.array([draw(st.one_of(st.just(np.nan), st.integers(0, 80)))], dtype=float),
        corroborated=np.array([draw(st.one_of(st.just(np.nan), st.integers(0, 80)))], dtype=float),
        paused=np.array([draw(st.booleans())]),
        blocked=draw(st.sampled_from([{}, {0: "blocked"}])),
        metrics_failing=draw(st.sampled_from([{}, {0: "failing"}])),
        metrics_failing_s=np.array([draw(st.sampled_from([np.nan, 600.0, 30_000.0]))]),
        telemetry_age_s=age_s,
        lag_s=age_s + draw(st.sampled_from([0.0, 200.0, 700.0])),
        started_at_s=draw(st.sampled_from([None, NOW_S - 10, NOW_S - 3600])),
    )
